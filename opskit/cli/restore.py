"""`opskit restore`: bring a backup back, beside the live database."""

from datetime import timedelta

import click

from opskit.backup.catalog import find
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Group
from opskit.cli.output import Table
from opskit.cli.parameters import DurationType
from opskit.cli.text import human_size
from opskit.restore.run import Options, RestoreReport, additions
from opskit.restore.run import restore as restore_backup
from opskit.wiring import configured_storage, restore_endpoint


@click.group(cls=Group)
def restore() -> None:
    """Bring a backup back, beside the live database."""


@restore.command()
@click.argument("backup_reference", metavar="BACKUP")
@click.option("--into", metavar="NAME", help="Restore into this database, which must be empty or not exist yet.")
@click.option("--workers", type=click.IntRange(1, 64), help="Sessions that load side by side [backup.workers].")
@click.option("--keep-definer", is_flag=True, help="Keep the DEFINER of views, triggers, routines and events.")
@click.option("--enable-events", is_flag=True, help="Give events their recorded state; only with --into.")
@click.option(
    "--lease-wait",
    type=DurationType(),
    default="0s",
    metavar="DURATION",
    help="Wait this long for another run to end.",
)
@pass_invocation
def run(
    invocation: Invocation,
    backup_reference: str,
    into: str | None,
    workers: int | None,
    keep_definer: bool,
    enable_events: bool,
    lease_wait: timedelta,
) -> None:
    """Restore BACKUP into a database of its own and compare every row; the live database is not touched.

    BACKUP is an id, a prefix of one, or latest.
    """
    registry = invocation.registry
    storage = configured_storage(invocation.settings)
    manifest = find(storage, registry.name, backup_reference)
    added = additions(manifest)
    if not invocation.json:
        click.echo(
            f"restoring {manifest.id}: {manifest.rows:,} rows, about {human_size(added.data_bytes)} of data"
            f" and {human_size(added.binlog_bytes)} of binary log on {registry.mysql.host}",
            err=True,
        )
    options = Options(
        workers=workers or invocation.settings.backup.workers,
        into=into,
        keep_definer=keep_definer,
        enable_events=enable_events,
        lease_wait_seconds=lease_wait.total_seconds(),
    )
    with invocation.progress() as progress:
        report = restore_backup(restore_endpoint(registry), storage, manifest, options, progress)
    invocation.show(report, *_told(report))


def _told(report: RestoreReport) -> list[str | Table]:
    lines: list[str | Table] = [
        f"backup {report.backup_id} is restored in database {report.database}",
        f"  {report.rows:,} rows in {len(report.tables)} tables, each compared with the backup: equal",
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
    ):
        lines += [f"  {label}: {value}" for value in values]
    return lines
