"""What is watched while a backup runs, so that it gives way to the registry."""

import time

from opskit.errors import BusyError, NotFoundError, UnavailableError
from opskit.mysql.connection import LOCK_WAIT_TIMEOUT, Connection, error_number, execute, quote
from opskit.mysql.snapshot import Snapshot

# A DDL that waits for our metadata lock blocks every reader and writer behind it.
METADATA_WAIT_SECONDS = 10.0
# An answer that takes longer comes from a server, or over a network, that hangs.
ANSWER_SECONDS = 60.0


class Deadline:
    """The time by which a backup must have ended."""

    def __init__(self, seconds: float) -> None:
        self._end = time.monotonic() + seconds

    def check(self) -> None:
        """Raise `BusyError` once the time is over."""
        if time.monotonic() > self._end:
            raise BusyError("the backup took longer than backup.max_duration", hint="raise it, or add workers")


class Lookout:
    """Looks at the tables as the registry does, and sees whether a reader that comes now has to wait.

    This needs no privilege, and sees whoever waits: the list of sessions shows only those of one's own user
    (docs/decisions/0008).
    """

    def __init__(self, connection: Connection, snapshot: Snapshot) -> None:
        execute(connection, "SET SESSION lock_wait_timeout = 1")
        self._connection = connection
        self._snapshot = snapshot
        self._waiting_since: float | None = None

    def look(self) -> None:
        """Raise `BusyError` when readers of a table that the backup holds have waited for too long."""
        before = time.monotonic()
        table = self._blocked()
        if table is None:
            self._waiting_since = None
            return
        self._waiting_since = self._waiting_since or before
        if time.monotonic() - self._waiting_since >= METADATA_WAIT_SECONDS:
            raise BusyError(
                f"gave way to a change of table {table!r} that waited for the backup, and the registry behind it",
                hint="the registry is being upgraded; run the backup again afterwards",
            )

    def _blocked(self) -> str | None:
        for table in self._snapshot.held_tables():
            try:
                execute(self._connection, f"SELECT 1 FROM {quote(table)} LIMIT 0")
            except NotFoundError:
                continue  # given back, and renamed since
            except UnavailableError as error:
                if error_number(error) != LOCK_WAIT_TIMEOUT:
                    raise
                return table
        return None
