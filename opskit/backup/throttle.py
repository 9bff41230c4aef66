"""A backup that pauses while its server has much to do."""

import threading
import time

from opskit.errors import DeniedError
from opskit.mysql.connection import Connection, execute
from opskit.mysql.replication import read_replicas

# Metadata locks are held meanwhile, and whoever changes a table waits for them.
LONGEST_PAUSE_SECONDS = 60.0


class Throttle:
    """Pauses every worker while the server is busier than allowed, a minute in all and no longer.

    Its load is `Threads_running`, without the `own` sessions that read for the backup; a replica is busy as well while
    it is further behind than `max_lag_seconds`. Without a limit nothing is asked and nothing pauses.
    """

    def __init__(
        self,
        connection: Connection,
        own: int,
        max_load: int | None = None,
        max_lag_seconds: float | None = None,
        *,
        longest_pause_seconds: float = LONGEST_PAUSE_SECONDS,
    ) -> None:
        self.warnings: list[str] = []
        self._connection = connection
        self._own = own
        self._max_load = max_load
        self._max_lag_seconds = max_lag_seconds
        self._left_seconds = longest_pause_seconds
        self._paused_since: float | None = None
        self._go = threading.Event()
        self._go.set()

    @property
    def paused(self) -> bool:
        """Whether workers have to wait at this moment."""
        return not self._go.is_set()

    def look(self) -> None:
        """Ask the server how busy it is, and pause the workers or let them go on; called again and again."""
        now = time.monotonic()
        if self._paused_since is not None:
            self._left_seconds -= now - self._paused_since
            self._paused_since = now
        if self._left_seconds <= 0:
            if self.paused:
                self.warnings.append("the server stayed busy: the backup went on after all the pauses it may make")
            self._resume()
        elif self._busy():
            self._paused_since = self._paused_since or now
            self._go.clear()
        else:
            self._resume()

    def wait(self) -> None:
        """Return once the workers may go on; even if nobody looks any more, after the longest pause."""
        self._go.wait(max(0.0, self._left_seconds))

    def _resume(self) -> None:
        self._paused_since = None
        self._go.set()

    def _busy(self) -> bool:
        return self._loaded() or self._behind()

    def _loaded(self) -> bool:
        if self._max_load is None:
            return False
        # The session that asks is running too.
        running = int(execute(self._connection, "SHOW GLOBAL STATUS LIKE 'Threads_running'")[0][1]) - 1
        return running - self._own > self._max_load

    def _behind(self) -> bool:
        if self._max_lag_seconds is None:
            return False
        try:
            lags = [replica.lag_seconds for replica in read_replicas(self._connection)]
        except DeniedError:
            self.warnings.append("backup.max_lag has no effect: this user has no REPLICATION CLIENT")
            self._max_lag_seconds = None
            return False
        return any(lag is not None and lag > self._max_lag_seconds for lag in lags)
