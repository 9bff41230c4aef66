"""Progress on standard error: bars on a terminal, a line every ten seconds elsewhere."""

import logging
import os
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from opskit.amounts import human_seconds, human_size
from opskit.progress import NoProgress, Progress, Unit

logger = logging.getLogger(__name__)

INTERVAL_SECONDS = 10.0


@contextmanager
def shown_progress(*, quiet: bool = False) -> Iterator[Progress]:
    """Show a job's progress while the block runs; whatever happens in it, nothing is left running."""
    if quiet or sys.stderr is None:
        yield NoProgress()
    elif sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
        from opskit.cli.progress_bars import progress_bars  # noqa: PLC0415 - rich takes 100 ms: only where it shows

        with progress_bars() as bars:
            yield bars
    else:
        lines = ProgressLines(logger.info)
        yield lines
        lines.finish()


def amount(done: float, unit: Unit) -> str:
    """Return `1.2 GiB`, or `1,200,000`: bytes in their units, anything else counted."""
    return human_size(done) if unit == "bytes" else f"{done:,.0f}"


class ProgressLines:
    """One line at most every ten seconds, and one at the end of each phase; it needs no timer."""

    def __init__(self, say: Callable[[str], None], clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._lock = Lock()
        self._name = ""
        self._unit: Unit = "objects"
        self._total: int | None = None
        self._done = 0
        self._began = self._said = clock()

    def phase(self, name: str, total: int | None, unit: Unit) -> None:
        """Begin a phase."""
        with self._lock:
            self._end()
            self._name, self._total, self._unit, self._done = name, total, unit, 0
            self._began = self._said = self._clock()

    def advance(self, amount: int) -> None:
        """Count, and say so when ten seconds have passed since the last line."""
        with self._lock:
            self._done += amount
            now = self._clock()
            if now - self._said >= INTERVAL_SECONDS:
                self._said = now
                self._say(self._line())

    def finish(self) -> None:
        """End the last phase; a job that failed does not come here, and claims no end."""
        with self._lock:
            self._end()

    def _end(self) -> None:
        if self._name:
            self._say(f"{self._line()}, done in {human_seconds(self._clock() - self._began)}")
            self._name = ""

    def _line(self) -> str:
        line = f"{self._name}: {amount(self._done, self._unit)}"
        if self._total:
            line += f" of {amount(self._total, self._unit)}"
        if self._unit != "bytes":
            line += f" {self._unit}"
        if self._total:
            line += f" ({min(100, 100 * self._done // self._total)} %)"
        elapsed = self._clock() - self._began
        return f"{line}, {amount(self._done / elapsed, self._unit)}/s" if elapsed >= 1 else line
