"""One run at a time: a named lock that the server holds for as long as this connection lives."""

import contextlib
import hashlib
import threading
import time
from typing import Self

from opskit.errors import BusyError, OpskitError
from opskit.mysql.connection import Connection, compared_name, execute, scalar

PING_SECONDS = 30.0
_POLL_SECONDS = 1.0
_END_SECONDS = 30.0
_END_POLL_SECONDS = 0.05


class Lease:
    """`GET_LOCK` on a connection of its own, which never reconnects: if it dies, the lease is lost.

    Names of locks are limited to 64 characters and compared without case or accents (MySQL manual, Locking
    Functions), hence the hash of the database's name, as the server compares it.
    """

    def __init__(self, connection: Connection, database: str, *, ping_seconds: float = PING_SECONDS) -> None:
        self._connection = connection
        self._ping_seconds = ping_seconds
        self._guard = threading.Lock()
        self._database = database
        self._name = ""
        self._pinged = time.monotonic()

    def acquire(self, wait_seconds: float = 0) -> None:
        """Take the lease; `BusyError` if another run holds it for longer than `wait_seconds`."""
        database = compared_name(self._connection, self._database)
        self._name = "opskit:" + hashlib.sha256(database.encode()).hexdigest()[:32]
        deadline = time.monotonic() + wait_seconds
        while scalar(self._connection, "SELECT GET_LOCK(%s, 0)", [self._name]) != 1:
            if time.monotonic() >= deadline:
                raise BusyError(
                    "another opskit run works on this database",
                    hint="wait for it, or let this run wait with --lease-wait",
                )
            time.sleep(min(_POLL_SECONDS, max(0.0, deadline - time.monotonic())))

    def check(self) -> None:
        """Raise `BusyError` unless the lease is still ours."""
        try:
            with self._guard:
                ours = scalar(self._connection, "SELECT IS_USED_LOCK(%s) = CONNECTION_ID()", [self._name]) == 1
                self._pinged = time.monotonic()
        except OpskitError as error:
            raise BusyError(f"the lease was lost: {error.message}") from error
        if not ours:
            raise BusyError("the lease was lost: another run may have begun")

    def execute(self, statement: str) -> None:
        """Run a statement on the lease's own connection: it cannot run once the lease is lost."""
        with self._guard:
            execute(self._connection, statement)

    def check_when_due(self) -> None:
        """Check the lease if that was not done for half a minute, or the time that was given instead."""
        if time.monotonic() - self._pinged >= self._ping_seconds:
            self.check()

    def end(self, connection: Connection) -> None:
        """End the lease's session from another connection, and return when it is over, with whatever it still ran.

        A server goes on with a statement whose client is gone. It gives the lock back once the session is over; so
        whoever holds it under our session's number is our session, and nobody else is ever killed.
        """
        session = self._connection.thread_id()
        deadline = time.monotonic() + _END_SECONDS
        while scalar(connection, "SELECT IS_USED_LOCK(%s)", [self._name]) == session:
            if time.monotonic() >= deadline:
                raise BusyError(f"session {session} does not end")
            with contextlib.suppress(OpskitError):  # it may have ended by itself
                execute(connection, f"KILL {session}")
            time.sleep(_END_POLL_SECONDS)

    def release(self) -> None:
        """Give the lease back by closing its connection."""
        with contextlib.suppress(Exception):
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Give the lease back; after success it is free at once, after an error as soon as the server notices.

        A server frees the locks of a connection some time after it was closed. It is asked for more only if all
        is well with it: one that hangs must not hold up a run that was told to end.
        """
        if kind is None:
            with contextlib.suppress(OpskitError):
                scalar(self._connection, "SELECT RELEASE_LOCK(%s)", [self._name])
        self.release()
