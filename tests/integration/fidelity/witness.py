"""What others say of two databases: mysqldump, the server's own checksums, information_schema."""

import difflib
import re
import subprocess
from itertools import islice
from typing import Any

from opskit.mysql.schema import MARKER_TABLE
from sandbox.server import Server

# Facts that no dump could keep: when, where and how large.
_VOLATILE = {
    "CREATE_TIME", "UPDATE_TIME", "CHECK_TIME", "TABLE_ROWS", "AVG_ROW_LENGTH", "DATA_LENGTH", "MAX_DATA_LENGTH",
    "INDEX_LENGTH", "MAX_INDEX_LENGTH", "DATA_FREE", "CHECKSUM", "CARDINALITY", "CREATED", "LAST_ALTERED",
    "LAST_EXECUTED",
}  # fmt: skip
VIEWS_OF_A_DATABASE = {
    "SCHEMATA": "SCHEMA_NAME",
    "TABLES": "TABLE_SCHEMA",
    "COLUMNS": "TABLE_SCHEMA",
    "STATISTICS": "TABLE_SCHEMA",
    "TABLE_CONSTRAINTS": "TABLE_SCHEMA",
    "CHECK_CONSTRAINTS": "CONSTRAINT_SCHEMA",
    "REFERENTIAL_CONSTRAINTS": "CONSTRAINT_SCHEMA",
    "KEY_COLUMN_USAGE": "TABLE_SCHEMA",
    "PARTITIONS": "TABLE_SCHEMA",
    "VIEWS": "TABLE_SCHEMA",
    "TRIGGERS": "TRIGGER_SCHEMA",
    "ROUTINES": "ROUTINE_SCHEMA",
    "PARAMETERS": "SPECIFIC_SCHEMA",
    "EVENTS": "EVENT_SCHEMA",
}


def mysqldump(server: Server, database: str) -> str:
    """Dump all there is in a database, in a form that names it nowhere."""
    options = ["--single-transaction", "--skip-comments", "--hex-blob", "--routines", "--events", "--triggers"]
    options.append("--max-allowed-packet=1G")
    if server.product == "MySQL":
        options.append("--set-gtid-purged=OFF")
    program = "mysqldump" if server.product == "MySQL" else "mariadb-dump"
    command = [*server.client(program), *options, f"--ignore-table={database}.{MARKER_TABLE}", database]
    dump = subprocess.run(command, check=True, capture_output=True).stdout
    return _anonymous(dump.decode("utf-8", "surrogateescape"), database)


def _anonymous(text: str, database: str) -> str:
    return re.sub(re.escape(database) + r"(?!\w)", "DATABASE", text)


def require_same_dump(server: Server, source: str, target: str) -> None:
    """Fail with the first lines that differ; pytest would take minutes to compare two texts of this size."""
    expected, found = mysqldump(server, source), mysqldump(server, target)
    if expected != found:
        lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), n=0, lineterm="")
        raise AssertionError("\n".join(line[:300] for line in islice(lines, 40)))


def checksums(server: Server, database: str, *, without: frozenset[str] = frozenset()) -> dict[str, int | None]:
    """Return table → CHECKSUM TABLE."""
    tables = [table for table in base_tables(server, database) if table not in without]
    listed = ", ".join("`" + table.replace("`", "``") + "`" for table in tables)
    rows = server.execute(f"USE `{database}`", f"CHECKSUM TABLE {listed}")
    return dict(zip(tables, [row[1] for row in rows], strict=True))


def base_tables(server: Server, database: str) -> list[str]:
    rows = server.execute(
        f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{database}'"
        f" AND table_type = 'BASE TABLE' AND table_name <> '{MARKER_TABLE}' ORDER BY table_name"
    )
    return [row[0] for row in rows]


def rows(server: Server, database: str, table: str, *expressions: str) -> list[tuple[Any, ...]]:
    """Return values as the server prints them, in the order of the bytes: nothing is converted on the way."""
    select = f"SELECT {', '.join(expressions)} FROM `{table}`"
    with server.connect(database=database, conv={}) as connection, connection.cursor() as cursor:
        cursor.execute(select)
        return sorted(cursor.fetchall(), key=repr)


def facts(server: Server, database: str, view: str) -> list[tuple[Any, ...]]:
    """Return what a view of information_schema tells of a database, but for times, sizes and estimates."""
    columns = [
        name
        for (name,) in server.execute(
            "SELECT column_name FROM information_schema.columns"
            f" WHERE table_schema = 'information_schema' AND table_name = '{view}' ORDER BY ordinal_position"
        )
        if name not in _VOLATILE
    ]
    found = server.execute(
        "/*!80000 SET SESSION information_schema_stats_expiry = 0 */",
        f"SELECT {', '.join(columns)} FROM information_schema.{view} WHERE {VIEWS_OF_A_DATABASE[view]} = '{database}'",
    )
    named = (tuple(_anonymous(value, database) if isinstance(value, str) else value for value in row) for row in found)
    return sorted(named, key=repr)
