"""`opskit backup prune`, `hold` and `release`: which backups stay."""

import logging
from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta

import click

from opskit.amounts import human_age, human_seconds, human_size
from opskit.backup import holds, layout
from opskit.backup.catalog import resolve
from opskit.backup.prune import PruneReport, not_pruned
from opskit.backup.prune import prune as prune_registry
from opskit.backup.retention import Policy
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Command
from opskit.cli.outcomes import for_each_registry
from opskit.cli.output import Table
from opskit.cli.parameters import DurationType
from opskit.errors import OpskitError, UsageError
from opskit.settings import Registry
from opskit.storage import Storage
from opskit.wiring import configured_storage, every_storage, with_signatures

logger = logging.getLogger(__name__)


@click.command(cls=Command)
@click.option("--apply", is_flag=True, help="Delete them.")
@click.option("--all-versions", is_flag=True, help="In a bucket with versions, delete the old versions too.")
@pass_invocation
def prune(invocation: Invocation, *, apply: bool, all_versions: bool) -> None:
    """List the backups that retention lets go, debris and abandoned uploads; with --apply, delete them.

    The newest good backup, the newest one that was rehearsed and those on hold always stay. Old reports on artifacts go
    as well.
    """
    settings = invocation.settings
    policy = Policy(**dict(settings.retention))
    first, *copies = every_storage(settings)

    def prune_in(storage: Storage, registry: Registry, kept: Collection[str] = ()) -> PruneReport:
        return prune_registry(
            storage,
            registry.name,
            policy,
            manifests=with_signatures(settings, storage),
            apply=apply,
            all_versions=all_versions,
            kept_elsewhere=kept,
            elsewhere=first.url,
        )

    def prune_everywhere(registry: Registry) -> list[PruneReport]:
        reports = [prune_in(first, registry)]
        for copy in copies:
            try:
                reports.append(prune_in(copy, registry, reports[0].keep))
            except OpskitError as error:
                reports.append(not_pruned(copy, registry.name, error))
        return reports

    outcomes = for_each_registry(invocation, prune_everywhere)
    reports = [report for outcome in outcomes for report in outcome.result or ()]
    for report in reports:
        for failure in report.failures:
            logger.error("%s: %s", report.registry, failure.message)
            invocation.codes.append(failure.exit_code)
    invocation.show(
        {
            "applied": apply,
            "pruned": reports,
            "errors": [{"registry": each.registry, "error": each.error} for each in outcomes if each.error],
        },
        *(block for report in reports for block in _told(report)),
        "" if apply else f"nothing was changed; to delete what goes: {_to_apply(invocation, all_versions)}",
    )


def _to_apply(invocation: Invocation, all_versions: bool) -> str:
    return invocation.command("backup", "prune", *(["--all-versions"] if all_versions else []), "--apply")


def _told(report: PruneReport) -> Iterator[str | Table]:
    now = datetime.now(UTC)
    yield f"{report.registry} in {report.storage}"
    decided = [(each, "stays", ", ".join(reasons)) for each, reasons in report.keep.items()]
    decided += [(each, "gone" if report.applied else "goes", "no rule keeps it") for each in report.removed]
    decided += [(each, "gone" if report.applied else "goes", "debris: no manifest for a day") for each in report.debris]
    decided += [(each, "left", "the run ended before it was deleted whole") for each in report.left]
    yield Table(
        ("BACKUP", "AGE", "", "BECAUSE"),
        [
            (each, human_age(layout.backup_time(each), now), verdict, because)
            for each, verdict, because in sorted(decided)
        ],
    )
    yield from (f"  abandoned upload: {key}" for key in report.uploads)
    yield from (f"  locked in the store, and still there: {key}" for key in report.locked)
    if report.expired_holds:
        yield f"  holds that have ended: {len(report.expired_holds)}"
    if report.reports:
        yield f"  files of old reports on artifacts: {len(report.reports)}"
    count, gone = len(report.removed) + len(report.debris), "gone" if report.applied else "to go"
    yield f"  {len(report.keep)} stay, {count} {gone} ({human_size(report.freed_bytes)})"


@click.command(cls=Command)
@click.argument("backup_reference", metavar="BACKUP")
@click.option(
    "--for", "lifetime", type=DurationType(), metavar="DURATION", help="End the hold by itself, after 30d say."
)
@click.option("--reason", default="", metavar="TEXT", help="Why, for whoever wonders later.")
@pass_invocation
def hold(invocation: Invocation, backup_reference: str, *, lifetime: timedelta | None, reason: str) -> None:
    """Keep prune away from BACKUP, until `release` or for as long as --for says."""
    if lifetime is not None and not timedelta(0) < lifetime <= holds.LONGEST:
        raise UsageError(f"--for must be more than 0s and at most {holds.LONGEST.days}d")
    storage, registry = configured_storage(invocation.settings), invocation.registry.name
    backup_id = resolve(storage, registry, backup_reference)
    key = holds.place(storage, registry, backup_id, reason=reason, lifetime=lifetime)
    invocation.show(
        {"backup": backup_id, "registry": registry, "hold": key, "lifetime": lifetime, "reason": reason},
        f"backup {backup_id} is on hold {_for(lifetime)}",
        f"  to end it: {invocation.command('backup', 'release', backup_id)}",
    )


def _for(lifetime: timedelta | None) -> str:
    return f"for {human_seconds(lifetime.total_seconds())}" if lifetime else "until it is released"


@click.command(cls=Command)
@click.argument("backup_reference", metavar="BACKUP")
@pass_invocation
def release(invocation: Invocation, backup_reference: str) -> None:
    """End the holds that people placed on BACKUP; those of running jobs end by themselves."""
    storage, registry = configured_storage(invocation.settings), invocation.registry.name
    backup_id = resolve(storage, registry, backup_reference)
    released = holds.release(storage, registry, backup_id)
    invocation.show(
        {"backup": backup_id, "registry": registry, "released": released},
        *(f"backup {backup_id} is no longer {each}" for each in released),
        "" if released else f"nobody had put backup {backup_id} on hold",
    )
