"""Run one command and write down what it took: a process of few megabytes between the benchmark and the command.

    python -I -S launcher.py REPORT COMMAND [ARGUMENT …]

Linux counts the peak memory of a process from before its exec, when it still was a copy of its parent.
"""

import json
import os
import sys


def main(report: str, *command: str) -> int:
    """Run the command, write its usage as JSON into the report, and return its exit code."""
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    with open(report, "w") as file:  # noqa: PTH123 - pathlib would be megabytes more
        json.dump({"processor_seconds": usage.ru_utime + usage.ru_stime, "peak_bytes": usage.ru_maxrss * 1024}, file)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
