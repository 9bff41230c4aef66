"""The moment that a backup shows: one snapshot, seen by every worker.

Order, at every level: each worker starts a transaction and touches every table, which takes the metadata locks
and creates no read view yet; then the lock; then each worker reads one row, which creates its view; then the
lock goes, and the list of tables must still be what it was. Measured on MySQL 9.7: START TRANSACTION WITH
CONSISTENT SNAPSHOT before the touch reads a renamed table torn and without an error, and touching under the
lock can deadlock with a queued ALTER. LOCK INSTANCE FOR BACKUP is not used, since it blocks the CREATE DATABASE
IF NOT EXISTS that MLMD sends on every connect.
"""

import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, Self

from opskit.errors import BusyError, ConfigurationError, DeniedError, NotFoundError, OpskitError, UnavailableError
from opskit.mysql.connection import (
    LOCK_WAIT_SECONDS,
    LOCK_WAIT_TIMEOUT,
    Connection,
    error_number,
    execute,
    is_mariadb,
    quote,
    scalar,
)
from opskit.mysql.schema import table_names

Level = Literal["instance", "tables", "session"]
LEVELS: Final[tuple[Level, ...]] = ("instance", "tables", "session")

# While LOCK TABLES waits for one table, nobody writes to those it has already; while FLUSH TABLES waits for a long
# query, nobody writes at all. So a try is short, and between two of them everything is given back (measured).
_TRIES = 5
_LOCK_SECONDS = 1
_LONG_QUERY_SECONDS = 1
_PAUSE_SECONDS = 1.0
_BLOCKED = (LOCK_WAIT_TIMEOUT, 1213)  # 1213: stood in a circle of waiting sessions
_CHANGING = "tables came and went while the snapshot was taken"
_CHANGING_HINT = "run it again when the upgrade is over"


@dataclass(slots=True)
class Worker:
    """One session inside the snapshot; it holds metadata locks on the tables before `held`."""

    connection: Connection
    held: int


@dataclass(slots=True)
class Position:
    """Where the binary log stood; approximate where nothing stopped writers."""

    gtid: str | None = None
    binlog_file: str | None = None
    binlog_position: int | None = None
    approximate: bool = False


@dataclass(slots=True)
class Snapshot:
    """An open snapshot; `tables` maps name → engine in the order in which the workers touched them."""

    database: str
    level: Level
    wanted: Level
    tables: dict[str, str]
    control: Connection
    workers: list[Worker]
    time: datetime
    position: Position
    warnings: list[str] = field(default_factory=list)
    locked: bool = False

    def release_lock(self) -> None:
        """Let writers go on; tables outside InnoDB must have been read by now."""
        if self.locked:
            execute(self.control, "UNLOCK TABLES")
            self.locked = False

    def release_tables(self, worker: Worker, first: int) -> None:
        """Give back the worker's metadata locks on the tables from number `first` on; the snapshot stays.

        Rolling back to a savepoint releases the locks taken since (measured on MySQL 9.7).
        """
        if first < worker.held:
            execute(worker.connection, f"ROLLBACK TO SAVEPOINT opskit_{first}" if first else "ROLLBACK")
            worker.held = first

    def held_tables(self) -> list[str]:
        """Return the tables on which any worker still holds a metadata lock."""
        return list(self.tables)[: max(worker.held for worker in self.workers)]

    def close(self) -> None:
        """End every session; the server drops locks and transactions with them."""
        for connection in (self.control, *(worker.connection for worker in self.workers)):
            _close(connection)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_snapshot(
    open_connection: Callable[[], Connection],
    database: str,
    *,
    workers: int,
    wanted: Level = "instance",
    allow_non_transactional: bool = False,
) -> Snapshot:
    """Take a snapshot at the strongest level, from `wanted` down, that the privileges and the load allow.

    Tables outside InnoDB are refused by name unless allowed; with them, the lock stays until `release_lock`.
    `BusyError` if the tables keep changing while the snapshot is taken.
    """
    with ExitStack() as opened:
        sessions = []
        for _ in range(1 + workers):
            sessions.append(open_connection())
            opened.callback(_close, sessions[-1])
        snapshot = _strongest(sessions[0], sessions[1:], database, wanted, allowed=allow_non_transactional)
        opened.pop_all()
        return snapshot


