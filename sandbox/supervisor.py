"""The process that outlives its parent's death just long enough to clean up after it.

Run as `python -I -S supervisor.py FOLDER`. Requests are JSON lines on stdin, answered on stdout. However the
parent ends, kill -9 included, its end of the pipe closes: then every child's process group is killed and the
folder is removed. Should the supervisor itself be killed, its children die with it (PR_SET_PDEATHSIG).
"""

import contextlib
import ctypes
import json
import os
import shutil
import signal
import subprocess
import sys

PR_SET_PDEATHSIG = 1  # linux/prctl.h
_libc = ctypes.CDLL(None)


def _die_with_supervisor() -> None:
    """Run in the child: safe after fork, because the supervisor has one thread only."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    _libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def _start(argv: list[str], log: str, environment: dict[str, str]) -> int:
    with open(log, "ab") as output:  # noqa: PTH123 (pathlib would double the start-up time)
        child = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=os.environ | environment,
            start_new_session=True,
            preexec_fn=_die_with_supervisor,  # noqa: PLW1509 (one thread, see above)
        )
    return child.pid


def main(folder: str) -> None:
    """Serve requests until the parent is gone, then leave nothing behind."""
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps: the parent waits on a pidfd
    groups = []
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer: dict[str, object] = {"pid": _start(**request)}
            groups.append(answer["pid"])
        except OSError as error:
            answer = {"error": str(error)}
        with contextlib.suppress(BrokenPipeError):
            print(json.dumps(answer), flush=True)
    for group in groups:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(int(str(group)), signal.SIGKILL)
    # A process may still be creating files while it is being killed.
    for _attempt in range(1000):
        shutil.rmtree(folder, ignore_errors=True)
        if not os.path.lexists(folder):
            break


if __name__ == "__main__":
    main(sys.argv[1])
