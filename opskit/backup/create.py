"""A backup from beginning to end: take the snapshot, write the chunks, write the manifest."""

import threading
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from opskit import __version__
from opskit.backup import layout
from opskit.backup.commit import commit
from opskit.backup.manifest import (
    RESTORE_ORDER,
    Chunk,
    Database,
    File,
    Manifest,
    ProgramEntry,
    TableEntry,
    backup_key,
)
from opskit.backup.manifest import Snapshot as SnapshotEntry
from opskit.backup.stages import Digest, compressed
from opskit.errors import BusyError
from opskit.mysql import programs, wire
from opskit.mysql.connection import Connection, Endpoint, connect, execute, quote, require_supported
from opskit.mysql.encode import DIGEST_ALGORITHM, RowEncoder
from opskit.mysql.grants import invisible_programs
from opskit.mysql.lease import Lease
from opskit.mysql.ranges import Range, split
from opskit.mysql.schema import Table, changed_by_reparsing, database_facts, read_table, reparsed
from opskit.mysql.session_file import FILE_HEADER, create_database
from opskit.mysql.snapshot import Level, Snapshot, Worker, open_snapshot
from opskit.progress import NoProgress, Progress
from opskit.registry.facts import RegistryFacts, read_facts
from opskit.storage import Storage
from opskit.workers import Stop, Watch, run

# A chunk is loaded in one transaction, and 8 MB was measured to load fastest.
CHUNK_BYTES = 8 * 1024 * 1024
# A DDL that waits for our metadata lock blocks every reader and writer behind it.
METADATA_WAIT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Options:
    """How a backup is made; the defaults suit a nightly job."""

    workers: int = 4
    compression_level: int = 3
    max_duration_seconds: float = 6 * 3600
    consistency: Level = "instance"
    lease_wait_seconds: float = 0
    allow_non_transactional: bool = False
    skip_routines: bool = False
    server_checksum: bool = False


@dataclass(slots=True)
class _TableState:
    """What is known of a table while its chunks are written."""

    table: Table
    number: int
    stem: str
    ranges_left: int = -1  # not planned yet
    rows: int = 0
    digest: int = 0
    sql_bytes: int = 0
    chunks: list[Chunk] = field(default_factory=list)
    checksum: int | None = None


def create_backup(
    source: Endpoint,
    database: str,
    storage: Storage,
    registry: str,
    options: Options = Options(),
    progress: Progress = NoProgress(),
) -> Manifest:
    """Save a database and return the manifest, once it is stored; on any error there is no manifest.

    Raises `BusyError` when another run holds the lease, or when opskit gave way to the registry.
    """
    stop = Stop()

    def open_connection() -> Connection:
        connection = connect(source, database)
        stop.on_stop(lambda: wire.sever(connection))
        return connection

    with Lease(connect(source, database), database) as lease:
        lease.acquire(options.lease_wait_seconds)
        with (
            stop,
            Watch(_Lookout(lease, options.max_duration_seconds).look, stop),
            open_snapshot(
                open_connection,
                database,
                workers=options.workers,
                wanted=options.consistency,
                allow_non_transactional=options.allow_non_transactional,
            ) as snapshot,
        ):
            require_supported(snapshot.control)
            writer = _Writer(storage, registry, database, options.compression_level, stop)
            manifest = _write(writer, snapshot, options, progress, stop)
        commit(storage, manifest, lease)
    return manifest


class _Lookout:
    """What is watched while a backup runs: the lease, sessions that wait for our locks, and the time."""

    def __init__(self, lease: Lease, max_duration_seconds: float) -> None:
        self._lease = lease
        self._deadline = time.monotonic() + max_duration_seconds
        self._waiting_since: dict[int, float] = {}

    def look(self) -> None:
        """Raise `BusyError` when the backup has to give way."""
        now = time.monotonic()
        if now > self._deadline:
            raise BusyError("the backup took longer than backup.max_duration", hint="raise it, or add workers")
        self._lease.check_when_due()
        waiting = self._lease.waiting_for_metadata_locks()
        self._waiting_since = {session: self._waiting_since.get(session, now) for session in waiting}
        if any(now - since >= METADATA_WAIT_SECONDS for since in self._waiting_since.values()):
            raise BusyError(
                "gave way to a change of the schema that waited for the backup",
                hint="the registry is being upgraded; run the backup again afterwards",
            )