def _close(connection: Connection) -> None:
    with suppress(Exception):
        connection.close()


def _strongest(
    control: Connection, sessions: list[Connection], database: str, wanted: Level, *, allowed: bool
) -> Snapshot:
    warnings: list[str] = []
    for level in LEVELS[LEVELS.index(wanted) :]:
        for number in range(_TRIES):
            if number:
                time.sleep(_PAUSE_SECONDS)  # nothing is held: whoever waited goes first
            try:
                snapshot = _take(control, sessions, database, level, allowed=allowed)
            except _LockDeniedError:
                warnings.append(f"consistency level {level!r} is not allowed to this user")
                break
            except BusyError as error:
                obstacle = error
            else:
                snapshot.wanted = wanted
                snapshot.warnings[:0] = warnings
                return snapshot
        else:
            if not isinstance(obstacle, _LockBusyError):
                raise obstacle
            warnings.append(f"consistency level {level!r} was not to be had: {obstacle.message}")
    raise AssertionError("the level 'session' takes no lock, so it is never refused")


class _LockBusyError(BusyError):
    """Writers, a long query or a change of the schema kept the lock from us."""


class _LockDeniedError(Exception):
    """The server refuses the lock to this user."""


def _take(control: Connection, sessions: list[Connection], database: str, level: Level, *, allowed: bool) -> Snapshot:
    """Make one attempt; if it fails, every lock is given back."""
    tables = _in_touch_order(table_names(control, database))
    warnings: list[str] = []
    _refuse_non_transactional(tables, level, warnings, allowed=allowed)
    if level == "session":  # two views would be of two moments
        for surplus in sessions[1:]:
            _close(surplus)
        del sessions[1:]
    try:
        _open(control, tables)
        for session in sessions:
            _touch(session, tables)
        _lock(control, level, tables)
        if level == "instance":
            _open(control, tables)
        position = _position(control)
        position.approximate = level == "session"
        _see(sessions, tables)
        if table_names(control, database) != tables:
            raise BusyError(_CHANGING, hint=_CHANGING_HINT)
    except (OpskitError, _LockDeniedError):
        for connection, statement in ((control, "UNLOCK TABLES"), *((each, "ROLLBACK") for each in sessions)):
            with suppress(OpskitError):  # a connection that is gone holds nothing
                execute(connection, statement)
        raise
    snapshot = Snapshot(
        database=database,
        level=level,
        wanted=level,
        tables=tables,
        control=control,
        workers=[Worker(session, held=len(tables)) for session in sessions],
        time=datetime.now(UTC),
        position=position,
        warnings=warnings,
        locked=level != "session",
    )
    if all(_is_transactional(engine) for engine in tables.values()):
        snapshot.release_lock()
    return snapshot


def _is_transactional(engine: str) -> bool:
    return engine.lower() == "innodb"


def _in_touch_order(engines: dict[str, str]) -> dict[str, str]:
    # Tables are read in the reverse order: those that need the lock first, then the largest.
    return dict(sorted(engines.items(), key=lambda item: not _is_transactional(item[1])))


def _refuse_non_transactional(tables: dict[str, str], level: Level, warnings: list[str], *, allowed: bool) -> None:
    others = [f"{name} ({engine})" for name, engine in tables.items() if not _is_transactional(engine)]
    if not others:
        return
    if not allowed:
        raise ConfigurationError(
            f"no snapshot can cover tables outside InnoDB: {', '.join(others)}",
            hint="convert them, or read them under the lock with --allow-non-transactional",
        )
    how = "without a lock, so of no one moment" if level == "session" else "under the lock, outside the snapshot"
    warnings.append(f"read {how}: {', '.join(others)}")


