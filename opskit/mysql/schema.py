"""What a database holds: its tables, their columns, and how each is read."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from typing import Literal

from opskit.errors import ConfigurationError, CorruptError, NotFoundError
from opskit.mysql.columns import Column, column_as_saved, reparsed
from opskit.mysql.connection import Connection, execute, is_mariadb, quote, scalar
from opskit.mysql.create_table import parse_create_table

Product = Literal["MySQL", "MariaDB"]

# By it a database that opskit made is known: it is no part of what is saved.
MARKER_TABLE = "_opskit_marker"

_INTEGERS = {"tinyint", "smallint", "mediumint", "int", "bigint"}


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
    """Return name → engine of every base table but opskit's marker, the smallest first.

    Whatever is neither a base table nor a view (a MariaDB sequence, say) cannot be saved and is refused by name.
    """
    rows = execute(
        connection,
        "SELECT table_name, table_type, engine FROM information_schema.tables WHERE table_schema = %s"
        " AND table_name <> %s ORDER BY coalesce(data_length, 0), table_name",
        [database, MARKER_TABLE],
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
    return read_tables(connection, database, [name])[0]


def read_tables(connection: Connection, database: str, names: Collection[str]) -> list[Table]:
    """Read columns and CREATE TABLE statements of several tables, in few round trips: one a table, and four."""
    columns = _columns(connection, database, names)
    range_columns = _range_columns(connection, database)
    outside = _foreign_databases(connection, database)
    sizes = {
        str(name): (int(size), int(index_size), int(rows), str(engine))
        for name, size, index_size, rows, engine in execute(
            connection,
            "SELECT table_name, coalesce(data_length, 0), coalesce(index_length, 0), coalesce(table_rows, 0), engine"
            " FROM information_schema.tables WHERE table_schema = %s",
            [database],
        )
    }
    tables = []
    for name in names:
        if name in outside:
            raise ConfigurationError(
                f"table {name!r} has a foreign key into database {outside[name]!r}: it cannot be saved by itself"
            )
        size, index_size, estimated_rows, engine = sizes[name]
        range_column = range_columns.get(name)
        tables.append(
            Table(
                name=name,
                engine=engine,
                columns=columns[name],
                create=_create_table(connection, name),
                size=size,
                index_size=index_size,
                estimated_rows=estimated_rows,
                # A generated column may lead the primary key, and is not saved.
                range_column=range_column if range_column in [column.name for column in columns[name]] else None,
            )
        )
    return tables


def _create_table(connection: Connection, name: str) -> str:
    try:
        create = str(execute(connection, f"SHOW CREATE TABLE {quote(name)}")[0][1])
    except UnicodeDecodeError as error:
        raise ConfigurationError(
            f"the definition of table {name!r} is not UTF-8, and no client could send it back as it is",
            hint="a binary default does that on MariaDB: write it as DEFAULT (UNHEX('…'))",
        ) from error
    try:
        parse_create_table(create)
    except CorruptError as error:  # what no restore would take must not be saved
        raise ConfigurationError(f"table {name!r} cannot be saved: {error.message}") from error
    return create


def _foreign_databases(connection: Connection, database: str) -> dict[str, str]:
    """Return table → another database into which one of its foreign keys points."""
    rows = execute(
        connection,
        "SELECT DISTINCT table_name, referenced_table_schema FROM information_schema.key_column_usage"
        " WHERE table_schema = %s AND referenced_table_schema <> table_schema",
        [database],
    )
    return {str(name): str(schema) for name, schema in rows}


def _columns(connection: Connection, database: str, tables: Collection[str]) -> dict[str, tuple[Column, ...]]:
    rows = execute(
        connection,
        "SELECT table_name, column_name, data_type, column_type, character_set_name, extra"
        " FROM information_schema.columns WHERE table_schema = %s ORDER BY table_name, ordinal_position",
        [database],
    )
    columns: dict[str, list[Column]] = {name: [] for name in tables}
    for table, name, data_type, column_type, charset, extra in rows:
        if table in columns and not re.search(r"\b(VIRTUAL|STORED|PERSISTENT)( GENERATED)?\b", extra.upper()):
            columns[table].append(column_as_saved(table, name, data_type.lower(), column_type, charset))
    for table, found in columns.items():
        if not found:
            raise ConfigurationError(
                f"table {table!r} cannot be saved: all its columns are generated, and no row has a value"
            )
    return {table: tuple(found) for table, found in columns.items()}


def _range_columns(connection: Connection, database: str) -> dict[str, str]:
    """Return table → the first column of its primary key, if it is an integer: what the table can be split along."""
    rows = execute(
        connection,
        "SELECT s.table_name, c.column_name, c.data_type FROM information_schema.statistics s"
        " JOIN information_schema.columns c ON c.table_schema = s.table_schema"
        " AND c.table_name = s.table_name AND c.column_name = s.column_name"
        " WHERE s.table_schema = %s AND s.index_name = 'PRIMARY' AND s.seq_in_index = 1",
        [database],
    )
    return {str(table): str(name) for table, name, data_type in rows if data_type.lower() in _INTEGERS}


def changed_by_reparsing(connection: Connection, table: Table) -> dict[str, int]:
    """Return column → rows of the JSON columns whose text, parsed again, is another value.

    A JSON value can hold what no JSON text can say (DECIMAL 1.10, an opaque DATE); run inside the snapshot. MariaDB has
    no such columns: there JSON is a text type.
    """
    changed = {}
    for name in [column.name for column in table.columns if column.is_json]:
        column = quote(name)
        again = reparsed(name)
        count = scalar(
            connection,
            f"SELECT COUNT(*) FROM {quote(table.name)} WHERE {column} IS NOT NULL AND (NOT ({column} <=> {again})"
            f" OR BINARY CAST({column} AS CHAR) <> BINARY CAST({again} AS CHAR))",
        )
        if count:
            changed[name] = int(count)
    return changed
