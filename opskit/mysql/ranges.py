"""A table cut into ranges of about the same size, so that several workers can read it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise

from opskit.mysql.connection import Connection, execute, is_mariadb, quote
from opskit.mysql.key_walk import KeyColumn, primary_key, walk
from opskit.mysql.schema import Table

# What one range should hold, in the storage engine's bytes; a range may become several chunks.
RANGE_BYTES = 16 * 1024 * 1024
_MAXIMUM_DEPTH = 64
_FEWEST_ROWS = 1000


@dataclass(frozen=True, slots=True)
class Range:
    """Rows whose range column is at least `first` and below `before`, None meaning no bound on that side.

    Where that cannot cut small enough, `condition` says in SQL which of them, bounds included.
    """

    first: int | None = None
    before: int | None = None
    condition: str = ""

    def where(self, column: str | None) -> str:
        """Return the WHERE clause, or nothing for the whole table."""
        if self.condition:
            return f" WHERE {self.condition}"
        bounds = []
        if column is not None and self.first is not None:
            bounds.append(f"{quote(column)} >= {self.first}")
        if column is not None and self.before is not None:
            bounds.append(f"{quote(column)} < {self.before}")
        return " WHERE " + " AND ".join(bounds) if bounds else ""


def split(connection: Connection, table: Table) -> list[Range]:
    """Cut the table until the index says that a part is small enough.

    A key that begins with an integer is halved: the server's estimate comes from dives into the index, not from
    reading rows, and knows sparse and skewed keys. Any other key, and one value of the first column that has too many
    rows, is walked. Every row is in exactly one range, whatever the estimates are worth.
    """
    if table.size < 2 * RANGE_BYTES:
        return [Range()]
    rows_per_range = max(_FEWEST_ROWS, table.estimated_rows * RANGE_BYTES // table.size)
    key = primary_key(connection, table.name)
    if table.range_column is not None:
        return list(_halved(connection, table, key, rows_per_range))
    if not key:
        return [Range()]
    return [Range(condition=each) for each in walk(connection, table.name, key, "", rows_per_range)]


def _halved(connection: Connection, table: Table, key: tuple[KeyColumn, ...], rows_per_range: int) -> Iterator[Range]:
    column = quote(table.range_column or "")
    low, high = execute(connection, f"SELECT MIN({column}), MAX({column}) FROM {quote(table.name)}")[0]
    if low is None:
        yield Range()
        return
    cuts = _cuts(connection, table, int(low), int(high) + 1, rows_per_range)
    for first, before in pairwise([None, *cuts, None]):
        part = Range(first, before)
        values = (int(high) + 1 if before is None else before) - (int(low) if first is None else first)
        if values == 1 and key[1:] and _estimate(connection, table, part) > 2 * rows_per_range:
            within = part.where(table.range_column).removeprefix(" WHERE ")
            for condition in walk(connection, table.name, key[1:], within, rows_per_range):
                yield replace(part, condition=condition)
        else:
            yield part


def _cuts(connection: Connection, table: Table, low: int, high: int, rows_per_range: int) -> list[int]:
    cuts: list[int] = []
    parts = [(low, high, 0)]
    while parts:
        first, before, depth = parts.pop()
        middle = (first + before) // 2
        large = depth < _MAXIMUM_DEPTH and _estimate(connection, table, Range(first, before)) > rows_per_range
        if middle > first and large:
            parts += [(middle, before, depth + 1), (first, middle, depth + 1)]
        elif first != low:
            cuts.append(first)
    return cuts


def _estimate(connection: Connection, table: Table, part: Range) -> int:
    plan = "EXPLAIN" if is_mariadb(connection) else "EXPLAIN FORMAT=TRADITIONAL"
    # FORCE INDEX would spare the server its dives, and the estimate would be 1 (measured on MySQL 9.7).
    row = execute(
        connection,
        f"{plan} SELECT 1 FROM {quote(table.name)} USE INDEX (PRIMARY)" + part.where(table.range_column),
    )[0]
    return int(row[8 if is_mariadb(connection) else 9] or 0)
