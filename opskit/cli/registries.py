"""`opskit registries`: every registry with its last backup and its health."""

from datetime import UTC, datetime

import click

from opskit.amounts import human_age
from opskit.checks import planned_checks
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Command
from opskit.cli.output import Table
from opskit.probe.result import LAYERS, CheckResult, gravest
from opskit.probe.runner import run_checks
from opskit.settings import Registry


@click.command(cls=Command)
@pass_invocation
def registries(invocation: Invocation) -> None:
    """List the registries, each with its last backup, its rehearsal and its health."""
    settings = invocation.settings
    chosen = invocation.registries
    results = run_checks(planned_checks(settings, chosen, LAYERS), settings.probe.deadline.total_seconds())
    listed = [(each, [result for result in results if result.registry == each.name]) for each in chosen]
    now = datetime.now(UTC)
    invocation.show(
        {"registries": [_listed(registry, found) for registry, found in listed]},
        Table(
            ("REGISTRY", "DATABASE", "LAST BACKUP", "REHEARSED", "HEALTH", "WHAT IS NOT WELL"),
            [_row(registry, found, now) for registry, found in listed],
        ),
    )


def _database(registry: Registry) -> str:
    return f"{registry.mysql.host}:{registry.mysql.port}/{registry.mysql.database}"


def _moment(results: list[CheckResult], value: str) -> datetime | None:
    """Return the time that a layer measured, if it could."""
    seconds = next((result.values[value] for result in results if value in result.values), None)
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC)


def _listed(registry: Registry, results: list[CheckResult]) -> dict[str, object]:
    return {
        "name": registry.name,
        "database": _database(registry),
        "last_backup": _moment(results, "backup_timestamp_seconds"),
        "last_rehearsal": _moment(results, "rehearsal_timestamp_seconds"),
        "state": gravest(result.state for result in results),
        "layers": {result.layer: result.state for result in results},
    }


def _row(registry: Registry, results: list[CheckResult], now: datetime) -> tuple[object, ...]:
    backup = _moment(results, "backup_timestamp_seconds")
    rehearsal = _moment(results, "rehearsal_timestamp_seconds")
    return (
        registry.name,
        _database(registry),
        human_age(backup, now) if backup else "never",
        human_age(rehearsal, now) if rehearsal else "never",
        gravest(result.state for result in results),
        ", ".join(f"{result.layer} {result.state}" for result in results if result.runbook),
    )
