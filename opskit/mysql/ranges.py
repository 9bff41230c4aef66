"""A table cut into ranges of about the same size, so that several workers can read it."""

from dataclasses import dataclass
from itertools import pairwise

from opskit.mysql.connection import Connection, execute, is_mariadb, quote
from opskit.mysql.schema import Table

# What one range should hold, in the storage engine's bytes; a range may become several chunks.
RANGE_BYTES = 16 * 1024 * 1024
_MAXIMUM_DEPTH = 24


@dataclass(frozen=True, slots=True)
class Range:
    """Rows whose range column is at least `first` and below `before`; None means no bound on that side."""

    first: int | None = None
    before: int | None = None

    def where(self, column: str | None) -> str:
        """Return the WHERE clause, or nothing for the whole table."""
        if column is None or (self.first is None and self.before is None):
            return ""
        bounds = []
        if self.first is not None:
            bounds.append(f"{quote(column)} >= {self.first}")
        if self.before is not None:
            bounds.append(f"{quote(column)} < {self.before}")
        return " WHERE " + " AND ".join(bounds)


def split(connection: Connection, table: Table) -> list[Range]:
    """Cut the table by halving its key range until the index says that a part is small enough.

    The server's estimate comes from dives into the index, not from reading rows, and knows sparse and skewed
    keys. Every row is in exactly one range, whatever the estimates are worth.
    """
    column = table.range_column
    if column is None or table.size < 2 * RANGE_BYTES:
        return [Range()]
    low, high = execute(
        connection,
        f"SELECT MIN({quote(column)}), MAX({quote(column)}) FROM {quote(table.name)}",
    )[0]
    if low is None or low == high:
        return [Range()]
    target_rows = max(1000, table.estimated_rows * RANGE_BYTES // table.size)
    cuts = _cuts(connection, table, int(low), int(high) + 1, target_rows)
    bounds = [None, *cuts, None]
    return [Range(first, before) for first, before in pairwise(bounds)]


def _cuts(connection: Connection, table: Table, low: int, high: int, target_rows: int) -> list[int]:
    cuts: list[int] = []
    parts = [(low, high, 0)]
    while parts:
        first, before, depth = parts.pop()
        middle = (first + before) // 2
        if middle > first and depth < _MAXIMUM_DEPTH and _estimate(connection, table, first, before) > target_rows:
            parts += [(middle, before, depth + 1), (first, middle, depth + 1)]
        elif first != low:
            cuts.append(first)
    return cuts


def _estimate(connection: Connection, table: Table, first: int, before: int) -> int:
    plan = "EXPLAIN" if is_mariadb(connection) else "EXPLAIN FORMAT=TRADITIONAL"
    row = execute(
        connection,
        f"{plan} SELECT 1 FROM {quote(table.name)} FORCE INDEX (PRIMARY)"
        + Range(first, before).where(table.range_column),
    )[0]
    return int(row[8 if is_mariadb(connection) else 9] or 0)
