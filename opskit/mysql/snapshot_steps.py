"""The steps of taking a snapshot: open the tables, touch them, lock them, look.

Each says `BusyError` where others are in the way: then all is given back and begun anew.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, Literal

from opskit.errors import BusyError, DeniedError, NotFoundError, UnavailableError
from opskit.mysql.connection import (
    LOCK_WAIT_SECONDS,
    LOCK_WAIT_TIMEOUT,
    Connection,
    error_number,
    execute,
    quote,
)
from opskit.mysql.sessions import other_sessions
from opskit.mysql.wire import sever
from opskit.workers import Stop, run

Level = Literal["instance", "tables", "session"]
LEVELS: Final[tuple[Level, ...]] = ("instance", "tables", "session")

# While LOCK TABLES waits for one table, nobody writes to those it has already; while FLUSH TABLES waits for a long
# query, nobody writes at all. So a try is short (measured).
_LOCK_SECONDS = 1
_LONG_QUERY_SECONDS = 1
_OPENED_AT_ONCE = 50
_BLOCKED = (LOCK_WAIT_TIMEOUT, 1213)  # 1213: stood in a circle of waiting sessions
CHANGING = "tables came and went while the snapshot was taken"
CHANGING_HINT = "run it again when the upgrade is over"


class LockBusyError(BusyError):
    """Writers, a long query or a change of the schema kept the lock from us."""


class LockDeniedError(Exception):
    """The server refuses the lock to this user."""


def is_transactional(engine: str) -> bool:
    """Tell whether a snapshot covers the tables of an engine."""
    return engine.lower() == "innodb"


@contextmanager
def _while_tables_stay() -> Iterator[None]:
    """Say `BusyError` where a table is gone, or is being changed."""
    try:
        yield
    except NotFoundError as error:
        raise BusyError(f"{CHANGING}: {error.message}", hint=CHANGING_HINT) from error
    except UnavailableError as error:
        if error_number(error) not in _BLOCKED:
            raise
        raise BusyError(f"{CHANGING}: {error.message}", hint=CHANGING_HINT) from error


def open_tables(control: Connection, tables: dict[str, str]) -> None:
    """Have the server open every table, so that no worker's transaction has to.

    Whoever opens a table that is not in the server's cache gets a lock on its database with it, and keeps it until
    the transaction ends: all that time CREATE DATABASE IF NOT EXISTS waits (measured on MySQL 9.7). Without a
    transaction the lock is gone with the statement. FLUSH TABLES empties the cache. Many tables go into one statement,
    since writers may wait meanwhile.
    """
    names = list(tables)
    with _while_tables_stay():
        for first in range(0, len(names), _OPENED_AT_ONCE):
            opened = (f"(SELECT 1 FROM {quote(name)} LIMIT 0)" for name in names[first : first + _OPENED_AT_ONCE])
            execute(control, " UNION ALL ".join(opened))


def touch_all(sessions: list[Connection], tables: dict[str, str]) -> None:
    """Touch the tables in every session, all side by side: a distant server takes two round trips a table."""
    stop = Stop()

    def interrupt() -> None:
        if not isinstance(stop.reason, Exception):  # a signal; after an error the sessions begin anew
            for session in sessions:
                sever(session)

    stop.on_stop(interrupt)
    run(sessions, range(len(sessions)), lambda _, session: touch(session, tables), stop)


def touch(session: Connection, tables: dict[str, str]) -> None:
    """Begin a transaction that holds the metadata lock of every table, and has no read view yet."""
    execute(session, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ")
    execute(session, "START TRANSACTION READ ONLY")
    with _while_tables_stay():
        for number, name in enumerate(tables):
            execute(session, f"SAVEPOINT opskit_{number}")
            execute(session, f"SELECT 1 FROM {quote(name)} LIMIT 0")


def lock(control: Connection, level: Level, tables: dict[str, str]) -> None:
    """Take the level's lock; `LockDeniedError` if this user may not, `LockBusyError` if it is not to be had."""
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
        raise LockDeniedError from error
    except UnavailableError as error:
        if error_number(error) not in _BLOCKED:
            raise
        raise LockBusyError("others hold the tables all the time") from error
    execute(control, f"SET SESSION lock_wait_timeout = {LOCK_WAIT_SECONDS}")


def _require_short_queries(control: Connection) -> None:
    """Raise unless FLUSH TABLES would find every table free, as far as this user may see.

    A table in use stays marked as to be flushed, even when the flush itself has given up: until the query that
    uses it is over, every new reader waits (measured on MySQL 9.7).
    """
    for session in other_sessions(control):
        seconds = session.statement_seconds
        if seconds is not None and seconds >= _LONG_QUERY_SECONDS:
            raise LockBusyError(f"a statement has run for {seconds} s, and readers would wait for its end")


def see(sessions: list[Connection], tables: dict[str, str]) -> None:
    """Read a row in every session, which creates its view."""
    transactional = [name for name, engine in tables.items() if is_transactional(engine)]
    for session in sessions if transactional else []:
        execute(session, f"SELECT 1 FROM {quote(transactional[0])} LIMIT 1")
