"""`opskit restore`: bring a backup back, beside the live database."""

import logging
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import click

from opskit.amounts import human_size
from opskit.backup.catalog import find
from opskit.backup.create import Options as BackupOptions
from opskit.backup.manifest import Manifest
from opskit.cli.cutover import cleanup_command, exchange_options, planned, swapped
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Group
from opskit.cli.output import Table
from opskit.cli.parameters import DurationType
from opskit.cli.pointers import pointers_with_bytes
from opskit.cli.restart import Restart, by_hand, restarted
from opskit.cli.rollback import cleanup, rollback
from opskit.errors import UsageError, advised
from opskit.restore.exchange import UNTOUCHED
from opskit.restore.run import Options, RestoreReport
from opskit.restore.run import restore as restore_backup
from opskit.restore.space import additions
from opskit.restore.swap import WITHOUT_SAFETY_BACKUP, plan_swap, restore_and_swap
from opskit.settings import Registry
from opskit.storage import Storage
from opskit.wiring import (
    backup_options,
    configured_storage,
    database_endpoint,
    restore_endpoint,
    restore_options,
)

logger = logging.getLogger(__name__)


@click.group(cls=Group)
def restore() -> None:
    """Bring a backup back, beside the live database."""


restore.add_command(rollback)
restore.add_command(cleanup)


@restore.command()
@click.argument("backup_reference", metavar="BACKUP")
@click.option("--into", metavar="NAME", help="Restore into this database, which must be empty or not exist yet.")
@click.option(
    "--swap", is_flag=True, help="Put the restored tables in the live database's place; a plan without --yes."
)
@click.option("--yes", is_flag=True, help="Carry the swap out.")
@click.option("--no-safety-backup", is_flag=True, help="Do not back the live database up before the swap.")
@click.option("--workers", type=click.IntRange(1, 64), help="Sessions that load side by side [backup.workers].")
@click.option("--keep-definer", is_flag=True, help="Keep the DEFINER of views, triggers, routines and events.")
@click.option("--enable-events", is_flag=True, help="Give events their recorded state; only with --into.")
@click.option("--skip-binlog", is_flag=True, help="Write no binary log: replicas get nothing of it; only with --into.")
@click.option("--lease-wait", type=DurationType(), default="0s", help="Wait this long for another run to end.")
@exchange_options
@pass_invocation
def run(
    invocation: Invocation,
    backup_reference: str,
    *,
    into: str | None,
    swap: bool,
    yes: bool,
    no_safety_backup: bool,
    workers: int | None,
    keep_definer: bool,
    enable_events: bool,
    skip_binlog: bool,
    lease_wait: timedelta,
    run_id: str | None,
    restart: bool,
    restart_timeout: timedelta,
) -> None:
    """Restore BACKUP into a database of its own and compare every row; the live database is not touched.

    With --swap the restored tables then take the place of the live ones, all at once; those are kept beside them.
    BACKUP is an id, a prefix of one, or, without --yes, latest.
    """
    _refuse_what_does_not_belong_together(
        swap=swap,
        into=into,
        only_with_swap=yes or restart or no_safety_backup,
        enable_events=enable_events,
        skip_binlog=skip_binlog,
    )
    registry, settings = invocation.registry, invocation.settings
    with advised(UNTOUCHED) if yes else nullcontext():
        storage = configured_storage(settings)
        manifest = find(storage, registry.name, backup_reference)
        if yes and backup_reference == "latest":
            plan = invocation.command("restore", "run", manifest.id, "--swap")
            raise UsageError(
                "--swap --yes wants the id of a backup: `latest` changes with each, and a swap that fails has made one",
                hint=f"latest is {manifest.id} now; its plan: {plan}",
            )
        options = replace(
            restore_options(settings, workers=workers),
            beside=registry.mysql.database,
            into=into,
            run_id=run_id,
            keep_definer=keep_definer,
            enable_events=enable_events,
            binary_log=not skip_binlog,
            lease_wait_seconds=lease_wait.total_seconds(),
        )
        with advised(WITHOUT_SAFETY_BACKUP):
            safety = backup_options(settings, workers=workers) if swap and not no_safety_backup else None
        to_restart = Restart(invocation, registry, restart_timeout) if restart and yes else None
    _warn_of_problems(manifest)
    if not swap:
        _restore(invocation, storage, manifest, options)
    elif not yes:
        again = [word for word, given in (("--no-safety-backup", no_safety_backup), ("--restart", restart)) if given]
        again += [f"--run-id={run_id}"] if run_id else []
        _show_plan(invocation, manifest, again)
    else:
        _swap(invocation, storage, manifest, options, safety, to_restart)


