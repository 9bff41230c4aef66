import os
import select
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from sandbox import UnavailableSandboxError
from sandbox.process import free_port, scratch

DEADLINE = 30


class Family(NamedTuple):
    folder: Path
    parent: int
    supervisor: int
    child: int


@contextmanager
def family(child: str) -> Iterator[Family]:
    """A process which, through the sandbox, has a folder and a child."""
    program = (
        "import time\n"
        "from sandbox.process import scratch\n"
        "with scratch('test') as place:\n"
        f"    child = place.start({child.split()!r}, log='log')\n"
        "    print(place.folder, place.supervisor.pid, child.pid, flush=True)\n"
        "    time.sleep(1000)\n"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        folder, supervisor, pid = parent.stdout.readline().split()
        try:
            yield Family(Path(folder), parent.pid, int(supervisor), int(pid))
        finally:
            parent.kill()


def assert_ends(pid: int) -> None:
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        assert select.select([descriptor], [], [], DEADLINE)[0], f"{pid} still runs"
    finally:
        os.close(descriptor)


def test_killed_parent_leaves_no_process_and_no_folder() -> None:
    with family("sleep 1000") as these:
        os.kill(these.parent, signal.SIGKILL)
        assert_ends(these.supervisor)
        assert_ends(these.child)
        assert not these.folder.exists()


def test_killed_parent_leaves_no_stopped_process() -> None:
    with family("sleep 1000") as these:
        os.kill(these.child, signal.SIGSTOP)
        os.kill(these.parent, signal.SIGKILL)
        assert_ends(these.child)


def test_killed_supervisor_takes_its_child_with_it() -> None:
    with family("sleep 1000") as these:
        os.kill(these.supervisor, signal.SIGKILL)
        assert_ends(these.child)
        these.folder.joinpath("log").unlink()
        these.folder.rmdir()


def test_block_that_ends_leaves_nothing() -> None:
    with scratch("test") as place:
        child = place.start(["sleep", "1000"], log="log")
        (place.folder / "file").touch()
        assert child.alive
    assert not child.alive
    assert not place.folder.exists()


def test_program_that_ends_at_once_is_reported_with_its_words() -> None:
    with scratch("test") as place, pytest.raises(UnavailableSandboxError, match="no such luck"):
        place.start(["sh", "-c", "echo no such luck; exit 3"], log="log").until(lambda: False)


def test_program_that_does_not_exist_is_reported() -> None:
    with scratch("test") as place, pytest.raises(UnavailableSandboxError, match="No such file"):
        place.start(["/no/such/program"], log="log")


def test_process_that_never_gets_ready_is_reported() -> None:
    with scratch("test") as place, pytest.raises(UnavailableSandboxError, match="not ready"):
        place.start(["sleep", "1000"], log="log").until(lambda: False, timeout=0.1)


def test_free_ports_differ() -> None:
    assert len({free_port() for _ in range(20)}) > 1
