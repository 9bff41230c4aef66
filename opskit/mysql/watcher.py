"""Runs one server for a parent that may die at any moment: `python -I -S watcher.py FOLDER PROGRAM ARGUMENT…`.

Standard input is a pipe from the parent. However the parent ends, kill -9 included, the pipe closes: then the server
is killed and the folder removed. If the server ends by itself, so does the watcher, and leaves the exit code
in the folder.
"""

import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

EXIT_CODE = "exit-code"


def main(folder: str, command: list[str]) -> None:
    """Start the server, and wait for the end of it or of the parent."""
    ended, held_by_server = os.pipe()
    with (Path(folder) / "log").open("ab") as log:
        server = subprocess.Popen(  # noqa: S603 - the program that the parent was told to run
            command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, pass_fds=[held_by_server]
        )
    os.close(held_by_server)
    if ended in select.select([sys.stdin, ended], [], [])[0]:
        (Path(folder) / EXIT_CODE).write_text(str(server.wait()))
    else:
        server.kill()
        server.wait()
        shutil.rmtree(folder)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
