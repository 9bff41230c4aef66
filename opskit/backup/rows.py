"""Reading rows: tables cut into ranges, ranges read by workers, chunks put into storage."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import partial

from opskit.backup import layout
from opskit.backup.manifest import Chunk
from opskit.backup.throttle import Throttle
from opskit.backup.writer import Writer
from opskit.mysql import wire
from opskit.mysql.columns import reparsed
from opskit.mysql.connection import execute, quote
from opskit.mysql.encode import RowEncoder
from opskit.mysql.ranges import Range, split
from opskit.mysql.schema import Table, changed_by_reparsing, read_tables
from opskit.mysql.session_file import FILE_HEADER
from opskit.mysql.snapshot import Snapshot, Worker
from opskit.progress import Progress
from opskit.registry.integrity import Reference, count_missing, references
from opskit.workers import Stop, run

# A chunk is loaded in one transaction, and about 8 MB was measured to load fastest: what a range mostly comes to. Cut
# right there, it would leave a small rest nearly every time, and each file costs round trips.
CHUNK_BYTES = 16 * 1024 * 1024


@dataclass(slots=True)
class TableRead:
    """What is known of a table while its chunks are written; `number` is its place in the order of the touch."""

    table: Table
    number: int
    stem: str
    rows: int = 0
    digest: int = 0
    sql_bytes: int = 0
    chunks: list[Chunk] = field(default_factory=list)
    checksum: int | None = None


def describe(snapshot: Snapshot) -> list[TableRead]:
    """Read the definition of every table in the snapshot."""
    stems = layout.file_stems(snapshot.tables)
    reads = []
    for number, table in enumerate(read_tables(snapshot.control, snapshot.database, snapshot.tables)):
        changed = changed_by_reparsing(snapshot.workers[0].connection, table)
        read = replace(
            table,
            reparsed=tuple(f"{column}: {rows} rows" for column, rows in changed.items()),
            columns=tuple(
                replace(column, expression=reparsed(column.name)) if column.name in changed else column
                for column in table.columns
            ),
        )
        reads.append(TableRead(read, number, stems[table.name]))
    return reads


@dataclass(slots=True)
class RowsJob:
    """All tables of one snapshot, saved by its workers; what was found is in `reads` and `dangling` afterwards."""

    writer: Writer
    snapshot: Snapshot
    reads: list[TableRead]
    progress: Progress
    throttle: Throttle
    server_checksum: bool = False
    dangling: dict[str, int] = field(default_factory=dict)

    def run(self, stop: Stop) -> None:
        """Save every table, in the reverse order of the touch, so that locks can be given back one by one.

        Tables outside InnoDB come first, under the lock, which is released after them.
        """
        for worker in self.snapshot.workers:
            # The stored bytes, whatever the column's character set: converting to utf8mb4 damages 21 of them.
            execute(worker.connection, "SET SESSION character_set_results = NULL")
        self.progress.phase("rows", sum(read.table.estimated_rows for read in self.reads), "rows")
        locked = [read for read in reversed(self.reads) if not read.table.transactional]
        free = [read for read in reversed(self.reads) if read.table.transactional]
        run(self._plan(locked, stop), self.snapshot.workers, _call, stop)
        self.snapshot.release_lock()
        # References are counted first, while the workers still hold every table.
        tasks: list[Callable[[Worker], None]] = [
            *(partial(self._count_missing, each) for each in references(self.snapshot.tables)),
            *(partial(self._put_definition, read) for read in self.reads),
            *self._plan(free, stop),
        ]
        run(tasks, self.snapshot.workers, _call, stop, idle=self._release_all)

    def _plan(self, reads: list[TableRead], stop: Stop) -> list[Callable[[Worker], None]]:
        ranges: dict[int, list[Range]] = {}

        def cut(worker: Worker, read: TableRead) -> None:
            ranges[read.number] = split(worker.connection, read.table)

        run(reads, self.snapshot.workers, cut, stop)
        tasks: list[Callable[[Worker], None]] = []
        for read in reads:
            tasks += [partial(self._read_range, read, each) for each in ranges[read.number]]
            if self.server_checksum:
                tasks.append(partial(self._checksum, read))
        return tasks

    def _put_definition(self, read: TableRead, _: Worker) -> None:
        create = read.table.create.encode()
        name = layout.table_schema_name(self.writer.database, read.stem)
        self.writer.put_definitions(name, create + b";\n", len(create))

    def _read_range(self, read: TableRead, key_range: Range, worker: Worker) -> None:
        self._release_later(worker, read)
        table = read.table
        encoder = RowEncoder(table.kinds, table.insert_into)
        columns = ", ".join(column.expression for column in table.columns)
        select = f"SELECT {columns} FROM {quote(table.name)}{key_range.where(table.range_column)}"
        rows = 0
        with closing(wire.stream(worker.connection, select, encoder)) as stream:
            pieces = self._paced(stream)
            while (first := next(pieces, b"")) or encoder.is_open:
                with self.writer.lock:
                    number = len(read.chunks) + 1
                    name = layout.chunk_name(self.writer.database, read.stem, number)
                    read.chunks.append(Chunk(name=name, rows=0))
                stored_as = self.writer.put(name, _chunk(first, pieces, encoder))
                read.chunks[number - 1] = Chunk(
                    name=stored_as, rows=encoder.rows - rows, first=key_range.first, before=key_range.before
                )
                self.progress.advance(encoder.rows - rows)
                rows = encoder.rows
        self.writer.statement(encoder.largest)
        with self.writer.lock:
            read.rows += encoder.rows
            read.sql_bytes += encoder.sql_bytes
            read.digest = (read.digest + encoder.digest) % 2**64

    def _paced(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        for piece in pieces:
            self.throttle.wait()
            yield piece

    def _checksum(self, read: TableRead, worker: Worker) -> None:
        self._release_later(worker, read)
        checksum = execute(worker.connection, f"CHECKSUM TABLE {quote(read.table.name)}")[0][1]
        read.checksum = int(checksum) if checksum is not None else None

    def _count_missing(self, of_one_parent: list[Reference], worker: Worker) -> None:
        self.dangling.update(count_missing(worker.connection, of_one_parent))

    def _release_later(self, worker: Worker, read: TableRead) -> None:
        """Give back the worker's locks on the tables after this one.

        Tasks are handed out in the reverse order of the touch: who has one of this table gets none of those.
        """
        self.snapshot.release_tables(worker, read.number + 1)

    def _release_all(self, worker: Worker) -> None:
        self.snapshot.release_tables(worker, 0)


def _call(worker: Worker, task: Callable[[Worker], None]) -> None:
    task(worker)


def _chunk(first: bytes, pieces: Iterator[bytes], encoder: RowEncoder) -> Iterator[bytes]:
    yield FILE_HEADER
    yield first
    size = len(first)
    while size < CHUNK_BYTES and (piece := next(pieces, b"")):
        yield piece
        size += len(piece)
    yield encoder.cut()
