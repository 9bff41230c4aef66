"""`opskit backup`: create, list, show, check and rehearse backups."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import click

from opskit.amounts import human_size
from opskit.backup.catalog import find, newest_complete
from opskit.backup.check import CheckReport, check_all, check_backup, require_intact
from opskit.backup.copies import CopyReport, complete_copies
from opskit.backup.create import create_backup
from opskit.backup.encryption import read_identities
from opskit.backup.layout import is_fresh
from opskit.backup.manifest import Manifest, backup_key
from opskit.cli.catalog import list_, show, summary
from opskit.cli.diff import diff
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Group
from opskit.cli.outcomes import for_each_registry
from opskit.cli.parameters import DurationType
from opskit.cli.rehearse import rehearse
from opskit.cli.resource import keep_resource, resource
from opskit.cli.retention import hold, prune, release
from opskit.errors import UsageError
from opskit.mysql.snapshot_steps import LEVELS, Level
from opskit.settings import Registry
from opskit.wiring import (
    backup_options,
    configured_storage,
    database_endpoint,
    every_storage,
    with_signatures,
)

logger = logging.getLogger(__name__)


@click.group(cls=Group)
def backup() -> None:
    """Create, list and check backups."""


backup.add_command(list_)
backup.add_command(show)
backup.add_command(diff)
backup.add_command(rehearse)
backup.add_command(prune)
backup.add_command(hold)
backup.add_command(release)
backup.add_command(resource)


@backup.command()
@click.option("--workers", type=click.IntRange(1, 64), help="Sessions that read side by side [backup.workers].")
@click.option("--consistency", type=click.Choice(LEVELS), default="instance", help="The strongest level to try.")
@click.option(
    "--lease-wait",
    type=DurationType(),
    default="0s",
    metavar="DURATION",
    help="Wait this long for another run to end.",
)
@click.option("--allow-non-transactional", is_flag=True, help="Save tables outside InnoDB, read under the lock.")
@click.option("--skip-routines", is_flag=True, help="Leave procedures and functions out.")
@click.option("--skip-recent", is_flag=True, help="Make none where the newest is younger than backup.min_interval.")
@pass_invocation
def create(
    invocation: Invocation,
    workers: int | None,
    consistency: Level,
    lease_wait: timedelta,
    allow_non_transactional: bool,
    skip_routines: bool,
    skip_recent: bool,
) -> None:
    """Save each registry's database; a backup exists once its manifest does, and is never half there."""
    settings = invocation.settings
    options = replace(
        backup_options(settings, workers=workers),
        consistency=consistency,
        lease_wait_seconds=lease_wait.total_seconds(),
        allow_non_transactional=allow_non_transactional,
        skip_routines=skip_routines,
    )
    first, *copies = every_storage(settings)
    storage = with_signatures(settings, first)

    def save(registry: Registry) -> Saved:
        with invocation.progress() as progress:
            recent = newest_complete(storage, registry.name) if skip_recent else None
            if recent and is_fresh(datetime.now(UTC) - recent.snapshot.time, settings.backup.min_interval):
                made, new = recent, False
            else:
                source, new = database_endpoint(registry), True
                made = create_backup(source, registry.mysql.database, storage, registry.name, options, progress)
            if settings.discover and new:
                keep_resource(storage, made, invocation.discovery)
            return Saved(
                made,
                new,
                [
                    complete_copies(
                        first, copy, registry.name, manifests=storage, workers=options.workers, progress=progress
                    )
                    for copy in copies
                ],
            )

    outcomes = for_each_registry(invocation, save)
    saved = [outcome.result for outcome in outcomes if outcome.result]
    for problem in [problem for each in saved for report in each.copies for problem in report.problems]:
        logger.error("not copied: %s", problem)
        invocation.found_problems()
    invocation.show(
        {
            "storage": storage.url,
            "backups": [
                outcome.result.document() if outcome.result else {"registry": outcome.registry, "error": outcome.error}
                for outcome in outcomes
            ],
        },
        *(_created(each, storage.url) for each in saved),
    )


@dataclass(frozen=True, slots=True)
class Saved:
    """The newest backup, whether it was made now, and what became of its copies."""

    manifest: Manifest
    new: bool
    copies: Sequence[CopyReport]

    def document(self) -> dict[str, object]:
        """Return what `create` says of it in JSON."""
        return summary(self.manifest) | {"new": self.new, "copies": self.copies}


def _created(saved: Saved, storage_url: str) -> str:
    manifest = saved.manifest
    lines = [
        f"backup {manifest.id} of {manifest.registry} is complete"
        + ("" if saved.new else ", and so recent that none was made now (backup.min_interval)"),
        f"  {manifest.rows:,} rows in {len(manifest.tables)} tables, {human_size(manifest.stored_bytes)} stored",
        f"  consistency {manifest.snapshot.consistency}",
        f"  {storage_url.rstrip('/')}/{backup_key(manifest.registry, manifest.id, '')}",
        *(f"  copied to {each.storage}: {', '.join(each.copied)}" for each in saved.copies if each.copied),
        *(f"  not copied to {each.storage}" for each in saved.copies if each.problems),
        *(f"  warning: {warning}" for warning in manifest.warnings),
    ]
    return "\n".join(lines)


@backup.command()
@click.argument("backup_reference", metavar="[BACKUP]", required=False)
@click.option("--all", "every", is_flag=True, help="Check every backup of the registry.")
@pass_invocation
def check(invocation: Invocation, backup_reference: str | None, every: bool) -> None:
    """Read every object of a backup again, compare its size and SHA-256 with the manifest, and unpack it.

    Without BACKUP the newest one of each registry. What is encrypted is only unpacked with encryption.identity_file.
    """
    if every and backup_reference:
        raise UsageError("give a backup or --all, not both")
    if backup_reference not in (None, "latest") and len(invocation.registries) > 1:
        raise UsageError("a backup is of one registry", hint="choose it with --registry")
    storage = configured_storage(invocation.settings)
    identities = read_identities(invocation.settings.encryption.identity_file)

    def look(registry: Registry) -> list[CheckReport]:
        with invocation.progress() as progress:
            if every:
                return check_all(storage, registry.name, identities=identities, progress=progress)
            manifest = find(storage, registry.name, backup_reference or "latest")
            reports = [check_backup(storage, manifest, identities=identities, progress=progress)]
        require_intact(reports)
        return reports

    outcomes = for_each_registry(invocation, look)
    reports = [report for outcome in outcomes for report in outcome.result or ()]
    failed = [{"registry": each.registry, "error": each.error} for each in outcomes if each.error]
    invocation.show(
        {"storage": storage.url, "checked": [*reports, *failed]},
        *(
            f"backup {report.backup_id}: {report.files} files, {human_size(report.bytes)} read again, all as written"
            + ("" if report.looked_inside else "; encrypted, and not opened: no identity is configured")
            for report in reports
        ),
        "" if reports or failed else f"no backups in {storage.url}",
    )
