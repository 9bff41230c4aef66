"""`opskit artifacts`: look for the bytes that a registry points to."""

from collections.abc import Iterable
from contextlib import closing
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import click

from opskit.artifacts.inventory import inventory_of_backup
from opskit.artifacts.report import Record, Summary, time_name
from opskit.artifacts.search import Options
from opskit.artifacts.verify import verify as verify_artifacts
from opskit.backup.catalog import find
from opskit.backup.encryption import read_identities
from opskit.cli.artifact_files import record_files
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Group
from opskit.cli.outcomes import Outcome, for_each_registry
from opskit.cli.output import Table
from opskit.errors import UnavailableError
from opskit.mysql.connection import connect
from opskit.registry.inventory import Pointer, read_inventory
from opskit.settings import Registry
from opskit.wiring import artifact_places, configured_storage, database_endpoint


@click.group(cls=Group)
def artifacts() -> None:
    """Look for the bytes that a registry points to."""


@artifacts.command()
@click.option("--backup", "backup_reference", metavar="BACKUP", help="What a backup points to; no MySQL is needed.")
@click.option("--live-only", is_flag=True, help="Leave archived models and versions out.")
@click.option("--layout", is_flag=True, help="Also judge whether what is there can be served.")
@click.option("--deep", is_flag=True, help="Ask for each object by itself: versions, and tiers that no listing tells.")
@click.option("--workers", type=click.IntRange(1, 64), help="Requests side by side [artifacts.workers].")
@click.option(
    "--jsonl", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Every artifact as JSON."
)
@click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Every artifact as CSV."
)
@click.option("--exit-zero-on-findings", is_flag=True, help="Exit with 0 whatever is found, if everything was asked.")
@pass_invocation
def verify(
    invocation: Invocation,
    *,
    backup_reference: str | None,
    live_only: bool,
    layout: bool,
    deep: bool,
    workers: int | None,
    jsonl: Path | None,
    csv_file: Path | None,
    exit_zero_on_findings: bool,
) -> None:
    """Look for the bytes of every registered artifact, name what is not there, and store the report.

    Only stores, hosts and mounts of the configuration are asked (docs/artifacts.md).
    """
    settings = invocation.settings
    storage = configured_storage(settings)
    options = Options(layout=layout, deep=deep, workers=workers or settings.artifacts.workers)

    with record_files(jsonl, csv_file) as tellers:

        def look(registry: Registry) -> Summary:
            with invocation.progress() as progress, closing(_Source(invocation, registry, backup_reference)) as source:
                return verify_artifacts(
                    source.pointers,
                    artifact_places(settings),
                    storage,
                    Summary(registry.name, time_name(datetime.now(UTC)), source.name, layout, live_only),
                    options,
                    listeners=[partial(tell, registry.name) for tell in tellers],
                    progress=progress,
                )

        outcomes = for_each_registry(invocation, look)
    show(invocation, outcomes, exit_zero=exit_zero_on_findings)


class _Source:
    """Where the inventory of one registry comes from: its database, or a backup."""

    def __init__(self, invocation: Invocation, registry: Registry, backup_reference: str | None) -> None:
        self.pointers: Iterable[Pointer]
        self._connection = None
        if backup_reference is None:
            self.name = "database"
            self._connection = connect(database_endpoint(registry), registry.mysql.database)
            self.pointers = read_inventory(self._connection)
        else:
            storage = configured_storage(invocation.settings)
            manifest = find(storage, registry.name, backup_reference)
            identities = read_identities(invocation.settings.encryption.identity_file)
            self.name = f"backup {manifest.id}"
            self.pointers = inventory_of_backup(storage, manifest, identities)

    def close(self) -> None:
        """Let the server go, whether everything was read or not."""
        if self._connection is not None:
            self._connection.close()


def show(invocation: Invocation, outcomes: Iterable[Outcome[Summary]], *, exit_zero: bool = False) -> None:
    """Show what was found of each registry, and choose the exit code: findings first, then what nobody knows."""
    done = [outcome.result for outcome in outcomes if outcome.result]
    failed = [{"registry": outcome.registry, "error": outcome.error} for outcome in outcomes if outcome.error]
    invocation.show({"registries": [*done, *failed]}, *(text for summary in done for text in _told(summary)))
    for summary in done:
        if summary.found_problems and not exit_zero:
            invocation.found_problems()
        elif summary.verdicts["unreachable"] > invocation.settings.artifacts.max_unknown:
            invocation.codes.append(UnavailableError.exit_code)


def _told(summary: Summary) -> list[str | Table]:
    rows = [_row(record) for record in summary.findings]
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in summary.verdicts.items() if count)
    since = f" since the report of {summary.compared_with}" if summary.compared_with else ""
    changes = f"{summary.newly_missing:,} newly missing, {summary.recovered:,} recovered{since}"
    layout = (
        f"; layout: {summary.layout_failures:,} cannot be served, {summary.layout_warnings:,} warnings"
        if summary.layout
        else ""
    )
    return [
        Table(("MODEL", "VERSION", "URI", "VERDICT", "SINCE", "WHY"), rows) if rows else "",
        f"… and {summary.findings_left_out:,} more: --jsonl or --csv has them all" if summary.findings_left_out else "",
        f"{summary.registry}: {summary.artifacts:,} artifacts ({summary.archived:,} archived): {counts or 'none'}",
        f"  {changes}, {summary.changed:,} replaced{layout}",
    ]


def _row(record: Record) -> tuple[str, ...]:
    verdicts = [record["verdict"]] if record["verdict"] != "present" else []
    verdicts += ["changed"] * record["changed"] + ["layout"] * bool(record["failures"])
    verdicts = verdicts or ["warning"]
    reasons = [record["detail"], *record["failures"], *record["warnings"]]
    if record["changed"]:
        reasons.append("the bytes are not those that were registered")
    return (
        f"{record['model']}{' (archived)' if record['archived'] else ''}",
        record["version"],
        record["uri"].partition("?")[0] or f"{record['storage_key']}:{record['storage_path']}",
        ", ".join(verdicts),
        record["since"][:10],
        "; ".join(reason for reason in reasons if reason),
    )
