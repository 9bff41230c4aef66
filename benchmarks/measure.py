"""What a command took: seconds by the clock, seconds of processor time, and the most memory of any of its processes."""

import contextlib
import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

LAUNCHER = Path(__file__).with_name("launcher.py")


class FailedError(Exception):
    """A measured command ended with an error."""


@dataclass(frozen=True, slots=True)
class Measured:
    """The cost of one command or pipeline; `peak_bytes` is its largest process's resident set."""

    seconds: float
    processor_seconds: float
    peak_bytes: int

    def then(self, following: "Measured") -> "Measured":
        """Return the cost of both, one after the other."""
        return Measured(
            seconds=self.seconds + following.seconds,
            processor_seconds=self.processor_seconds + following.processor_seconds,
            peak_bytes=max(self.peak_bytes, following.peak_bytes),
        )


def measured(
    *commands: Sequence[str],
    stdin: Path | None = None,
    stdout: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> Measured:
    """Run a pipeline of commands, and return what all of them took until the last had ended."""
    processes: list[subprocess.Popen[bytes]] = []
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        source: IO[bytes] | int = stack.enter_context(stdin.open("rb")) if stdin else subprocess.DEVNULL
        for number, command in enumerate(commands, start=1):
            last = number == len(commands)
            sink = stack.enter_context(stdout.open("wb")) if last and stdout else None
            target = sink or (subprocess.DEVNULL if last else subprocess.PIPE)
            launched = [sys.executable, "-I", "-S", str(LAUNCHER), str(folder / str(number)), *command]
            process = stack.enter_context(subprocess.Popen(launched, stdin=source, stdout=target, env=environment))
            if processes and processes[-1].stdout:
                processes[-1].stdout.close()  # ours; the next process has its own
            processes.append(process)
            source = process.stdout or subprocess.DEVNULL
        for process, command in zip(processes, commands, strict=True):
            if process.wait():
                raise FailedError(f"{Path(command[0]).name} ended with {process.returncode}: {' '.join(command)}")
        reports = [json.loads((folder / str(number)).read_text()) for number in range(1, len(commands) + 1)]
    return Measured(
        seconds=max(report["ended"] for report in reports) - min(report["began"] for report in reports),
        processor_seconds=sum(report["processor_seconds"] for report in reports),
        peak_bytes=max(report["peak_bytes"] for report in reports),
    )
