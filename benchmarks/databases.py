"""What is backed up and restored: registries of several sizes, and rows that are large by themselves."""

import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import sandbox
from sandbox.mysql import filled
from sandbox.registry import Shape, generate
from sandbox.server import OwnServer, Server, Template

DATABASE = "registry"
ARTIFACTS = 250_000
# What can be measured, by what it is called on the command line, and in the order in which the results have it.
SUBJECTS = {"1": "x1", "4": "x4", "16": "x16", "oversized": "oversized rows"}
OVERSIZED_ROWS = 12
OVERSIZED_BYTES = 20 * 1024 * 1024
# As the bars of the benchmark are meant: with the default redo log of 100 MB every restore waits for checkpoints.
SERVER = ("--innodb-buffer-pool-size=2G", "--innodb-redo-log-capacity=1G", "--max-allowed-packet=128M")


@dataclass(frozen=True, slots=True)
class Subject:
    """A data folder whose database is measured; without one it is filled where it is measured."""

    name: str
    template: Template | None = None


def subject(size: str, artifacts: int) -> Subject:
    """Return the registry of `size` times so many artifacts, or the oversized rows; made once, then cached."""
    if size == "oversized":
        return Subject(SUBJECTS[size], filled("oversized", SERVER, _oversized))
    count = int(size) * artifacts
    fill = functools.partial(_registry, count)
    return Subject(SUBJECTS[size], filled(f"registry-{count}-{_generator()}", SERVER, fill))


def row_counts(server: Server, database: str) -> dict[str, int]:
    """Count the rows of each of a database's tables."""
    tables = server.execute(
        "SELECT table_name FROM information_schema.tables"
        f" WHERE table_schema = '{database}' AND table_type = 'BASE TABLE'"
    )
    return {table: int(server.execute(f"SELECT COUNT(*) FROM `{database}`.`{table}`")[0][0]) for (table,) in tables}


def _generator() -> str:
    """Return a digest of what makes the rows: a registry that another version made is another."""
    folder = Path(sandbox.__file__).parent
    files = sorted((*folder.glob("registry*.py"), *folder.glob("schema/*.sql")))
    return hashlib.sha256(b"".join(each.read_bytes() for each in files)).hexdigest()[:8]


def _registry(artifacts: int, server: OwnServer) -> None:
    """Make a registry, each artifact of which has eight properties, with statistics as a used one has them."""
    server.execute(f"CREATE DATABASE {DATABASE}")
    without_log = "SET sql_log_bin = 0"
    with server.connect(database=DATABASE, init_command=without_log, read_timeout=3600) as connection:
        generate(connection, Shape("embedmd", models=max(20, artifacts // 25), artifacts=artifacts))
    server.execute(*(f"ANALYZE TABLE {DATABASE}.`{table}`" for table in row_counts(server, DATABASE)))


def _oversized(server: OwnServer) -> None:
    """Make a table of a few rows of 20 MiB, half of them bytes that SQL text has to escape."""
    table = f"{DATABASE}.rows_"
    server.execute(f"CREATE DATABASE {DATABASE}", f"CREATE TABLE {table} (id INT PRIMARY KEY, b LONGBLOB, t LONGTEXT)")
    for number in range(OVERSIZED_ROWS):
        column, value = ("b", "X'00FF27'") if number % 2 else ("t", "'row '")
        length = 3 if number % 2 else 4
        server.execute(
            f"INSERT INTO {table} (id, {column}) VALUES ({number}, REPEAT({value}, {OVERSIZED_BYTES // length}))"
        )
    server.execute(f"ANALYZE TABLE {table}")
