"""Child processes and temporary folders of which nothing survives, however the parent ends."""

import errno
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import UnavailableSandboxError

SUPERVISOR = Path(__file__).with_name("supervisor.py")
POLL_SECONDS = 0.02
STOP_SECONDS = 60
PORT_ATTEMPTS = 5


@dataclass(frozen=True)
class Process:
    """A running child, known by a pidfd: a signal can never hit a stranger that got its number."""

    pid: int
    log: Path
    pidfd: int

    def signal(self, number: signal.Signals) -> None:
        """Send a signal; to a process that is gone it is nothing."""
        if self.alive:
            signal.pidfd_send_signal(self.pidfd, number)

    def wait(self, timeout: float) -> bool:
        """Return whether the process ended within `timeout` seconds."""
        return bool(select.select([self.pidfd], [], [], timeout)[0])

    @property
    def alive(self) -> bool:
        """Whether it still runs (or is stopped by SIGSTOP)."""
        return not self.wait(0)

    def until(self, ready: Callable[[], bool], *, timeout: float = 60) -> None:
        """Wait until `ready()`; raise with the end of the log when the process ends first or time is up."""
        deadline = time.monotonic() + timeout
        while not ready():
            if self.wait(POLL_SECONDS):
                raise UnavailableSandboxError(f"process {self.pid} ended at once: {self.log_end()}")
            if time.monotonic() > deadline:
                raise UnavailableSandboxError(f"not ready after {timeout:.0f} s: {self.log_end()}")

    def log_end(self) -> str:
        """Return the last lines it wrote."""
        return self.log.read_text(errors="replace")[-1500:]


@dataclass(frozen=True)
class Scratch:
    """A temporary folder and the processes that live in it."""

    folder: Path
    supervisor: subprocess.Popen[str]
    _turn: threading.Lock = field(default_factory=threading.Lock)

    def start(self, argv: Sequence[str], *, log: str, environment: Mapping[str, str] | None = None) -> Process:
        """Start a program; its output is appended to the file `log` in the folder."""
        path = self.folder / log
        request = {"argv": list(argv), "log": str(path), "environment": dict(environment or {})}
        assert self.supervisor.stdin is not None
        assert self.supervisor.stdout is not None
        with self._turn:
            self.supervisor.stdin.write(json.dumps(request) + "\n")
            self.supervisor.stdin.flush()
            answer = json.loads(self.supervisor.stdout.readline())
        if "error" in answer:
            raise UnavailableSandboxError(answer["error"])
        try:
            process = Process(answer["pid"], path, os.pidfd_open(answer["pid"]))
        except ProcessLookupError as error:
            end = path.read_text(errors="replace")[-1500:]
            raise UnavailableSandboxError(f"{argv[0]} ended at once: {end}") from error
        weakref.finalize(process, os.close, process.pidfd)
        return process


@contextmanager
def scratch(prefix: str) -> Iterator[Scratch]:
    """Make a temporary folder for processes; at the end they are killed and it is removed."""
    folder = Path(tempfile.mkdtemp(prefix=f"opskit-{prefix}-"))
    with subprocess.Popen(
        [sys.executable, "-I", "-S", str(SUPERVISOR), str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as supervisor:
        # Leaving the block closes the pipe, which is the supervisor's signal, and waits for its end.
        yield Scratch(folder, supervisor)


class Service:
    """A process that listens on a local port: it can be stopped, frozen, and started again on the same port."""

    def __init__(self, place: Scratch, command: Callable[[int], Sequence[str]], ready: Callable[[int], bool]) -> None:
        self.place = place
        self._command = command
        self._ready = ready
        for _attempt in range(PORT_ATTEMPTS):
            self.port = free_port()
            self.process = self._started()
            try:
                self.process.until(lambda: ready(self.port))
            except UnavailableSandboxError:
                if not port_was_taken(self.process):
                    raise
            else:
                return
        raise UnavailableSandboxError(f"no port was free in {PORT_ATTEMPTS} attempts")

    def _started(self) -> Process:
        return self.place.start(self._command(self.port), log="server.log")

    def start(self) -> None:
        """Start it again after it was stopped, on the same port."""
        self.process = self._started()
        self.process.until(lambda: self._ready(self.port))

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it in good order, or crash it with SIGKILL; return when it is gone."""
        self.process.signal(number)
        assert self.process.wait(STOP_SECONDS), f"it does not stop: {self.process.log_end()}"

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self.process.signal(signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        self.process.signal(signal.SIGCONT)


def free_port() -> int:
    """Return a port that was free a moment ago: whoever uses it must be ready to try another."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def port_was_taken(process: Process) -> bool:
    """Tell from its log whether a process ended because somebody else took its port."""
    log = process.log.read_text(errors="replace").lower()
    return os.strerror(errno.EADDRINUSE).lower() in log


def answers(port: int) -> bool:
    """Tell whether something accepts connections on a local port."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
