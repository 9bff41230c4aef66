"""The moment that a backup shows: one snapshot, seen by every worker.

Order, at every level: each worker starts a transaction and touches every table, which takes the metadata locks
and creates no read view yet; then the lock; then each worker reads one row, which creates its view; then the
lock goes, and the list of tables must still be what it was. Measured on MySQL 9.7: START TRANSACTION WITH
CONSISTENT SNAPSHOT before the touch reads a renamed table torn and without an error, and touching under the
lock can deadlock with a queued ALTER. LOCK INSTANCE FOR BACKUP is not used, since it blocks the CREATE DATABASE
IF NOT EXISTS that MLMD sends on every connect.
"""

import time
from collections.abc import Callable
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Self

from opskit.errors import BusyError, ConfigurationError, OpskitError
from opskit.mysql.connection import LOCK_WAIT_SECONDS, Connection, execute
from opskit.mysql.position import Position, read_position
from opskit.mysql.schema import table_names
from opskit.mysql.snapshot_steps import (
    CHANGING,
    CHANGING_HINT,
    LEVELS,
    Level,
    LockBusyError,
    LockDeniedError,
    is_transactional,
    lock,
    open_tables,
    see,
    touch_all,
)
from opskit.workers import Stop, run

# A try for the lock is short, and between two of them everything is given back.
_TRIES = 5
_PAUSE_SECONDS = 1.0


@dataclass(slots=True)
class Worker:
    """One session inside the snapshot; it holds metadata locks on the tables before `held`."""

    connection: Connection
    held: int


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
        sessions: list[Connection] = []

        def open_one(_: int, __: int) -> None:
            session = open_connection()
            opened.callback(_close, session)
            sessions.append(session)

        # Side by side: a distant server takes six round trips for each.
        run(range(1 + workers), range(1 + workers), open_one, Stop())
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
            except LockDeniedError:
                warnings.append(f"consistency level {level!r} is not allowed to this user")
                break
            except BusyError as error:
                obstacle = error
            else:
                snapshot.wanted = wanted
                snapshot.warnings[:0] = warnings
                return snapshot
        else:
            if not isinstance(obstacle, LockBusyError):
                raise obstacle
            warnings.append(f"consistency level {level!r} was not to be had: {obstacle.message}")
    raise AssertionError("the level 'session' takes no lock, so it is never refused")


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
        open_tables(control, tables)
        touch_all(sessions, tables)
        lock(control, level, tables)
        if level == "instance":
            open_tables(control, tables)
        position = read_position(control)
        position.approximate = level == "session"
        see(sessions, tables)
        if table_names(control, database) != tables:
            raise BusyError(CHANGING, hint=CHANGING_HINT)
    except (OpskitError, LockDeniedError):
        _give_back(control, sessions)
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
    if all(is_transactional(engine) for engine in tables.values()):
        snapshot.release_lock()
    return snapshot


def _give_back(control: Connection, sessions: list[Connection]) -> None:
    statements = [(control, "UNLOCK TABLES"), (control, f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}")]
    for connection, statement in (*statements, *((each, "ROLLBACK") for each in sessions)):
        with suppress(OpskitError):  # a connection that is gone holds nothing
            execute(connection, statement)


def _in_touch_order(engines: dict[str, str]) -> dict[str, str]:
    # Tables are read in the reverse order: those that need the lock first, then the largest.
    return dict(sorted(engines.items(), key=lambda item: not is_transactional(item[1])))


def _refuse_non_transactional(tables: dict[str, str], level: Level, warnings: list[str], *, allowed: bool) -> None:
    others = [f"{name} ({engine})" for name, engine in tables.items() if not is_transactional(engine)]
    if not others:
        return
    if not allowed:
        raise ConfigurationError(
            f"no snapshot can cover tables outside InnoDB: {', '.join(others)}",
            hint="convert them, or read them under the lock with --allow-non-transactional",
        )
    how = "without a lock, so of no one moment" if level == "session" else "under the lock, outside the snapshot"
    warnings.append(f"read {how}: {', '.join(others)}")
