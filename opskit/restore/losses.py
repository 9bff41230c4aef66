"""What a swap takes out of the live registry: rows that the backup does not have."""

from collections.abc import Iterator

from opskit.mysql.connection import Connection, execute, quote, scalar
from opskit.registry.integrity import REFERENCES
from opskit.restore import target as targets
from opskit.restore.target import count_rows

# When a row of the registry was last changed, in milliseconds since 1970 by the registry's clock.
_CHANGED = {
    "Artifact": "last_update_time_since_epoch",
    "Execution": "last_update_time_since_epoch",
    "Context": "last_update_time_since_epoch",
    "Event": "milliseconds_since_epoch",
}


def newer_rows(connection: Connection, database: str, table: str, since_ms: int) -> int | None:
    """Return how many rows say that they were changed after a moment; None where the table does not tell.

    Rows without a time of their own go by the rows that they belong to. An estimate: it trusts the clocks.
    """
    if table in _CHANGED:
        told = f"{_CHANGED[table]} > {since_ms}"
    else:
        told = " OR ".join(
            f"{quote(reference.column)} IN (SELECT id FROM {quote(database)}.{quote(reference.parent)}"
            f" WHERE {_CHANGED[reference.parent]} > {since_ms})"
            for reference in REFERENCES
            if reference.table == table and reference.parent in _CHANGED
        )
    if not told:
        return None
    return int(scalar(connection, f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)} WHERE {told}"))


def rows_only_in(connection: Connection, former: str, present: str) -> dict[str, int]:
    """Return table → rows of `former` that `present` does not have or has otherwise, where there are any.

    Exact, for tables with a primary key that have the same columns in both: others are compared by their number of
    rows.
    """
    counted = {}
    in_both = set(targets.tables(connection, present))
    for table in targets.tables(connection, former):
        rows = (
            _only_in(connection, former, present, table) if table in in_both else count_rows(connection, former, table)
        )
        if rows:
            counted[table] = rows
    return counted


def _only_in(connection: Connection, former: str, present: str, table: str) -> int:
    columns = _columns(connection, former, table)
    if not any(is_key for _, _, is_key in columns) or columns != _columns(connection, present, table):
        return max(0, count_rows(connection, former, table) - count_rows(connection, present, table))
    same = " AND ".join(_same(columns))
    return int(
        scalar(
            connection,
            f"SELECT COUNT(*) FROM {quote(former)}.{quote(table)} AS former WHERE NOT EXISTS"
            f" (SELECT 1 FROM {quote(present)}.{quote(table)} AS present WHERE {same})",
        )
    )


def _same(columns: list[tuple[str, bool, bool]]) -> Iterator[str]:
    for name, is_text, is_key in columns:
        one, other = f"former.{quote(name)}", f"present.{quote(name)}"
        if is_key:  # compared as it is: the index finds it
            yield f"{one} = {other}"
        if is_text:  # whatever the collation takes for equal
            one, other = f"CAST({one} AS BINARY)", f"CAST({other} AS BINARY)"
        if is_text or not is_key:
            yield f"{one} <=> {other}"


def _columns(connection: Connection, database: str, table: str) -> list[tuple[str, bool, bool]]:
    """Return name, whether it is text, whether it is in the primary key."""
    rows = execute(
        connection,
        "SELECT column_name, collation_name IS NOT NULL, column_key = 'PRI' FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        [database, table],
    )
    return [(str(name), bool(is_text), bool(is_key)) for name, is_text, is_key in rows]
