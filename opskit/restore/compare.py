"""Comparing what came back with what was saved: row counts and row digests, read the same way."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from opskit.backup.manifest import Manifest, TableEntry
from opskit.errors import CorruptError
from opskit.mysql import wire
from opskit.mysql.connection import Connection, execute, is_mariadb, quote
from opskit.mysql.encode import RowEncoder
from opskit.mysql.ranges import RANGE_BYTES, Range, split
from opskit.mysql.schema import read_table
from opskit.progress import Progress
from opskit.workers import Stop, run

# The products print these types differently, so their digests cannot be compared between them.
_PRINTED_DIFFERENTLY = {"float", "double", "json"}


@dataclass(frozen=True, slots=True)
class Comparison:
    """One table: what the backup says, what is there; `digest` is None where it could not be compared."""

    table: str
    expected_rows: int
    rows: int
    expected_digest: str
    digest: str | None

    @property
    def equal(self) -> bool:
        """Whether nothing that was compared differs."""
        return self.rows == self.expected_rows and self.digest in (None, self.expected_digest)


def require_comparable(manifest: Manifest) -> None:
    """Raise `CorruptError` if this opskit cannot compute the row digests: a restore must not be taken for proved."""
    if not manifest.comparable:
        raise CorruptError(
            f"the row digests of {manifest.id} are {manifest.digest_algorithm!r}: not comparable",
            hint="use the opskit that wrote it, or a newer one",
        )


def compare(
    connections: Sequence[Connection], database: str, manifest: Manifest, progress: Progress, stop: Stop
) -> list[Comparison]:
    """Read every restored table once and compare it with the manifest."""
    found: dict[str, list[int]] = {table.name: [0, 0] for table in manifest.tables}
    lock = threading.Lock()

    def read(connection: Connection, task: tuple[TableEntry, str]) -> None:
        table, where = task
        encoder = RowEncoder()
        select = f"SELECT {', '.join(table.select)} FROM {quote(table.name)}{where}"
        for _ in wire.stream(connection, select, encoder):
            stop.check()
        progress.advance(encoder.rows)
        with lock:
            found[table.name][0] += encoder.rows
            found[table.name][1] += encoder.digest

    tasks = [(table, where) for table in manifest.tables for where in _parts(connections[0], database, table)]
    for connection in connections:
        execute(connection, "SET SESSION character_set_results = NULL")
    progress.phase("compare", manifest.rows, "rows")
    run(tasks, connections, read, stop)
    for connection in connections:
        execute(connection, "SET SESSION character_set_results = utf8mb4")
    foreign = _not_comparable(connections[0], database, manifest)
    return [
        Comparison(
            table=table.name,
            expected_rows=table.rows,
            rows=found[table.name][0],
            expected_digest=table.digest,
            digest=None if table.name in foreign else f"{found[table.name][1] % 2**64:016x}",
        )
        for table in manifest.tables
    ]


def _parts(connection: Connection, database: str, table: TableEntry) -> list[str]:
    """Return WHERE clauses that cut the table into the ranges of the backup, or new ones if it does not tell them."""
    bounds = sorted({chunk.first for chunk in table.chunks if chunk.first is not None})
    if table.range_column is not None and bounds:
        ranges = [Range(first, before) for first, before in pairwise([None, *bounds, None])]
        return [each.where(table.range_column) for each in ranges]
    if table.sql_bytes < RANGE_BYTES:
        return [""]
    # The server counts what was loaded only after ten seconds, and by its statistics the table would be empty.
    execute(connection, f"ANALYZE NO_WRITE_TO_BINLOG TABLE {quote(table.name)}")
    restored = read_table(connection, database, table.name)
    return [each.where(restored.range_column) for each in split(connection, restored)]


def _not_comparable(connection: Connection, database: str, manifest: Manifest) -> set[str]:
    if is_mariadb(connection) == (manifest.database.product == "MariaDB"):
        return set()
    rows = execute(
        connection,
        "SELECT DISTINCT table_name, data_type FROM information_schema.columns WHERE table_schema = %s",
        [database],
    )
    return {str(name) for name, data_type in rows if data_type.lower() in _PRINTED_DIFFERENTLY}


def require_equal(comparisons: list[Comparison], backup_id: str) -> None:
    """Raise `CorruptError` that names each table that differs."""
    different = [
        f"{each.table} (rows {each.rows} of {each.expected_rows}, digest {each.digest} for {each.expected_digest})"
        for each in comparisons
        if not each.equal
    ]
    if different:
        raise CorruptError(f"what came back is not what {backup_id} says: {'; '.join(different)}")
