"""Jobs that this process has run: each in a child process, with what became of it."""

import logging
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from opskit.jobs import Job

logger = logging.getLogger(__name__)

Outcome = Literal["success", "findings", "failure", "terminated", "missed", "overlapped"]
_FOUND_PROBLEMS = 1
# SIGTERM lets a job clean up: uploads are aborted, scratch databases dropped.
_TERMINATION_SECONDS = 120.0
_REMEMBERED = 20_000


@dataclass(frozen=True, slots=True)
class Run:
    """One run of a job; what was missed or would have overlapped was never started and has no exit code."""

    job: str
    started: datetime
    ended: datetime
    outcome: Outcome
    exit_code: int | None = None


class RunLog:
    """The runs of this process, the oldest first; any thread may add to it."""

    def __init__(self) -> None:
        self._runs: deque[Run] = deque(maxlen=_REMEMBERED)
        self._lock = threading.Lock()

    def add(self, run: Run) -> None:
        """Remember a run."""
        with self._lock:
            self._runs.append(run)

    @property
    def runs(self) -> tuple[Run, ...]:
        """All runs that are remembered."""
        with self._lock:
            return tuple(self._runs)


class Children:
    """Runs jobs as child processes, and ends those that still run when it is stopped.

    `options` are those of the command line that every child is given: the configuration that is served.
    """

    def __init__(self, options: Sequence[str], log: RunLog, after: Callable[[Run], None]) -> None:
        self._command = [sys.executable, "-m", "opskit"]
        self._options = list(options)
        self._log = log
        self._after = after
        self._running: set[subprocess.Popen[bytes]] = set()
        self._lock = threading.Condition()
        self._stopped = False

    def run(self, job: Job) -> Run:
        """Run a job to its end or its deadline; how it ends is logged and remembered, never raised."""
        started = datetime.now(UTC)
        code = self._exit_code(job)
        run = Run(job.name, started, datetime.now(UTC), _outcome(code), code)
        level = logging.INFO if run.outcome == "success" else logging.ERROR
        logger.log(level, "job %s: %s (exit code %s)", job.name, run.outcome, code)
        self._log.add(run)
        self._after(run)
        return run

    def _exit_code(self, job: Job) -> int | None:
        with self._lock:
            if self._stopped:
                return None
            # Its result goes where the log goes, and Ctrl-C in a terminal must not reach it before us.
            process = subprocess.Popen(  # noqa: S603 - the command is our own
                [*self._command, *job.arguments, *self._options],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr,
                start_new_session=True,
            )
            self._running.add(process)
        try:
            return process.wait(job.deadline.total_seconds())
        except subprocess.TimeoutExpired:
            logger.error("job %s has not ended within %s: it is terminated", job.name, job.deadline)  # noqa: TRY400 - no bug
            _terminate(process)
            return process.wait()
        finally:
            with self._lock:
                self._running.discard(process)
                self._lock.notify_all()

    def wait(self, seconds: float) -> bool:
        """Wait until nothing runs, and start nothing more; return False if something still runs after that time."""
        with self._lock:
            self._stopped = True
            return self._lock.wait_for(lambda: not self._running, seconds)

    def stop(self) -> None:
        """End what still runs with SIGTERM, and start nothing more."""
        with self._lock:
            self._stopped = True
            running = list(self._running)
        for process in running:
            process.send_signal(signal.SIGTERM)
        for process in running:
            _terminate(process)


def _terminate(process: "subprocess.Popen[bytes]") -> None:
    """End a process in good order; one that does not take the hint is killed."""
    process.terminate()
    try:
        process.wait(_TERMINATION_SECONDS)
    except subprocess.TimeoutExpired:
        process.kill()


def _outcome(code: int | None) -> Outcome:
    if code is None or code in (-signal.SIGTERM, 128 + signal.SIGTERM, -signal.SIGKILL):
        return "terminated"
    return {0: "success", _FOUND_PROBLEMS: "findings"}.get(code, "failure")  # type: ignore[return-value] # literals
