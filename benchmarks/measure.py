"""What a command took: seconds by the clock, seconds of processor time, and the most memory of any of its processes."""

import contextlib
import os
import resource
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO


class FailedError(Exception):
    """A measured command ended with an error."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The cost of one command or pipeline; `peak_bytes` is its largest process's resident set."""

    seconds: float
    processor_seconds: float
    peak_bytes: int


def measured(
    *commands: Sequence[str],
    stdin: Path | None = None,
    stdout: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Measured:
    """Run a pipeline of commands, and return what all of them took until the last had ended."""
    processes: list[subprocess.Popen[bytes]] = []
    began = time.monotonic()
    with contextlib.ExitStack() as stack:
        source: IO[bytes] | int = stack.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
        for number, command in enumerate(commands, start=1):
            last = number == len(commands)
            sink = stack.enter_context(stdout.open("wb")) if last and stdout else None
            target = sink or (subprocess.DEVNULL if last else subprocess.PIPE)
            process = stack.enter_context(subprocess.Popen(command, stdin=source, stdout=target, env=environment))
            if processes and processes[-1].stdout:
                processes[-1].stdout.close()  # ours; the next process has its own
            processes.append(process)
            source = process.stdout or subprocess.DEVNULL
        ends = [_end(process, command) for process, command in zip(processes, commands, strict=True)]
    return Measured(
        seconds=time.monotonic() - began,
        processor_seconds=sum(end.ru_utime + end.ru_stime for end in ends),
        peak_bytes=max(end.ru_maxrss for end in ends) * 1024,  # Linux counts in KiB
    )


def _end(process: "subprocess.Popen[bytes]", command: Sequence[str]) -> resource.struct_rusage:
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise FailedError(f"{Path(command[0]).name} ended with {process.returncode}: {' '.join(command)}")
    return usage
