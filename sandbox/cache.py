"""What is too dear to make twice: unpacked servers, initialised data folders, virtual environments."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path


def cache_folder() -> Path:
    """Return `$OPSKIT_CACHE`, else the user's cache folder, with `opskit` in it."""
    chosen = os.environ.get("OPSKIT_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(chosen) if chosen else Path(base) / "opskit"


def cached(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder `name` of the cache; `make` fills it once, whoever else asks at the same time.

    It is filled under another name and renamed, so that a folder which is there is complete.
    """
    folder = cache_folder() / name
    if folder.is_dir():
        return folder
    folder.parent.mkdir(parents=True, exist_ok=True)
    with (folder.parent / f".{folder.name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.is_dir():
            for left_by_a_killed_process in folder.parent.glob(f".{folder.name}~*"):
                shutil.rmtree(left_by_a_killed_process)
            unfinished = Path(tempfile.mkdtemp(prefix=f".{folder.name}~", dir=folder.parent))
            try:
                make(unfinished)
                unfinished.rename(folder)
            finally:
                shutil.rmtree(unfinished, ignore_errors=True)
    return folder
