"""A restore from beginning to end: judge the backup, look ahead, load into a database of its own, compare."""

import contextlib
from collections import deque
from dataclasses import dataclass
from typing import Literal

from opskit.backup import layout
from opskit.backup.check import counted, read_file
from opskit.backup.encryption import SUFFIX, Identities, opened
from opskit.backup.holds import held
from opskit.backup.manifest import LARGEST_STATEMENT, ArtifactCounts, File, Manifest, TableEntry
from opskit.errors import CorruptError
from opskit.mysql import wire
from opskit.mysql.binary_log import skip_binary_log
from opskit.mysql.connection import Connection, Endpoint, connect, require_supported
from opskit.mysql.create_table import CreateTable
from opskit.mysql.lease import Lease
from opskit.mysql.program_file import ProgramStatement
from opskit.progress import NoProgress, Progress
from opskit.restore import grammar
from opskit.restore import target as targets
from opskit.restore.assertions import registry_problems
from opskit.restore.compare import Comparison, compare, require_comparable, require_equal
from opskit.restore.load import (
    Definitions,
    LoadedPrograms,
    load_programs,
    load_rows,
    load_tables,
    set_session,
)
from opskit.restore.made import Made, made
from opskit.restore.orphans import count_orphans
from opskit.restore.preflight import largest_packet, preflight
from opskit.restore.space import Additions, additions, require_still_small
from opskit.restore.target import Target
from opskit.storage import Storage
from opskit.workers import Stop, Watch, run

DAMAGED = "nothing was executed; restore from another backup, and find out what changed the bucket"


@dataclass(frozen=True, slots=True)
class Options:
    """How a backup is restored."""

    workers: int = 4
    purpose: Literal["restore", "rehearse"] = "restore"
    beside: str | None = None  # the live database, where it is not called as in the backup
    into: str | None = None
    run_id: str | None = None  # of the names that are generated; a new one each time unless exact names were granted
    keep_definer: bool = False
    enable_events: bool = False
    binary_log: bool = True
    lease_wait_seconds: float = 0
    identities: Identities | None = None
    maximum_bytes: int | None = None  # of data and binary log that the run may add


@dataclass(frozen=True, slots=True)
class RestoreReport:
    """What a restore did and proved."""

    backup_id: str
    database: str
    rows: int
    tables: tuple[Comparison, ...]
    not_compared: tuple[str, ...]
    definers_dropped: tuple[str, ...]
    events_disabled: tuple[str, ...]
    names_source: tuple[str, ...]
    orphans: dict[str, int]
    registry_problems: tuple[str, ...]
    warnings: tuple[str, ...]
    added: Additions
    artifacts: ArtifactCounts | None = None


def restore(
    server: Endpoint,
    storage: Storage,
    manifest: Manifest,
    options: Options = Options(),
    progress: Progress = NoProgress(),
) -> RestoreReport:
    """Restore a backup into a staging database, or into `options.into`, and compare every row.

    Nothing is executed before every object was read, compared with its digest and judged by the grammar
    (`CorruptError`). A restore that fails drops what it made and nothing else, or warns that it could not.
    """
    with Lease(connect(server), options.into or options.beside or manifest.database.name) as lease:
        lease.acquire(options.lease_wait_seconds)
        return restore_under(lease, server, storage, manifest, options, progress)


def restore_under(
    lease: Lease, server: Endpoint, storage: Storage, manifest: Manifest, options: Options, progress: Progress
) -> RestoreReport:
    """Restore a backup under a lease that the caller holds, as `restore` does."""
    stop, manifest = Stop(), targets.without_marker(manifest)
    with (
        held(storage, manifest.registry, manifest.id, options.purpose),
        stop,
        Watch(lease.check_when_due, stop),
        contextlib.closing(connect(server)) as admin,
    ):
        require_supported(admin)
        if not options.binary_log:
            skip_binary_log(admin)
        require_comparable(manifest)
        target = _choose_target(admin, options, manifest)
        definitions = judge(storage, manifest, options, progress, stop, largest_packet=largest_packet(admin))
        preflight(admin, manifest, list(definitions.tables.values()))
        with made(admin, target, manifest, keep=options.purpose != "rehearse") as staged:

            def look() -> None:
                require_still_small(admin, target.database, manifest, options.maximum_bytes)

            with Watch(look, stop):
                report = _fill(server, storage, manifest, staged, definitions, options, progress, stop)
            look()
            return report