@dataclass(slots=True)
class _Writer:
    """Puts the files of one backup and remembers them; safe to use from several threads."""

    storage: Storage
    registry: str
    database: str
    level: int
    stop: Stop
    backup_id: str = field(default_factory=lambda: layout.new_backup_id(datetime.now(UTC)))
    files: list[File] = field(default_factory=list)
    largest_statement: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def put(self, name: str, content: Iterable[bytes]) -> None:
        stored = Digest()
        body = stored.observe(compressed(self._until_stopped(content), self.level))
        self.storage.put(backup_key(self.registry, self.backup_id, name), body)
        with self.lock:
            self.files.append(File(name=name, bytes=stored.size, sha256=stored.sha256))

    def _until_stopped(self, content: Iterable[bytes]) -> Iterator[bytes]:
        for piece in content:
            self.stop.check()
            yield piece

    def statement(self, length: int) -> None:
        """Remember the longest statement."""
        with self.lock:
            self.largest_statement = max(self.largest_statement, length)


def _write(writer: _Writer, snapshot: Snapshot, options: Options, progress: Progress, stop: Stop) -> Manifest:
    facts = read_facts(snapshot.workers[0].connection, frozenset(snapshot.tables))
    states = _describe(snapshot)
    database = database_facts(snapshot.control, snapshot.database)
    writer.put(layout.schema_create_name(database.name), [create_database(database)])
    for state in states:
        _write_table_schema(writer, state)
    _write_rows(writer, snapshot, states, options, progress, stop)
    found = programs.read_programs(snapshot.control, snapshot.database, skip_routines=options.skip_routines)
    _write_programs(writer, found)
    warnings = [
        *snapshot.warnings,
        *facts.problems,
        *_warnings(states, options),
        *invisible_programs(snapshot.control, snapshot.database),
    ]
    return _manifest(writer, snapshot, facts, states, found, warnings)


def _describe(snapshot: Snapshot) -> list[_TableState]:
    stems = layout.file_stems(snapshot.tables)
    states = []
    for number, name in enumerate(snapshot.tables):
        table = read_table(snapshot.control, snapshot.database, name)
        if changed := changed_by_reparsing(snapshot.workers[0].connection, snapshot.database, name):
            table = replace(
                table,
                reparsed=tuple(f"{column}: {rows} rows" for column, rows in changed.items()),
                columns=tuple(
                    replace(column, expression=reparsed(column.name)) if column.name in changed else column
                    for column in table.columns
                ),
            )
        states.append(_TableState(table, number, stems[name]))
    return states


def _write_table_schema(writer: _Writer, state: _TableState) -> None:
    name = layout.table_schema_name(writer.database, state.stem)
    writer.put(name, [FILE_HEADER, state.table.create.encode(), b";\n"])


def _write_rows(
    writer: _Writer,
    snapshot: Snapshot,
    states: list[_TableState],
    options: Options,
    progress: Progress,
    stop: Stop,
) -> None:
    """Read tables in the reverse order of the touch, so that locks can be given back one after another."""
    for worker in snapshot.workers:
        # The stored bytes, whatever the column's character set: converting to utf8mb4 damages 21 of them.
        execute(worker.connection, "SET SESSION character_set_results = NULL")
    progress.phase("rows", sum(state.table.estimated_rows for state in states), "rows")
    locked = [state for state in reversed(states) if not state.table.transactional]
    free = [state for state in reversed(states) if state.table.transactional]
    for group in (locked, free):
        tasks = _tasks(snapshot, group)
        run(
            tasks,
            snapshot.workers,
            lambda worker, task: _read_range(writer, snapshot, states, worker, task, options, progress),
            stop,
            idle=(lambda worker: snapshot.release_tables(worker, 0)) if group is free else (lambda _: None),
        )
        snapshot.release_lock()


def _tasks(snapshot: Snapshot, states: list[_TableState]) -> list[tuple[_TableState, Range]]:
    tasks = []
    for state in states:
        ranges = split(snapshot.workers[0].connection, state.table)
        state.ranges_left = len(ranges)
        tasks += [(state, each) for each in ranges]
    return tasks


def _read_range(
    writer: _Writer,
    snapshot: Snapshot,
    states: list[_TableState],
    worker: Worker,
    task: tuple[_TableState, Range],
    options: Options,
    progress: Progress,
) -> None:
    state, key_range = task
    table = state.table
    encoder = RowEncoder(table.kinds, table.insert_into)
    columns = ", ".join(column.expression for column in table.columns)
    select = f"SELECT {columns} FROM {quote(table.name)}{key_range.where(table.range_column)}"
    pieces = wire.stream(worker.connection, select, encoder)
    rows = 0
    while (first := next(pieces, b"")) or encoder.is_open:
        with writer.lock:
            number = len(state.chunks) + 1
            state.chunks.append(Chunk(name=layout.chunk_name(writer.database, state.stem, number), rows=0))
        writer.put(state.chunks[number - 1].name, _chunk(first, pieces, encoder))
        state.chunks[number - 1] = state.chunks[number - 1].model_copy(
            update={"rows": encoder.rows - rows, "first": key_range.first, "before": key_range.before}
        )
        progress.advance(encoder.rows - rows)
        rows = encoder.rows
    writer.statement(encoder.largest)
    with writer.lock:
        state.rows += encoder.rows
        state.sql_bytes += encoder.sql_bytes
        state.digest = (state.digest + encoder.digest) % 2**64
        state.ranges_left -= 1
        done_from = _first_done(states)
    if options.server_checksum and state.ranges_left == 0:
        checksum = execute(worker.connection, f"CHECKSUM TABLE {quote(table.name)}")[0][1]
        state.checksum = int(checksum) if checksum is not None else None
    snapshot.release_tables(worker, done_from)


