"""What a database holds: its tables, their columns, and how each is read."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from opskit.errors import ConfigurationError, CorruptError, NotFoundError
from opskit.mysql.connection import Connection, execute, is_mariadb, quote, scalar
from opskit.mysql.create_table import parse_create_table
from opskit.mysql.encode import BYTES, DOUBLE, NUMBER, TEXT

Product = Literal["MySQL", "MariaDB"]

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
_INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint"}
_EMPTY_MEMBER = re.compile(r"[(,]''(?=[,)])")


@dataclass(frozen=True, slots=True)
class Column:
    """One column that has to be saved: its SELECT expression, and how its bytes become SQL."""

    name: str
    expression: str
    kind: str


@dataclass(frozen=True, slots=True)
class Table:
    """A base table; generated columns are not among `columns`, invisible ones are."""

    name: str
    engine: str
    columns: tuple[Column, ...]
    create: str
    size: int
    index_size: int
    estimated_rows: int
    range_column: str | None
    reparsed: tuple[str, ...] = ()

    @property
    def transactional(self) -> bool:
        """Whether a snapshot covers the table."""
        return self.engine.lower() == "innodb"

    @property
    def insert_into(self) -> bytes:
        """What every INSERT statement of this table begins with."""
        return insert_into(self.name, [column.name for column in self.columns])

    @property
    def kinds(self) -> str:
        """One letter a column, as `RowEncoder` wants them."""
        return "".join(column.kind for column in self.columns)


def insert_into(table: str, columns: Iterable[str]) -> bytes:
    """Return what every INSERT statement of a dump begins with."""
    return f"INSERT INTO {quote(table)} ({','.join(map(quote, columns))}) VALUES ".encode()


@dataclass(frozen=True, slots=True)
class DatabaseFacts:
    """What is recorded of a database beside its tables."""

    name: str
    product: Product
    server_version: str
    charset: str
    collation: str


def database_facts(connection: Connection, database: str) -> DatabaseFacts:
    """Read product, version, character set and collation; `NotFoundError` if there is no such database."""
    rows = execute(
        connection,
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
        " WHERE schema_name = %s",
        [database],
    )
    if not rows:
        raise NotFoundError(f"there is no database {database!r}, or this user may not see it")
    return DatabaseFacts(
        name=database,
        product="MariaDB" if is_mariadb(connection) else "MySQL",
        server_version=connection.get_server_info(),
        charset=rows[0][0],
        collation=rows[0][1],
    )


def table_names(connection: Connection, database: str) -> dict[str, str]:
    """Return name → engine of every base table, the smallest first.

    Whatever is neither a base table nor a view (a MariaDB sequence, say) cannot be saved and is refused by name.
    """
    rows = execute(
        connection,
        "SELECT table_name, table_type, engine FROM information_schema.tables WHERE table_schema = %s"
        " ORDER BY coalesce(data_length, 0), table_name",
        [database],
    )
    strange = [f"{name} ({kind})" for name, kind, _ in rows if kind not in ("BASE TABLE", "VIEW")]
    if strange:
        raise ConfigurationError(f"cannot be saved: {', '.join(strange)}")
    broken = [name for name, kind, engine in rows if kind == "BASE TABLE" and engine is None]
    if broken:
        raise ConfigurationError(f"the server cannot open the tables {', '.join(broken)}", hint="run CHECK TABLE")
    return {name: engine for name, kind, engine in rows if kind == "BASE TABLE"}


def read_table(connection: Connection, database: str, name: str) -> Table:
    """Read one table's columns and CREATE TABLE statement."""
    columns = tuple(_columns(connection, database, name))
    if not columns:
        raise ConfigurationError(
            f"table {name!r} cannot be saved: all its columns are generated, and no row has a value"
        )
    range_column = _range_column(connection, database, name)
    size, index_size, estimated_rows, engine = execute(
        connection,
        "SELECT coalesce(data_length, 0), coalesce(index_length, 0), coalesce(table_rows, 0), engine"
        " FROM information_schema.tables WHERE table_schema = %s AND table_name = %s",
        [database, name],
    )[0]
    return Table(
        name=name,
        engine=engine,
        columns=columns,
        create=_create_table(connection, database, name),
        size=int(size),
        index_size=int(index_size),
        estimated_rows=int(estimated_rows),
        # A generated column may lead the primary key, and is not saved.
        range_column=range_column if range_column in [column.name for column in columns] else None,
    )


