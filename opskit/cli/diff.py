"""`opskit backup diff`: what happened to a registry between two backups, or since one."""

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial

import click

from opskit.backup.catalog import find
from opskit.backup.diff import Change, require_registry
from opskit.backup.diff import diff as compare
from opskit.backup.encryption import read_identities
from opskit.backup.holds import held
from opskit.backup.reading import live_rows, read_rows
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Command
from opskit.cli.output import Table
from opskit.mysql.connection import connect
from opskit.mysql.snapshot import open_snapshot
from opskit.registry.contents import Rows
from opskit.registry.facts import read_facts
from opskit.wiring import configured_storage, database_endpoint

LIVE = "live"
_SHOWN_CHARACTERS = 60


@click.command(cls=Command)
@click.argument("before", metavar="BACKUP")
@click.argument("after", metavar="[BACKUP|live]", default="latest")
@pass_invocation
def diff(invocation: Invocation, before: str, after: str) -> None:
    """Show which models, versions and artifacts were added, removed or changed from one backup to another.

    BACKUP is an id, a prefix of one, or latest; `live` is the running database. No server is needed for backups. Ends
    with 1 if there are differences.
    """
    with _rows(invocation, before) as (former, former_rows), _rows(invocation, after) as (present, present_rows):
        changes = compare(former_rows, present_rows)
    invocation.show(
        {"before": former, "after": present, "changes": changes},
        f"from {former} to {present}: {_totals(changes)}",
        Table(
            ("CHANGE", "KIND", "NAME", "WHAT"),
            [(each.change, each.kind, " / ".join(each.path), _what(each)) for each in changes],
        )
        if changes
        else "",
    )
    if changes:
        invocation.found_problems()


@contextmanager
def _rows(invocation: Invocation, reference: str) -> Iterator[tuple[str, Rows]]:
    registry, settings = invocation.registry, invocation.settings
    if reference == LIVE:
        source, database = database_endpoint(registry), registry.mysql.database
        with open_snapshot(lambda: connect(source, database), database, workers=1, wanted="session") as snapshot:
            facts = read_facts(snapshot.workers[0].connection, frozenset(snapshot.tables))
            require_registry(facts.flavour, f"database {database!r}")
            yield LIVE, partial(live_rows, snapshot)
        return
    storage = configured_storage(settings)
    manifest = find(storage, registry.name, reference)
    require_registry(manifest.database.flavour, f"backup {manifest.id}")
    identities = read_identities(settings.encryption.identity_file)

    def rows(table: str, columns: Sequence[str]) -> Iterator[tuple[bytes | None, ...]]:
        return read_rows(storage, manifest, table, columns, identities)

    with held(storage, registry.name, manifest.id, "diff"):
        yield manifest.id, rows


def _totals(changes: list[Change]) -> str:
    counted = Counter((each.kind, each.change) for each in changes)
    return (
        ", ".join(f"{count} {kind}{'s' * (count > 1)} {change}" for (kind, change), count in counted.items())
        or "no differences"
    )


def _what(change: Change) -> str:
    if change.change != "changed":
        states = [each.after or each.before or "" for each in change.values if each.name == "state"]
        return states[0] if states else ""
    return "; ".join(f"{each.name}: {_short(each.before)} → {_short(each.after)}" for each in change.values)


def _short(value: str | None) -> str:
    if value is None:
        return "nothing"
    return value if len(value) <= _SHOWN_CHARACTERS else f"{value[: _SHOWN_CHARACTERS - 1]}…"
