"""The moment that a backup shows: one snapshot, seen by every worker.

Order, at every level: each worker starts a transaction and touches every table, which takes the metadata locks
and creates no read view yet; then the lock; then each worker reads one row, which creates its view; then the
lock goes, and the list of tables must still be what it was. Measured on MySQL 9.7: START TRANSACTION WITH
CONSISTENT SNAPSHOT before the touch reads a renamed table torn and without an error, and touching under the
lock can deadlock with a queued ALTER. LOCK INSTANCE FOR BACKUP is not used, since it blocks the CREATE DATABASE
IF NOT EXISTS that MLMD sends on every connect.
"""

import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final, Literal, Self

from opskit.errors import BusyError, ConfigurationError, DeniedError, OpskitError, UnavailableError
from opskit.mysql.connection import Connection, error_number, execute, is_mariadb, quote, scalar
from opskit.mysql.schema import table_names

Level = Literal["instance", "tables", "session"]
LEVELS: Final[tuple[Level, ...]] = ("instance", "tables", "session")

_LOCK_TRIES = 3  # of lock_wait_timeout, 5 s, each
_SNAPSHOT_TRIES = 3
_LOCK_WAIT_TIMEOUT = 1205


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

    def close(self) -> None:
        """End every session; the server drops locks and transactions with them."""
        for connection in (self.control, *(worker.connection for worker in self.workers)):
            with contextlib.suppress(Exception):
                connection.close()

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
    control = open_connection()
    try:
        for _ in range(_SNAPSHOT_TRIES):
            snapshot = _take(
                open_connection, control, database, workers, wanted, allow_non_transactional=allow_non_transactional
            )
            if set(table_names(control, database)) == set(snapshot.tables):
                if all(engine.lower() == "innodb" for engine in snapshot.tables.values()):
                    snapshot.release_lock()
                return snapshot
            snapshot.release_lock()
            for worker in snapshot.workers:
                worker.connection.close()
    except BaseException:
        with contextlib.suppress(Exception):
            control.close()
        raise
    control.close()
    raise BusyError("tables came and went while the snapshot was taken", hint="run it again when the upgrade is over")


def _take(
    open_connection: Callable[[], Connection],
    control: Connection,
    database: str,
    worker_count: int,
    wanted: Level,
    *,
    allow_non_transactional: bool,
) -> Snapshot:
    warnings: list[str] = []
    tables = _in_touch_order(table_names(control, database))
    _refuse_non_transactional(tables, warnings, allowed=allow_non_transactional)
    for level in LEVELS[LEVELS.index(wanted) :]:
        count = 1 if level == "session" else worker_count
        workers: list[Worker] = []
        try:
            workers.extend(_begin(open_connection(), tables) for _ in range(count))
            if level == "session" or _lock(control, level, tables, warnings):
                return _see(control, database, level, wanted, tables, workers, warnings)
        except BaseException:
            _end(workers)
            raise
        _end(workers)
    raise AssertionError("the level 'session' takes no lock, so it is never refused")


def _in_touch_order(engines: dict[str, str]) -> dict[str, str]:
    # Tables are read in the reverse order: those that need the lock first, then the largest.
    return dict(sorted(engines.items(), key=lambda item: item[1].lower() != "innodb"))


def _refuse_non_transactional(tables: dict[str, str], warnings: list[str], *, allowed: bool) -> None:
    others = [f"{name} ({engine})" for name, engine in tables.items() if engine.lower() != "innodb"]
    if not others:
        return
    if not allowed:
        raise ConfigurationError(
            f"no snapshot can cover tables outside InnoDB: {', '.join(others)}",
            hint="convert them, or read them under the lock with --allow-non-transactional",
        )
    warnings.append(f"read under the lock, outside the snapshot: {', '.join(others)}")


def _begin(connection: Connection, tables: dict[str, str]) -> Worker:
    execute(connection, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    execute(connection, "START TRANSACTION READ ONLY")
    for number, name in enumerate(tables):
        execute(connection, f"SAVEPOINT opskit_{number}")
        execute(connection, f"SELECT 1 FROM {quote(name)} LIMIT 0")
    return Worker(connection, held=len(tables))


def _lock(control: Connection, level: Level, tables: dict[str, str], warnings: list[str]) -> bool:
    if level == "instance":
        statement = "FLUSH TABLES WITH READ LOCK"
    elif tables:
        statement = "LOCK TABLES " + ", ".join(f"{quote(name)} READ" for name in tables)
    else:
        return True
    for _ in range(_LOCK_TRIES):
        try:
            execute(control, statement)
        except DeniedError:
            warnings.append(f"consistency level {level!r} is not allowed to this user")
            return False
        except UnavailableError as error:
            if error_number(error) != _LOCK_WAIT_TIMEOUT:
                raise
        else:
            return True
    warnings.append(f"consistency level {level!r} was not to be had: writers hold the tables all the time")
    return False


def _see(
    control: Connection,
    database: str,
    level: Level,
    wanted: Level,
    tables: dict[str, str],
    workers: list[Worker],
    warnings: list[str],
) -> Snapshot:
    position = _position(control)
    position.approximate = level == "session"
    transactional = [name for name, engine in tables.items() if engine.lower() == "innodb"]
    for worker in workers if transactional else []:
        execute(worker.connection, f"SELECT 1 FROM {quote(transactional[0])} LIMIT 1")
    return Snapshot(
        database=database,
        level=level,
        wanted=wanted,
        tables=tables,
        control=control,
        workers=workers,
        time=datetime.now(UTC),
        position=position,
        warnings=warnings,
        locked=level != "session",
    )


def _end(workers: list[Worker]) -> None:
    for worker in workers:
        with contextlib.suppress(Exception):
            worker.connection.close()


def _position(connection: Connection) -> Position:
    """Read what may be read: the GTID needs no privilege, the log's name and offset need REPLICATION CLIENT."""
    position = Position()
    gtid = "@@global.gtid_binlog_pos" if is_mariadb(connection) else "@@global.gtid_executed"
    with contextlib.suppress(OpskitError):
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
