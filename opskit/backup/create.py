"""A backup from beginning to end: take the snapshot, write the chunks, write the manifest."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from opskit import __version__
from opskit.artifacts.report import newest_summary
from opskit.backup import layout
from opskit.backup.commit import commit
from opskit.backup.encryption import Recipients
from opskit.backup.lookout import ANSWER_SECONDS, Deadline, Lookout
from opskit.backup.manifest import (
    RESTORE_ORDER,
    ArtifactCounts,
    Chunk,
    Database,
    Encryption,
    Manifest,
    ProgramEntry,
    TableEntry,
)
from opskit.backup.manifest import Snapshot as SnapshotEntry
from opskit.backup.rows import RowsJob, TableRead, describe
from opskit.backup.throttle import Throttle
from opskit.backup.writer import Writer
from opskit.errors import BusyError, OpskitError, advise
from opskit.mysql import wire
from opskit.mysql.connection import Connection, Endpoint, connect, require_supported
from opskit.mysql.encode import DIGEST_ALGORITHM
from opskit.mysql.grants import invisible
from opskit.mysql.lease import Lease
from opskit.mysql.program_file import render
from opskit.mysql.program_text import Program
from opskit.mysql.programs import read_programs
from opskit.mysql.schema import DatabaseFacts, database_facts, table_names
from opskit.mysql.session_file import create_database
from opskit.mysql.snapshot import Snapshot, open_snapshot
from opskit.mysql.snapshot_steps import CHANGING, CHANGING_HINT, Level
from opskit.progress import NoProgress, Progress
from opskit.registry.facts import RegistryFacts, read_facts
from opskit.storage import Storage
from opskit.workers import Stop, Watch


@dataclass(frozen=True, slots=True)
class Options:
    """How a backup is made; the defaults suit a nightly job."""

    workers: int = 4
    compression_level: int = 2
    max_duration_seconds: float = 6 * 3600
    consistency: Level = "instance"
    lease_wait_seconds: float = 0
    allow_non_transactional: bool = False
    skip_routines: bool = False
    server_checksum: bool = False
    recipients: Recipients | None = None
    max_load: int | None = None
    max_lag_seconds: float | None = None


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
    with Lease(connect(replace(source, read_timeout=ANSWER_SECONDS), database), database) as lease:
        lease.acquire(options.lease_wait_seconds)
        return create_under(lease, source, database, storage, registry, options, progress)


def create_under(
    lease: Lease,
    source: Endpoint,
    database: str,
    storage: Storage,
    registry: str,
    options: Options,
    progress: Progress,
) -> Manifest:
    """Save a database under a lease that the caller holds, as `create_backup` does."""
    stop = Stop()

    def open_connection(endpoint: Endpoint = source) -> Connection:
        connection = connect(endpoint, database)
        stop.on_stop(lambda: wire.sever(connection))
        return connection

    with (
        stop,
        Watch(Deadline(options.max_duration_seconds).check, stop),
        Watch(lease.check_when_due, stop),
        open_snapshot(
            open_connection,
            database,
            workers=options.workers,
            wanted=options.consistency,
            allow_non_transactional=options.allow_non_transactional,
        ) as snapshot,
        closing(open_connection(replace(source, read_timeout=ANSWER_SECONDS))) as observer,
    ):
        require_supported(snapshot.control)
        programs = _programs(observer, snapshot, options)
        lookout = Lookout(observer, snapshot)
        throttle = Throttle(observer, len(snapshot.workers), options.max_load, options.max_lag_seconds)
        writer = Writer(storage, registry, database, options.compression_level, stop, options.recipients)

        def look() -> None:
            lookout.look()
            throttle.look()

        with Watch(look, stop), _told_what_is_left(writer):
            manifest = _write(writer, snapshot, programs, throttle, options, progress, stop)
    commit(storage, manifest, lease)
    return manifest


@contextmanager
def _told_what_is_left(writer: Writer) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        if writer.files:
            left = f"what is stored of backup {writer.backup_id} is no backup"
            advise(error, f"{left}: `opskit backup prune --apply` deletes it after a day")
        raise


def _programs(connection: Connection, snapshot: Snapshot, options: Options) -> list[Program]:
    """Read the programs while every table is held, so that they fit the tables that are saved.

    A table that came since could be read by one of them, and would not be in the backup.
    """
    found = read_programs(connection, snapshot.database, skip_routines=options.skip_routines)
    if found and table_names(connection, snapshot.database) != snapshot.tables:
        raise BusyError(CHANGING, hint=CHANGING_HINT)
    return found


def _write(
    writer: Writer,
    snapshot: Snapshot,
    programs: list[Program],
    throttle: Throttle,
    options: Options,
    progress: Progress,
    stop: Stop,
) -> Manifest:
    facts = read_facts(snapshot.workers[0].connection, frozenset(snapshot.tables))
    reads = describe(snapshot)
    database = database_facts(snapshot.control, snapshot.database)
    writer.put(layout.schema_create_name(database.name), [create_database(database)])
    rows = RowsJob(writer, snapshot, reads, progress, throttle, server_checksum=options.server_checksum)
    rows.run(stop)
    _write_programs(writer, programs)
    warnings = [
        *snapshot.warnings,
        *facts.problems,
        *_warnings(reads, options),
        *throttle.warnings,
        *invisible(snapshot.control, snapshot.database),
    ]
    return _manifest(writer, snapshot, database, facts, rows, programs, warnings)


def _write_programs(writer: Writer, programs: list[Program]) -> None:
    for file, kinds in layout.PROGRAM_FILES.items():
        if of_file := [program for program in programs if program.kind in kinds]:
            longest = max(len(program.create) for program in of_file)
            writer.put_definitions(layout.programs_name(writer.database, file), render(of_file), longest)


def _warnings(reads: list[TableRead], options: Options) -> Iterator[str]:
    for read in reads:
        for column in read.table.reparsed:
            yield f"table {read.table.name!r}: JSON text cannot say all of column {column}; saved as re-parsed"
    if options.skip_routines:
        yield "routines were left out (--skip-routines)"


def _manifest(
    writer: Writer,
    snapshot: Snapshot,
    database: DatabaseFacts,
    facts: RegistryFacts,
    rows: RowsJob,
    programs: list[Program],
    warnings: list[str],
) -> Manifest:
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
            problems=facts.problems,
            dangling=rows.dangling,
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
        tables=tuple(_table_entry(writer, read) for read in rows.reads),
        programs=tuple(
            ProgramEntry(
                kind=program.kind,
                name=program.name,
                definer=program.definer,
                table=program.table,
                event_state=program.event_state,
                names_database=program.names_database(snapshot.database),
            )
            for program in programs
        ),
        encryption=Encryption(recipients=writer.recipients.names) if writer.recipients else None,
        artifacts=_artifact_counts(writer.storage, writer.registry),
        files=tuple(sorted(writer.files, key=lambda file: file.name)),
        warnings=tuple(warnings),
    )


def _artifact_counts(storage: Storage, registry: str) -> ArtifactCounts | None:
    """Return what is known of the bytes behind the pointers; a report that cannot be read stops no backup."""
    try:
        summary = newest_summary(storage, registry)
        if summary is None:
            return None
        return ArtifactCounts(
            time=datetime.fromisoformat(summary.time),
            artifacts=summary.artifacts,
            present=summary.verdicts["present"],
            gone=summary.gone,
        )
    except (OpskitError, ValueError, KeyError):
        return None


def _table_entry(writer: Writer, read: TableRead) -> TableEntry:
    table = read.table
    return TableEntry(
        name=table.name,
        engine=table.engine,
        schema_file=writer.stored_name(layout.table_schema_name(writer.database, read.stem)),
        rows=read.rows,
        digest=f"{read.digest:016x}",
        select=tuple(column.expression for column in table.columns),
        columns=tuple(column.name for column in table.columns),
        chunks=tuple(_without_bounds(read.chunks) if writer.recipients else read.chunks),
        non_transactional=not table.transactional,
        reparsed=table.reparsed,
        range_column=table.range_column,
        data_bytes=table.size + table.index_size,
        sql_bytes=read.sql_bytes,
        checksum=read.checksum,
    )


def _without_bounds(chunks: list[Chunk]) -> list[Chunk]:
    """Leave key ranges out of a manifest that anybody may read: they are data."""
    return [chunk.model_copy(update={"first": None, "before": None}) for chunk in chunks]
