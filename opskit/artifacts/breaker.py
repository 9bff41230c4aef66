"""A server that stopped answering is not asked for another hundred thousand objects."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from opskit.errors import OpskitError, UnavailableError

# Each has been tried several times by then.
_FAILURES_IN_A_ROW = 5
_LATE = 5


class Breaker:
    """Counts requests in a row that got no answer; after enough of them every further one fails at once.

    So does it after as many, in a row or not, that took all of their time: such a server answers, and holds us up.
    """

    def __init__(self) -> None:
        self._failures = 0
        self._late = 0
        self._lock = threading.Lock()

    @contextmanager
    def watch(self) -> Iterator[None]:
        """Make one request inside; any answer, a refusal too, starts the count anew."""
        if self._failures >= _FAILURES_IN_A_ROW or self._late >= _LATE:
            raise UnavailableError("not asked any more: the server has stopped answering")
        try:
            yield
        except UnavailableError:
            with self._lock:
                self._failures += 1
            raise
        except OpskitError:
            self._failures = 0
            raise
        self._failures = 0

    def count_late(self) -> None:
        """Count a request that took all of its time, whatever was answered meanwhile."""
        with self._lock:
            self._late += 1