def judge(
    storage: Storage,
    manifest: Manifest,
    options: Options,
    progress: Progress,
    stop: Stop,
    *,
    largest_packet: int = LARGEST_STATEMENT,
) -> Definitions:
    """Read every object of the backup: its digest must be the manifest's, its statements opskit's own.

    Rows that the server could not take are not looked into, since memory has to hold a whole statement; the preflight
    refuses them.
    """
    taken = manifest.largest_statement <= largest_packet
    tables: dict[str, CreateTable] = {}
    sql_bytes: dict[str, int] = {}
    programs: dict[str, list[ProgramStatement]] = {}
    schema_of = {table.schema_file: table for table in manifest.tables}
    chunk_of = {chunk.name: table for table in manifest.tables for chunk in table.chunks}
    kind_of = {layout.programs_name(manifest.database.name, kind): kind for kind in layout.PROGRAM_FILES}

    def look(_: int, file: File) -> None:
        try:
            judge_file(file)
        except CorruptError as error:
            raise CorruptError(f"{file.name}: {error.message}", hint=error.hint or DAMAGED) from error

    def judge_file(file: File) -> None:
        stored = counted(read_file(storage, manifest, file), progress)
        stored = opened(stored, manifest.recipients, options.identities)
        if file.name in schema_of:
            table = schema_of[file.name]
            tables[table.name] = grammar.create_table(table, stored)
        elif file.name in chunk_of and taken:
            with contextlib.closing(
                grammar.statements(chunk_of[file.name], stored, manifest.largest_statement)
            ) as judged:
                sql_bytes[file.name] = sum(len(statement) + 1 for statement in judged)
        elif kind := kind_of.get(file.name.removesuffix(SUFFIX)):
            programs[kind] = grammar.programs(manifest, kind, stored)
        else:
            # Or CREATE DATABASE, never executed: the staging database has a name of its own.
            deque(stored, maxlen=0)

    progress.phase("verify", manifest.stored_bytes, "bytes")
    run(manifest.files, range(options.workers), look, stop)
    for table in manifest.tables:
        _require_no_more(table, sum(sql_bytes.get(chunk.name, 0) for chunk in table.chunks))
    in_order = [statement for kind in layout.PROGRAM_FILES for statement in programs.get(kind, [])]
    return Definitions({table.name: tables[table.name] for table in manifest.tables}, in_order)


def _require_no_more(table: TableEntry, sql_bytes: int) -> None:
    """Raise `CorruptError` if a table's statements are longer than the manifest says, by which room was judged."""
    if sql_bytes > table.sql_bytes:
        raise CorruptError(
            f"the rows of table {table.name!r} have {sql_bytes:,} bytes, {table.sql_bytes:,} in the manifest",
            hint=DAMAGED,
        )


def _choose_target(admin: Connection, options: Options, manifest: Manifest) -> Target:
    if options.into is not None:
        targets.require_empty(admin, options.into)
        return Target(options.into, staging=False)
    return targets.fresh(admin, options.beside or manifest.database.name, options.purpose, options.run_id)


def _fill(
    server: Endpoint,
    storage: Storage,
    manifest: Manifest,
    made: Made,
    definitions: Definitions,
    options: Options,
    progress: Progress,
    stop: Stop,
) -> RestoreReport:
    target = made.target
    connections: list[Connection] = []
    with contextlib.ExitStack() as open_connections:
        for _ in range(options.workers):
            connection = open_connections.enter_context(contextlib.closing(connect(server, target.database)))
            stop.on_stop(lambda held=connection: wire.sever(held))  # type: ignore[misc] # a default binds the loop's value
            set_session(connection)
            if not options.binary_log:
                skip_binary_log(connection)
            made.sessions.append(connection.thread_id())
            connections.append(connection)
        load_tables(connections, manifest, definitions, made, stop)
        load_rows(connections, storage, manifest, definitions, options.identities, progress, stop)
        compared = compare(connections, target.database, manifest, progress, stop)
        require_equal(compared, manifest.id)
        loaded = load_programs(
            connections[0],
            manifest,
            definitions.programs,
            made,
            keep_definer=options.keep_definer,
            enable_events=options.enable_events and not target.staging,
        )
        orphans = count_orphans(connections[0], target.database)
        problems = registry_problems(connections, manifest, stop)
    added = additions(manifest, binary_log=options.binary_log)
    return _report(manifest, target, added, compared, loaded, orphans, problems)


def _report(
    manifest: Manifest,
    target: Target,
    added: Additions,
    compared: list[Comparison],
    loaded: LoadedPrograms,
    orphans: dict[str, int],
    problems: list[str],
) -> RestoreReport:
    return RestoreReport(
        backup_id=manifest.id,
        database=target.database,
        rows=sum(each.rows for each in compared),
        tables=tuple(compared),
        not_compared=tuple(each.table for each in compared if each.digest is None),
        definers_dropped=loaded.without_definer,
        events_disabled=loaded.disabled_events,
        names_source=tuple(f"{each.kind} {each.name}" for each in manifest.programs if each.names_database),
        orphans=orphans,
        registry_problems=tuple(problems),
        added=added,
        warnings=(
            *manifest.warnings,
            *(f"event {name!r}: its time has passed, and the server dropped it" for name in loaded.expired_events),
        ),
        artifacts=manifest.artifacts,
    )