def _first_done(states: list[_TableState]) -> int:
    """Return the number of the first table from which on every table is read."""
    unfinished = [state.number for state in states if state.ranges_left != 0]
    return max(unfinished) + 1 if unfinished else 0


def _chunk(first: bytes, pieces: Iterator[bytes], encoder: RowEncoder) -> Iterator[bytes]:
    yield FILE_HEADER
    yield first
    size = len(first)
    while size < CHUNK_BYTES and (piece := next(pieces, b"")):
        yield piece
        size += len(piece)
    yield encoder.cut()


def _write_programs(writer: _Writer, found: list[programs.Program]) -> None:
    for kind, of_kind in _by_file(found).items():
        if of_kind:
            content = programs.render(of_kind)
            writer.statement(max(len(program.create) for program in of_kind))
            writer.put(layout.programs_name(writer.database, kind), [FILE_HEADER, content])


def _by_file(found: list[programs.Program]) -> dict[str, list[programs.Program]]:
    routines_and_events = [program for program in found if program.kind in ("procedure", "function", "event")]
    return {
        "post": routines_and_events,
        "views": [program for program in found if program.kind == "view"],
        "triggers": [program for program in found if program.kind == "trigger"],
    }


def _warnings(states: list[_TableState], options: Options) -> Iterator[str]:
    for state in states:
        for column in state.table.reparsed:
            yield f"table {state.table.name!r}: JSON text cannot say all of column {column}; saved as re-parsed"
    if options.skip_routines:
        yield "routines were left out (--skip-routines)"


def _manifest(
    writer: _Writer,
    snapshot: Snapshot,
    facts: RegistryFacts,
    states: list[_TableState],
    found: list[programs.Program],
    warnings: list[str],
) -> Manifest:
    database = database_facts(snapshot.control, snapshot.database)
    return Manifest(
        format=1,
        id=writer.backup_id,
        registry=writer.registry,
        opskit_version=__version__,
        finished=datetime.now(UTC),
        database=Database(
            name=database.name,
            product=database.product,
            server_version=database.server_version,
            charset=database.charset,
            collation=database.collation,
            flavour=facts.flavour,
            mlmd_versions=facts.mlmd_versions,
            migration_version=facts.migration_version,
            dirty=facts.dirty,
        ),
        snapshot=SnapshotEntry(
            time=snapshot.time,
            consistency=snapshot.level,
            consistency_wanted=snapshot.wanted,
            gtid=snapshot.position.gtid,
            binlog_file=snapshot.position.binlog_file,
            binlog_position=snapshot.position.binlog_position,
            position_approximate=snapshot.position.approximate,
        ),
        digest_algorithm=DIGEST_ALGORITHM,
        restore_order=RESTORE_ORDER,
        largest_statement=writer.largest_statement,
        tables=tuple(_table_entry(writer, state) for state in states),
        programs=tuple(
            ProgramEntry(
                kind=program.kind,
                name=program.name,
                definer=program.definer,
                table=program.table,
                event_state=program.event_state,
                names_database=program.names_database(snapshot.database),
            )
            for program in found
        ),
        files=tuple(sorted(writer.files, key=lambda file: file.name)),
        warnings=tuple(warnings),
    )


def _table_entry(writer: _Writer, state: _TableState) -> TableEntry:
    table = state.table
    return TableEntry(
        name=table.name,
        engine=table.engine,
        schema_file=layout.table_schema_name(writer.database, state.stem),
        rows=state.rows,
        digest=f"{state.digest:016x}",
        select=tuple(column.expression for column in table.columns),
        columns=tuple(column.name for column in table.columns),
        chunks=tuple(state.chunks),
        non_transactional=not table.transactional,
        reparsed=table.reparsed,
        range_column=table.range_column,
        data_bytes=table.size + table.index_size,
        sql_bytes=state.sql_bytes,
        checksum=state.checksum,
    )
