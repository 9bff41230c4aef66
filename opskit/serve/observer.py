"""Looks at everything again and again, in a thread of its own, so that no request waits for a registry."""

import logging
import threading
from collections.abc import Callable
from datetime import UTC, datetime

from opskit.serve.observation import Observation

logger = logging.getLogger(__name__)

# An observation that is older than so many periods says that the observer hangs.
_PERIODS = 5
_MARGIN_SECONDS = 60.0


class Observer:
    """Holds the newest observation; `wake` makes it look at once."""

    def __init__(self, look: Callable[[], Observation], every_seconds: float) -> None:
        self.newest: Observation | None = None
        self._look = look
        self._every_seconds = every_seconds
        self._wanted = threading.Event()
        self._thread = threading.Thread(target=self._run, name="observer", daemon=True)

    def start(self) -> None:
        """Begin to look."""
        self._thread.start()

    def wake(self) -> None:
        """Look now, not when the period is over."""
        self._wanted.set()

    @property
    def fresh(self) -> bool:
        """Whether what is known is of late."""
        if self.newest is None:
            return False
        age = (datetime.now(UTC) - self.newest.moment).total_seconds()
        return age < self._every_seconds * _PERIODS + _MARGIN_SECONDS

    def _run(self) -> None:
        while True:
            self._wanted.clear()
            try:
                self.newest = self._look()
            except Exception:
                logger.exception("looking at the registries ended with a bug")
            self._wanted.wait(self._every_seconds)
