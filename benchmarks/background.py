"""Small servers of the benchmarks' own, each in a process that ends with its benchmark."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def listening(module: str, *arguments: object) -> Iterator[int]:
    """Run a module that prints the port it listens on, and hand over that port."""
    command = [sys.executable, "-m", module, *map(str, arguments)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield int(process.stdout.readline())
        finally:
            process.kill()
