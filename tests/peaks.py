"""What memory hostile manifests take: `python -m tests.peaks ID FILE …` prints one line for each file.

Linux counts the peak memory of a process from before its exec, so a fork of this process judges each.
"""

import os
import sys
from contextlib import suppress
from pathlib import Path

from opskit.backup.manifest import load_manifest
from opskit.errors import OpskitError


def peak_bytes(backup_id: str, file: str) -> int:
    """Return the peak memory of a process that reads a manifest, whatever it finds it to be."""
    if (child := os.fork()) == 0:
        with suppress(OpskitError):
            load_manifest(Path(file).read_bytes(), backup_id)
        os._exit(0)
    _, status, usage = os.wait4(child, 0)
    if status != 0:
        raise SystemExit(f"{file}: ended with {os.waitstatus_to_exitcode(status)}")
    return usage.ru_maxrss * 1024


if __name__ == "__main__":
    for each in sys.argv[2:]:
        sys.stdout.write(f"{peak_bytes(sys.argv[1], each)}\n")
