"""Several threads at one job: the first failure stops all of them, and is the one that is raised."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Self, TypeVar

Resource = TypeVar("Resource")
Task = TypeVar("Task")

# In-flight requests end by their own timeouts; a stop does not wait for more than this.
_STOP_SECONDS = 20.0


class Stopped(BaseException):
    """Raised in a thread whose job was stopped from elsewhere; no `except Exception` may swallow it."""


class Stop:
    """The reason, if any, why a job must end; what hangs in a read is woken by the actions given here."""

    def __init__(self) -> None:
        self.reason: BaseException | None = None
        self._lock = threading.Lock()
        self._actions: list[Callable[[], None]] = []

    def on_stop(self, action: Callable[[], None]) -> None:
        """Run `action` when the job is stopped, to wake a thread that waits; at once if it was stopped already."""
        with self._lock:
            self._actions.append(action)
            stopped = self.reason is not None
        if stopped:
            action()

    def because(self, reason: BaseException) -> None:
        """Stop the job; the first reason is the one that counts."""
        with self._lock:
            if self.reason is not None:
                return
            self.reason = reason
            actions = list(self._actions)
        for action in actions:
            with contextlib.suppress(Exception):
                action()

    def check(self) -> None:
        """Raise `Stopped` if the job was stopped."""
        if self.reason is not None:
            raise Stopped

    def __enter__(self) -> Self:
        return self

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        """Raise the reason instead of what it caused: a severed connection, an upload that was cut."""
        if self.reason is not None and error is not self.reason:
            raise self.reason from error

    def raise_reason(self) -> None:
        """Raise the reason, if there is one."""
        if self.reason is not None:
            raise self.reason


def run(
    tasks: Iterable[Task],
    resources: Sequence[Resource],
    work: Callable[[Resource, Task], None],
    stop: Stop,
    *,
    idle: Callable[[Resource], None] = lambda _: None,
) -> None:
    """Do every task, one thread a resource, in order; `idle` is called on a resource that has no task left.

    Raises the first failure once all threads have ended, or `stop.reason` if the job was stopped from outside.
    """
    queue = iter(tasks)
    lock = threading.Lock()

    def loop(resource: Resource, ended: threading.Event) -> None:
        try:
            while True:
                stop.check()
                with lock:
                    task = next(queue, None)
                if task is None:
                    idle(resource)
                    return
                work(resource, task)
        except Stopped:
            pass
        except BaseException as error:  # noqa: BLE001 - carried over to the caller's thread
            stop.because(error)
        finally:
            ended.set()

    # Not Thread.join: one that a signal interrupts takes the thread for dead from then on (CPython 90882, mended in
    # 3.13), and nobody would wait for the uploads to be aborted.
    running: list[threading.Event] = []
    try:
        for resource in resources:
            running.append(threading.Event())
            threading.Thread(target=loop, args=(resource, running[-1]), daemon=True).start()
        for ended in running:
            ended.wait()
    except BaseException as error:
        stop.because(error)
        deadline = time.monotonic() + _STOP_SECONDS
        for ended in running:
            ended.wait(max(0.0, deadline - time.monotonic()))
        raise
    stop.raise_reason()


class Watch:
    """Calls `look` every second in a thread of its own until the block ends; what it raises stops the job."""

    def __init__(self, look: Callable[[], None], stop: Stop, *, every_seconds: float = 1.0) -> None:
        self._look = look
        self._stop = stop
        self._every_seconds = every_seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        try:
            while not self._done.wait(self._every_seconds):
                self._look()
        except BaseException as error:  # noqa: BLE001 - the same
            self._stop.because(error)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join(_STOP_SECONDS)
