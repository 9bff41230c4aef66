"""Cutting a table, or a part of it, along any primary key, by walking its index.

For keys that halving cannot cut: strings, dates, and one value of the first column that has very many rows.
Each cut is a row's key; what compares greater belongs to the next part, so that every row is in exactly one part
whatever the collation makes equal.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from opskit.mysql.connection import Connection, execute, quote

# A safeguard: a table that grows while it is walked does not grow in the snapshot.
_MAXIMUM_CUTS = 100_000
_NUMBERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal"}
_MOMENTS = {"date", "datetime", "timestamp"}
_BYTES = {"binary", "varbinary"}
_TEXTS = {"char", "varchar"}


@dataclass(frozen=True, slots=True)
class KeyColumn:
    """One column of a primary key; `charset` is None for what is not text."""

    name: str
    data_type: str
    charset: str | None = None

    @property
    def literal(self) -> str:
        """The expression by which the server writes a value of this column as a literal."""
        column = quote(self.name)
        if self.data_type in _NUMBERS:
            return f"CAST({column} AS CHAR)"
        if self.data_type in _MOMENTS:
            return f"QUOTE({column})"
        introducer = f"_{self.charset} " if self.charset else ""
        return f"IF(LENGTH({column}) = 0, '''''', CONCAT('{introducer}0x', HEX({column})))"


def primary_key(connection: Connection, table: str) -> tuple[KeyColumn, ...]:
    """Return the columns of the primary key, in their order; none where one of them cannot be compared as a literal.

    So it is with columns that are only indexed in part or descending, and with types that sort otherwise than they
    compare (ENUM).
    """
    rows = execute(
        connection,
        "SELECT c.column_name, c.data_type, c.character_set_name, s.sub_part, s.collation"
        " FROM information_schema.statistics s JOIN information_schema.columns c ON c.table_schema = s.table_schema"
        " AND c.table_name = s.table_name AND c.column_name = s.column_name"
        " WHERE s.table_schema = DATABASE() AND s.table_name = %s AND s.index_name = 'PRIMARY' ORDER BY s.seq_in_index",
        [table],
    )
    comparable = _NUMBERS | _MOMENTS | _BYTES | _TEXTS
    for _, data_type, _, sub_part, order in rows:
        if data_type.lower() not in comparable or sub_part is not None or order != "A":
            return ()
    return tuple(KeyColumn(name, data_type.lower(), charset) for name, data_type, charset, _, _ in rows)


def walk(connection: Connection, table: str, key: Sequence[KeyColumn], within: str, rows_per_part: int) -> list[str]:
    """Return conditions that cut the rows `within` a condition into parts of at most `rows_per_part` rows each."""
    columns = ", ".join(quote(column.name) for column in key)
    literals = ", ".join(column.literal for column in key)
    parts: list[str] = []
    above = within
    while len(parts) < _MAXIMUM_CUTS:
        found = execute(
            connection,
            f"SELECT {literals} FROM {quote(table)} FORCE INDEX (PRIMARY)"
            f"{f' WHERE {above}' if above else ''} ORDER BY {columns} LIMIT 1 OFFSET {rows_per_part - 1}",
        )
        if not found:
            break
        cut = [_text(value) for value in found[0]]
        parts.append(_all(above, _compared(key, cut, "<", "<=")))
        above = _all(within, _compared(key, cut, ">", ">"))
    return [*parts, above]


def _compared(key: Sequence[KeyColumn], cut: Sequence[str], operator: str, last: str) -> str:
    """Compare a key with a cut, spelled so that the optimizer makes a range of it: it makes none of (a, b) > (1, 2)."""
    column, value = quote(key[0].name), cut[0]
    if len(key) == 1:
        return f"{column} {last} {value}"
    rest = _compared(key[1:], cut[1:], operator, last)
    return f"({column} {operator} {value} OR ({column} = {value} AND {rest}))"


def _all(*conditions: str) -> str:
    return " AND ".join(condition for condition in conditions if condition)


def _text(value: object) -> str:
    return value.decode("ascii") if isinstance(value, bytes) else str(value)