def _create_table(connection: Connection, database: str, name: str) -> str:
    try:
        create = str(execute(connection, f"SHOW CREATE TABLE {quote(name)}")[0][1])
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"the definition of table {name!r} is not UTF-8, and no client could send it back as it is",
            hint="a binary default does that on MariaDB: write it as DEFAULT (UNHEX('…'))",
        ) from error
    outside = execute(
        connection,
        "SELECT DISTINCT referenced_table_schema FROM information_schema.key_column_usage"
        " WHERE table_schema = %s AND table_name = %s AND referenced_table_schema <> table_schema",
        [database, name],
    )
    if outside:
        raise ConfigurationError(
            f"table {name!r} has a foreign key into database {outside[0][0]!r}: it cannot be saved by itself"
        )
    try:
        parse_create_table(create)
    except CorruptError as error:  # what no restore would take must not be saved
        raise ConfigurationError(f"table {name!r} cannot be saved: {error.message}") from error
    return create


def _columns(connection: Connection, database: str, table: str) -> list[Column]:
    rows = execute(
        connection,
        "SELECT column_name, data_type, column_type, character_set_name, extra FROM information_schema.columns"
        " WHERE table_schema = %s AND table_name = %s ORDER BY ordinal_position",
        [database, table],
    )
    return [
        _column(table, name, data_type.lower(), column_type, charset)
        for name, data_type, column_type, charset, extra in rows
        if not re.search(r"\b(VIRTUAL|STORED|PERSISTENT)( GENERATED)?\b", extra.upper())
    ]


def _column(table: str, name: str, data_type: str, column_type: str, charset: str | None) -> Column:
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
        return Column(name, column, TEXT)
    if data_type in _BYTES:
        return Column(name, column, BYTES)
    raise ConfigurationError(f"column {table}.{name} has type {column_type}, which opskit cannot save yet")


def _range_column(connection: Connection, database: str, table: str) -> str | None:
    """Return the first column of the primary key, if it is an integer: what the table can be split along."""
    rows = execute(
        connection,
        "SELECT c.column_name, c.data_type FROM information_schema.statistics s"
        " JOIN information_schema.columns c ON c.table_schema = s.table_schema"
        " AND c.table_name = s.table_name AND c.column_name = s.column_name"
        " WHERE s.table_schema = %s AND s.table_name = %s AND s.index_name = 'PRIMARY' AND s.seq_in_index = 1",
        [database, table],
    )
    return str(rows[0][0]) if rows and rows[0][1].lower() in _INTEGERS else None


def changed_by_reparsing(connection: Connection, database: str, table: str) -> dict[str, int]:
    """Return column → rows of the JSON columns whose text, parsed again, is another value.

    A JSON value can hold what no JSON text can say (DECIMAL 1.10, an opaque DATE); run inside the snapshot.
    """
    if is_mariadb(connection):
        return {}  # there JSON is a text type
    rows = execute(
        connection,
        "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
        " AND data_type = 'json' AND generation_expression = ''",
        [database, table],
    )
    changed = {}
    for (name,) in rows:
        column = quote(name)
        again = reparsed(name)
        count = scalar(
            connection,
            f"SELECT COUNT(*) FROM {quote(table)} WHERE {column} IS NOT NULL AND (NOT ({column} <=> {again})"
            f" OR BINARY CAST({column} AS CHAR) <> BINARY CAST({again} AS CHAR))",
        )
        if count:
            changed[name] = int(count)
    return changed


def reparsed(column: str) -> str:
    """Return the expression that reads a JSON column as its text would be read back."""
    return f"CAST(CAST({quote(column)} AS CHAR) AS JSON)"


def column_expressions(column: str) -> tuple[str, ...]:
    """Return every expression by which a dump may read a column."""
    name = quote(column)
    return (name, f"CAST({name} AS DOUBLE)", f"{name}+0", f"CAST({name} AS UNSIGNED)", reparsed(column))