@contextmanager
def _while_tables_stay() -> Iterator[None]:
    """Say `BusyError` where a table is gone, or is being changed."""
    try:
        yield
    except NotFoundError as error:
        raise BusyError(f"{_CHANGING}: {error.message}", hint=_CHANGING_HINT) from error
    except UnavailableError as error:
        if error_number(error) not in _BLOCKED:
            raise
        raise BusyError(f"{_CHANGING}: {error.message}", hint=_CHANGING_HINT) from error


def _open(control: Connection, tables: dict[str, str]) -> None:
    """Have the server open every table, so that no worker's transaction has to.

    Whoever opens a table that is not in the server's cache gets a lock on its database with it, and keeps it until
    the transaction ends: all that time CREATE DATABASE IF NOT EXISTS waits (measured on MySQL 9.7). Without a
    transaction the lock is gone with the statement. FLUSH TABLES empties the cache.
    """
    with _while_tables_stay():
        for name in tables:
            execute(control, f"SELECT 1 FROM {quote(name)} LIMIT 0")


def _touch(session: Connection, tables: dict[str, str]) -> None:
    """Begin a transaction that holds the metadata lock of every table, and has no read view yet."""
    execute(session, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    execute(session, "START TRANSACTION READ ONLY")
    with _while_tables_stay():
        for number, name in enumerate(tables):
            execute(session, f"SAVEPOINT opskit_{number}")
            execute(session, f"SELECT 1 FROM {quote(name)} LIMIT 0")


def _lock(control: Connection, level: Level, tables: dict[str, str]) -> None:
    if level == "instance":
        _require_short_queries(control)
        statement = "FLUSH TABLES WITH READ LOCK"
    elif level == "tables" and tables:
        statement = "LOCK TABLES " + ", ".join(f"{quote(name)} READ" for name in tables)
    else:
        return
    execute(control, f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")
    try:
        execute(control, statement)
    except DeniedError as error:
        raise _LockDeniedError from error
    except UnavailableError as error:
        if error_number(error) not in _BLOCKED:
            raise
        raise _LockBusyError("others hold the tables all the time") from error
    execute(control, f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}")


def _require_short_queries(control: Connection) -> None:
    """Raise unless FLUSH TABLES would find every table free, as far as this user may see.

    A table in use stays marked as to be flushed, even when the flush itself has given up: until the query that
    uses it is over, every new reader waits (measured on MySQL 9.7).
    """
    for session, _, _, _, command, seconds, _, text, *_ in execute(control, "SHOW PROCESSLIST"):
        working = command in ("Query", "Execute") and text is not None  # an idle replication applier has no text
        if working and (seconds or 0) >= _LONG_QUERY_SECONDS and session != control.thread_id():
            raise _LockBusyError(f"a statement has run for {seconds} s, and readers would wait for its end")


def _see(sessions: list[Connection], tables: dict[str, str]) -> None:
    """Read a row in every session, which creates its view."""
    transactional = [name for name, engine in tables.items() if _is_transactional(engine)]
    for session in sessions if transactional else []:
        execute(session, f"SELECT 1 FROM {quote(transactional[0])} LIMIT 1")


def _position(connection: Connection) -> Position:
    """Read what may be read: the GTID needs no privilege, the log's name and offset need REPLICATION CLIENT."""
    position = Position()
    gtid = "@@global.gtid_binlog_pos" if is_mariadb(connection) else "@@global.gtid_executed"
    with suppress(OpskitError):
        position.gtid = str(scalar(connection, f"SELECT {gtid}")).replace("\n", "") or None
    for statement in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
        try:
            rows = execute(connection, statement)
        except OpskitError:
            continue
        if rows:
            position.binlog_file, position.binlog_position = str(rows[0][0]), int(rows[0][1])
        break
    return position
