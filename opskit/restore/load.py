"""Loading: tables, rows, indexes, programs, foreign keys, in that order."""

import threading
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from opskit.backup.check import read_file
from opskit.backup.encryption import Identities, opened
from opskit.backup.manifest import Chunk, Manifest, TableEntry
from opskit.errors import DeniedError, OpskitError
from opskit.mysql.connection import Connection, error_number, execute
from opskit.mysql.create_table import CreateTable
from opskit.mysql.ddl import StagedTable, raise_ddl_buffer, stage
from opskit.mysql.program_file import ProgramStatement
from opskit.mysql.session_file import FILE_HEADER
from opskit.mysql.wire import send
from opskit.progress import Progress
from opskit.restore.blame import of_backup
from opskit.restore.grammar import statements
from opskit.restore.made import Made
from opskit.storage import Storage
from opskit.workers import Stop, run

_LOG_BIN_TRUST = 1419
_EVENT_IN_THE_PAST = 1588


@dataclass(slots=True)
class Definitions:
    """The parts of a backup that are not rows, each judged by the grammar."""

    tables: dict[str, CreateTable]
    programs: list[ProgramStatement]
    staged: dict[str, StagedTable] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.staged = {name: stage(table) for name, table in self.tables.items()}


def set_session(connection: Connection) -> None:
    """Set the session as the files do."""
    for statement in FILE_HEADER.decode().splitlines():
        execute(connection, statement.rstrip(";"))


def load_tables(
    connections: Sequence[Connection], manifest: Manifest, definitions: Definitions, made: Made, stop: Stop
) -> None:
    """Create every table, with the keys that must be there while rows come.

    In a database that may be somebody else's as well, one after the other: each answer tells whose the table is, and
    none is still awaited when another has failed.
    """

    def create(connection: Connection, staged: tuple[str, StagedTable]) -> None:
        with of_backup(connection, manifest, f"table {staged[0]!r}"):
            execute(connection, staged[1].create.encode())
        made.note("table", staged[0])

    run(definitions.staged.items(), connections if made.target.staging else connections[:1], create, stop)


def load_rows(
    connections: Sequence[Connection],
    storage: Storage,
    manifest: Manifest,
    definitions: Definitions,
    identities: Identities | None,
    progress: Progress,
    stop: Stop,
) -> None:
    """Load every chunk in a transaction of its own, several side by side, those of the largest tables first.

    Who has loaded the last chunk of a table builds its deferred keys at once, while the others load on: the largest
    table's take about as long as its rows, in one session. The foreign keys come last, one by one.
    """
    for connection in connections:
        raise_ddl_buffer(connection, len(connections))
    tables = sorted(manifest.tables, key=lambda table: table.sql_bytes, reverse=True)
    tasks = [(table, chunk) for table in tables for chunk in table.chunks or [None]]
    left = _Left(tasks, progress)

    def load(connection: Connection, task: tuple[TableEntry, Chunk | None]) -> None:
        table, chunk = task
        if chunk:
            _load_chunk(connection, table, stored(chunk), manifest, stop)
        if left.is_last(table, chunk):
            for statement in definitions.staged[table.name].additions:
                with of_backup(connection, manifest, f"table {table.name!r}"):
                    execute(connection, statement.encode())
            left.built()

    def stored(chunk: Chunk) -> Iterable[bytes]:
        return opened(read_file(storage, manifest, manifest.file(chunk.name)), manifest.recipients, identities)

    run(tasks, connections, load, stop)
    for name, staged in definitions.staged.items():
        if staged.foreign_keys:
            with of_backup(connections[0], manifest, f"table {name!r}"):
                execute(connections[0], staged.foreign_keys.encode())


def _load_chunk(
    connection: Connection, table: TableEntry, stored: Iterable[bytes], manifest: Manifest, stop: Stop
) -> None:
    execute(connection, "START TRANSACTION")
    with closing(statements(table, stored, manifest.largest_statement)) as judged:
        for statement in judged:
            stop.check()
            with of_backup(connection, manifest, f"table {table.name!r}"):
                send(connection, statement)
    execute(connection, "COMMIT")


class _Left:
    """What is still to be loaded: rows are told while there are any, and then the tables that lack their keys."""

    def __init__(self, tasks: Sequence[tuple[TableEntry, Chunk | None]], progress: Progress) -> None:
        self._chunks = Counter(table.name for table, _ in tasks)
        self._tables = len(self._chunks)
        self._progress = progress
        self._lock = threading.Lock()
        progress.phase("load", sum(chunk.rows for _, chunk in tasks if chunk), "rows")

    def is_last(self, table: TableEntry, chunk: Chunk | None) -> bool:
        """Count a chunk as loaded, and tell whether it was the last one of its table."""
        with self._lock:
            self._progress.advance(chunk.rows if chunk else 0)
            self._chunks[table.name] -= 1
            if not self._chunks.total():
                self._progress.phase("indexes", self._tables, "objects")
            return not self._chunks[table.name]

    def built(self) -> None:
        """Count a table as having its keys."""
        with self._lock:
            self._tables -= 1
            if not self._chunks.total():
                self._progress.advance(1)


@dataclass(frozen=True, slots=True)
class LoadedPrograms:
    """What was done to programs beside creating them."""

    without_definer: tuple[str, ...]
    disabled_events: tuple[str, ...]
    expired_events: tuple[str, ...]


def load_programs(
    connection: Connection,
    manifest: Manifest,
    found: list[ProgramStatement],
    made: Made,
    *,
    keep_definer: bool,
    enable_events: bool,
) -> LoadedPrograms:
    """Create routines, events, views and triggers; one `DeniedError` names every one that may not be created."""
    stripped, disabled, expired, refused = [], [], [], []
    mends: dict[str, None] = {}
    for program in found:
        label = f"{program.kind} {program.name}" if program.kind else "programs"
        statement = program.statement
        if program.role == "state" and (not enable_events or program.name in expired):
            disabled.append(program.name)
            continue
        if program.definer and not keep_definer:
            statement = program.without_definer
            if program.role == "create":
                stripped.append(f"{label} ({program.definer})")
        try:
            with of_backup(connection, manifest, label):
                execute(connection, statement)
                if program.kind:
                    made.note(program.kind, program.name)
                if program.kind == "event" and _is_expired(connection):
                    expired.append(program.name)
        except DeniedError as error:
            refused.append(f"{label}: {error.message}")
            mends[_mend(error)] = None
    if refused:
        raise DeniedError("; ".join(refused), hint="; ".join(mends))
    set_session(connection)
    return LoadedPrograms(tuple(stripped), tuple(disabled), tuple(expired))


def _is_expired(connection: Connection) -> bool:
    """Tell whether the event just created is gone again: its time has passed, and it was not to be preserved."""
    return any(number == _EVENT_IN_THE_PAST for _, number, _ in execute(connection, "SHOW WARNINGS"))


def _mend(error: OpskitError) -> str:
    if error_number(error) == _LOG_BIN_TRUST:
        return "SET GLOBAL log_bin_trust_function_creators = 1, or restore as a user with SUPER"
    return "grant TRIGGER, EVENT, CREATE ROUTINE, CREATE VIEW (and SET_ANY_DEFINER with --keep-definer) to this user"