def _refuse_what_does_not_belong_together(
    *, swap: bool, into: str | None, only_with_swap: bool, enable_events: bool, skip_binlog: bool
) -> None:
    if swap and into:
        raise UsageError("--swap replaces the live database, --into names another one: give one of them")
    if only_with_swap and not swap:
        raise UsageError("--yes, --restart and --no-safety-backup belong to --swap", hint="add --swap")
    if enable_events and not into:
        raise UsageError("--enable-events belongs to --into: events never run in staging", hint="add --into NAME")
    if skip_binlog and not into:
        raise UsageError(
            "--skip-binlog belongs to --into: what becomes live, or is dropped later, must be in the binary log",
            hint="add --into NAME",
        )


def _restore(invocation: Invocation, storage: Storage, manifest: Manifest, options: Options) -> None:
    _announce(manifest, invocation.registry, options)
    with invocation.progress() as progress:
        report = restore_backup(restore_endpoint(invocation.registry), storage, manifest, options, progress)
    where = () if options.into else (f"  it stays until it is dropped: {cleanup_command(invocation)}",)
    invocation.show(report, *_told(report), *where)


def _show_plan(invocation: Invocation, manifest: Manifest, again: Sequence[str]) -> None:
    registry = invocation.registry
    plan = plan_swap(restore_endpoint(registry), registry.mysql.database, manifest)
    invocation.show(plan, *planned(invocation, plan, again))


def _swap(
    invocation: Invocation,
    storage: Storage,
    manifest: Manifest,
    options: Options,
    safety: BackupOptions | None,
    to_restart: Restart | None,
) -> None:
    registry = invocation.registry
    _announce(manifest, registry, options)
    with invocation.progress() as progress:
        done = restore_and_swap(
            restore_endpoint(registry),
            database_endpoint(registry),
            registry.mysql.database,
            storage,
            manifest,
            options,
            safety_backup=safety,
            progress=progress,
        )
    ended = to_restart and to_restart.carry_out()
    invocation.show(
        {"swap": done, "restart": ended},
        *_told(done.restored),
        *swapped(invocation, done),
        *(restarted(ended) if ended else [by_hand(registry)]),
    )
    if done.settled.stray:
        invocation.found_problems()


def _announce(manifest: Manifest, registry: Registry, options: Options) -> None:
    added = additions(manifest, binary_log=options.binary_log)
    logger.info(
        "restoring %s: %s rows, about %s of data and %s of binary log on %s",
        manifest.id,
        f"{manifest.rows:,}",
        human_size(added.data_bytes),
        human_size(added.binlog_bytes),
        registry.mysql.host,
    )


def _warn_of_problems(manifest: Manifest) -> None:
    for problem in manifest.database.problems:
        logger.warning("the registry may not start on %s: %s", manifest.id, problem)


def _told(report: RestoreReport) -> list[str | Table]:
    lines: list[str | Table] = [
        f"backup {report.backup_id} is restored in database {report.database}",
        f"  {report.rows:,} rows in {len(report.tables)} tables, each compared with the backup: equal",
        f"  artifacts: {pointers_with_bytes(report.artifacts)}",
    ]
    if report.not_compared:
        lines.append(
            f"  by row count only, since the products print their types differently: {', '.join(report.not_compared)}"
        )
    for label, values in (
        ("DEFINER dropped", report.definers_dropped),
        ("events left disabled", report.events_disabled),
        ("names the source database", report.names_source),
        ("rows whose foreign key points nowhere", [f"{key}: {rows}" for key, rows in report.orphans.items()]),
        ("warning", report.warnings),
        ("the registry may not start", report.registry_problems),
    ):
        lines += [f"  {label}: {value}" for value in values]
    return lines
