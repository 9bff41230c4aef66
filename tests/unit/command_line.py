"""The command line as a process of its own, the only way to see its exit code."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

PROJECT = Path(__file__).parents[2]

# A program with one more command; its body stands in for a command that does or meets something.
_PROGRAM = """
import os, signal, sys, threading
from opskit import cli, errors
from opskit.cli.invocation import pass_invocation
from opskit.cli.root import opskit

@opskit.command()
@pass_invocation
def stand_in(invocation):
    {body}

cli.main()
"""


def environment(**variables: str) -> dict[str, str]:
    """The environment without anything that configures opskit, or the terminal."""
    inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG", "LD_LIBRARY_PATH") if name in os.environ}
    return {**inherited, "PYTHONPATH": str(PROJECT), **variables}


def opskit_command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "opskit", *arguments]


def stand_in_command(body: str, *arguments: str) -> list[str]:
    """A command line whose command has this body."""
    program = _PROGRAM.format(body=body.strip().replace("\n", "\n    "))
    return [sys.executable, "-c", program, *arguments, "stand-in"]


def run(
    command: Sequence[str], cwd: Path, environ: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        cwd=cwd,
        env=environ or environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
