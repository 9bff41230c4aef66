"""What is backed up and restored: registries of two sizes, and rows that are large by themselves."""

from dataclasses import dataclass

from sandbox.registry import Shape, generate
from sandbox.server import Server

OVERSIZED_ROWS = 12
OVERSIZED_BYTES = 20 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Subject:
    """One database to measure with."""

    name: str
    database: str
    rows: int


def registry(server: Server, name: str, artifacts: int) -> Subject:
    """Make a registry with so many artifacts, each with eight properties."""
    database = f"registry_{name}"
    server.execute(f"CREATE DATABASE `{database}`")
    with server.connect(database=database, read_timeout=3600) as connection:
        generate(connection, Shape("embedmd", models=max(20, artifacts // 25), artifacts=artifacts))
    return Subject(name, database, _rows(server, database))


def oversized(server: Server) -> Subject:
    """Make a table of a few rows of 20 MiB, half of them bytes that SQL text has to escape."""
    server.execute(
        "CREATE DATABASE oversized", "CREATE TABLE oversized.rows_ (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT)"
    )
    for number in range(OVERSIZED_ROWS):
        column, value = ("b", "X'00FF27'") if number % 2 else ("t", "'row '")
        length = 3 if number % 2 else 4
        server.execute(
            f"INSERT INTO oversized.rows_ (id, {column})"
            f" VALUES ({number}, REPEAT({value}, {OVERSIZED_BYTES // length}))"
        )
    return Subject("oversized rows", "oversized", OVERSIZED_ROWS)


def _rows(server: Server, database: str) -> int:
    tables = server.execute(f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{database}'")
    return sum(int(server.execute(f"SELECT COUNT(*) FROM `{database}`.`{table}`")[0][0]) for (table,) in tables)
