"""Rows whose foreign key points nowhere: kept as the source had them, and counted."""

from opskit.mysql.connection import Connection, execute, quote, scalar

_FOREIGN_KEYS = (
    "SELECT constraint_name, table_name, referenced_table_name, column_name, referenced_column_name"
    " FROM information_schema.key_column_usage WHERE table_schema = %s AND referenced_table_name IS NOT NULL"
    " ORDER BY table_name, constraint_name, ordinal_position"
)


def count_orphans(connection: Connection, database: str) -> dict[str, int]:
    """Return constraint → rows without a parent, for the constraints that have any."""
    keys: dict[tuple[str, str, str], list[tuple[str, str]]] = {}
    for name, child, parent, column, referenced in execute(connection, _FOREIGN_KEYS, [database]):
        keys.setdefault((name, child, parent), []).append((column, referenced))
    counted = {}
    for (name, child, parent), columns in keys.items():
        joined = " AND ".join(f"c.{quote(column)} = p.{quote(referenced)}" for column, referenced in columns)
        given = " AND ".join(f"c.{quote(column)} IS NOT NULL" for column, _ in columns)
        rows = scalar(
            connection,
            f"SELECT COUNT(*) FROM {quote(child)} c LEFT JOIN {quote(parent)} p ON {joined}"
            f" WHERE {given} AND p.{quote(columns[0][1])} IS NULL",
        )
        if rows:
            counted[f"{child}.{name}"] = int(rows)
    return counted
