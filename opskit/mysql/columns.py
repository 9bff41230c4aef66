"""Columns: by which expression each is read, and how its bytes become SQL."""

import re
from dataclasses import dataclass

from opskit.errors import ConfigurationError
from opskit.mysql.connection import quote
from opskit.mysql.encode import BYTES, DOUBLE, NUMBER, TEXT

_NUMBERS = {"tinyint", "smallint", "mediumint", "int", "bigint", "decimal", "year"}
_TEXTS = {
    "char",
    "varchar",
    "tinytext",
    "text",
    "mediumtext",
    "longtext",
    "enum",
    "set",
}
_ASCII = {
    "date",
    "time",
    "datetime",
    "timestamp",
    "json",
    "uuid",
    "inet4",
    "inet6",
}
_BYTES = {
    "binary",
    "varbinary",
    "tinyblob",
    "blob",
    "mediumblob",
    "longblob",
    "bit",
    "vector",
    "geometry",
    "point",
    "linestring",
    "polygon",
    "multipoint",
    "multilinestring",
    "multipolygon",
    "geomcollection",
    "geometrycollection",
}
# Their bytes are valid UTF-8 and stay what they are when they are read as utf8mb4.
_UTF8_SUBSETS = {"utf8mb4", "utf8mb3", "utf8", "ascii"}
_EMPTY_MEMBER = re.compile(r"[(,]''(?=[,)])")


@dataclass(frozen=True, slots=True)
class Column:
    """One column that has to be saved: its SELECT expression, and how its bytes become SQL."""

    name: str
    expression: str
    kind: str
    is_json: bool = False


def column_as_saved(table: str, name: str, data_type: str, column_type: str, charset: str | None) -> Column:
    """Decide how a column is saved, by its type; `ConfigurationError` for a type that cannot be."""
    column = quote(name)
    if data_type == "float" or (data_type == "double" and "zerofill" in column_type.lower()):
        # As text a FLOAT has six digits; as a DOUBLE it has all of them. ZEROFILL makes 00-0 of a negative zero.
        return Column(name, f"CAST({column} AS DOUBLE)", DOUBLE)
    if data_type == "double":
        return Column(name, column, DOUBLE)
    if data_type in _NUMBERS:
        return Column(name, column, NUMBER)
    if data_type in ("enum", "set") and _EMPTY_MEMBER.search(column_type):
        # By its text the member '' cannot be told from the error value, which is number 0.
        return Column(name, f"CAST({column} AS UNSIGNED)" if data_type == "set" else f"{column}+0", NUMBER)
    if data_type in _TEXTS:
        return Column(name, column, TEXT if charset in _UTF8_SUBSETS else BYTES)
    if data_type in _ASCII:
        return Column(name, column, TEXT, is_json=data_type == "json")
    if data_type in _BYTES:
        return Column(name, column, BYTES)
    raise ConfigurationError(f"column {table}.{name} has type {column_type}, which opskit cannot save yet")


def reparsed(column: str) -> str:
    """Return the expression that reads a JSON column as its text would be read back."""
    return f"CAST(CAST({quote(column)} AS CHAR) AS JSON)"


def column_expressions(column: str) -> tuple[str, ...]:
    """Return every expression by which a dump may read a column."""
    name = quote(column)
    return (name, f"CAST({name} AS DOUBLE)", f"{name}+0", f"CAST({name} AS UNSIGNED)", reparsed(column))
