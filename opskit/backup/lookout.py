"""What is watched while a backup runs, so that it gives way to the registry."""

import time

from opskit.errors import BusyError
from opskit.mysql.lease import Lease

# A DDL that waits for our metadata lock blocks every reader and writer behind it.
METADATA_WAIT_SECONDS = 10.0


class Lookout:
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
