"""Run one command and write down what it took: a process of few megabytes between the benchmark and the command.

    python -I -S launcher.py REPORT COMMAND [ARGUMENT …]

Linux counts the peak memory of a process from before its exec, when it still was a copy of its parent.
"""

import json
import os
import sys
import time


def main(report: str, *command: str) -> int:
    """Run the command, write what it took as JSON into the report, and return its exit code."""
    began = time.monotonic()  # one clock for all processes of the machine
    process = os.posix_spawnp(command[0], command, os.environ)
    _, status, usage = os.wait4(process, 0)
    took = {
        "began": began,
        "ended": time.monotonic(),
        "processor_seconds": usage.ru_utime + usage.ru_stime,
        "peak_bytes": usage.ru_maxrss * 1024,
    }
    with open(report, "w") as file:  # noqa: PTH123 - pathlib would be megabytes more
        json.dump(took, file)
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
