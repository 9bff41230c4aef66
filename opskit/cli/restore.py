"""`opskit restore`: bring a backup back, beside the live database."""

import logging
from contextlib import nullcontext
from dataclasses import replace
from datetime import timedelta

import click

from opskit.backup.catalog import find
from opskit.backup.manifest import Manifest
from opskit.cli.cutover import Restart, by_hand, exchange_options, planned, restarted, settled, swapped
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Group
from opskit.cli.output import Table
from opskit.cli.parameters import DurationType
from opskit.cli.pointers import pointers_with_bytes
from opskit.cli.text import human_seconds, human_size
from opskit.errors import UsageError, advised
from opskit.restore.exchange import UNTOUCHED
from opskit.restore.rollback import cleanup as clean_up
from opskit.restore.rollback import plan_rollback
from opskit.restore.rollback import rollback as roll_back
from opskit.restore.run import RestoreReport
from opskit.restore.run import restore as restore_backup
from opskit.restore.space import additions
from opskit.restore.swap import plan_swap, restore_and_swap
from opskit.settings import Registry
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
    lease_wait: timedelta,
    run_id: str | None,
    restart: bool,
    restart_timeout: timedelta,
) -> None:
    """Restore BACKUP into a database of its own and compare every row; the live database is not touched.

    With --swap the restored tables then take the place of the live ones, all at once; those are kept beside them.
    BACKUP is an id, a prefix of one, or latest.
    """
    if swap and into:
        raise UsageError("--swap replaces the live database, --into names another one: give one of them")
    if not swap and (yes or restart or no_safety_backup):
        raise UsageError("--yes, --restart and --no-safety-backup belong to --swap", hint="add --swap")
    if enable_events and not into:
        raise UsageError("--enable-events belongs to --into: events never run in staging", hint="add --into NAME")
    registry, settings = invocation.registry, invocation.settings
    with advised(UNTOUCHED) if yes else nullcontext():
        storage = configured_storage(settings)
        manifest = find(storage, registry.name, backup_reference)
        options = replace(
            restore_options(settings, workers=workers),
            beside=registry.mysql.database,
            into=into,
            run_id=run_id,
            keep_definer=keep_definer,
            enable_events=enable_events,
            lease_wait_seconds=lease_wait.total_seconds(),
        )
        to_restart = Restart(invocation, registry, restart_timeout) if restart and yes else None
    server, live = restore_endpoint(registry), registry.mysql.database
    _announce(manifest, registry)
    if swap and not yes:
        plan = plan_swap(server, live, manifest)
        invocation.show(plan, *planned(plan))
        return
    with invocation.progress() as progress:
        if swap:
            safety = None if no_safety_backup else backup_options(settings, workers=workers)
            done = restore_and_swap(
                server,
                database_endpoint(registry),
                live,
                storage,
                manifest,
                options,
                safety_backup=safety,
                progress=progress,
            )
        else:
            report = restore_backup(server, storage, manifest, options, progress)
    if not swap:
        invocation.show(report, *_told(report))
        return
    ended = to_restart and to_restart.carry_out()
    invocation.show(
        {"swap": done, "restart": ended},
        *_told(done.restored),
        *swapped(done),
        *(restarted(ended) if ended else [by_hand(registry)]),
    )
    if done.settled.stray:
        invocation.found_problems()


def _announce(manifest: Manifest, registry: Registry) -> None:
    added = additions(manifest)
    logger.info(
        "restoring %s: %s rows, about %s of data and %s of binary log on %s",
        manifest.id,
        f"{manifest.rows:,}",
        human_size(added.data_bytes),
        human_size(added.binlog_bytes),
        registry.mysql.host,
    )
    for problem in manifest.database.problems:
        logger.warning("the registry may not start on %s: %s", manifest.id, problem)


@restore.command()
@click.option("--to", "database", metavar="DATABASE", help="Go back to this database, as `cleanup` lists it.")
@click.option("--yes", is_flag=True, help="Carry it out.")
@click.option("--lease-wait", type=DurationType(), default="0s", help="Wait this long for another run to end.")
@exchange_options
@pass_invocation
def rollback(
    invocation: Invocation,
    *,
    database: str | None,
    yes: bool,
    lease_wait: timedelta,
    run_id: str | None,
    restart: bool,
    restart_timeout: timedelta,
) -> None:
    """Bring back the tables that the newest swap moved out, all at once; those of now are kept beside them."""
    registry = invocation.registry
    server, live = restore_endpoint(registry), registry.mysql.database
    if not yes:
        plan = plan_rollback(server, live, database)
        invocation.show(
            plan,
            f"plan: the tables of {live} make room for those of {plan.former.database},"
            f" moved out {human_seconds(plan.former.age_seconds)} ago",
            *(f"  {rows:,} rows of {table} would not be live any more" for table, rows in plan.lost.items()),
            f"nothing was changed; to carry it out: opskit restore rollback --to {plan.former.database} --yes",
        )
        return
    with advised(UNTOUCHED):
        to_restart = Restart(invocation, registry, restart_timeout) if restart else None
    done = roll_back(server, live, database, run_id=run_id, lease_wait_seconds=lease_wait.total_seconds())
    ended = to_restart and to_restart.carry_out()
    invocation.show(
        {"rollback": done, "restart": ended},
        f"rolled back: the tables of {done.exchange.incoming} are live in {live}",
        *settled(done),
        *(restarted(ended) if ended else [by_hand(registry)]),
        f"  to return: opskit restore rollback --to {done.exchange.outgoing} --yes",
    )
    if done.stray:
        invocation.found_problems()


@restore.command()
@click.option("--older-than", type=DurationType(), default="7d", help="Leave younger ones alone [7d].")
@click.option("--apply", is_flag=True, help="Drop them.")
@click.option("--lease-wait", type=DurationType(), default="0s", help="Wait this long for another run to end.")
@pass_invocation
def cleanup(invocation: Invocation, *, older_than: timedelta, apply: bool, lease_wait: timedelta) -> None:
    """List the databases that restores and swaps have left beside the live one, and drop them with --apply."""
    registry = invocation.registry
    found = clean_up(
        restore_endpoint(registry),
        registry.mysql.database,
        older_than_seconds=older_than.total_seconds(),
        apply=apply,
        lease_wait_seconds=lease_wait.total_seconds(),
    )
    invocation.show(
        {"dropped": apply, "databases": found.databases, "unmarked": found.unmarked},
        Table(
            ("DATABASE", "MADE FOR", "AGE", "TABLES", "BACKUP"),
            [
                (each.database, each.purpose, human_seconds(each.age_seconds), each.tables, each.backup_id)
                for each in found.databases
            ],
            right=("AGE", "TABLES"),
        ),
        ("dropped" if apply else "nothing was changed; to drop them: --apply")
        if found.databases
        else "nothing to clean up",
        *(
            f"{name} has a name as opskit makes it and no mark of opskit's: look into it, and drop it by hand"
            for name in found.unmarked
        ),
    )


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
