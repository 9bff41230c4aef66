"""Artifacts behind `file:` and `pvc:`, under folders that the configuration names.

Every step is opened relative to the one before, and no link is followed: a path cannot leave its mount, even if
somebody changes the tree meanwhile.
"""

import errno
import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opskit.artifacts.bucket import Stored
from opskit.artifacts.folder import Folder, fingerprint_of
from opskit.artifacts.layout import judge_layout
from opskit.artifacts.uri import FileLocation
from opskit.artifacts.verdict import Finding
from opskit.storage.file_times import modified

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ABSENT = (errno.ENOENT, errno.ENOTDIR)
_DEEPEST = 32


@dataclass(frozen=True, slots=True)
class Mount:
    """Where this machine has what URIs below `uri` mean: `file:///mnt/models` or `pvc://claim`, say."""

    uri: str
    path: Path

    def inside(self, location: FileLocation) -> list[str] | None:
        """Return the path below the mount, segment by segment; None if the location lies elsewhere."""
        base = self.uri.rstrip("/")
        if location.uri != base and not location.uri.startswith(f"{base}/"):
            return None
        return [segment for segment in location.uri.removeprefix(base).split("/") if segment]


class _LinkError(Exception):
    """A link lies on the path."""


def look_at_file(
    mounts: Sequence[Mount], location: FileLocation, *, format_name: str = "", layout: bool = False
) -> Finding:
    """Return whether a file with bytes, or a folder with such a file, is there."""
    found = [(mount, segments) for mount in mounts if (segments := mount.inside(location)) is not None]
    if not found:
        return Finding("endpoint-not-allowed", "no configured mount covers it")
    mount, segments = max(found, key=lambda each: len(each[0].uri))
    try:
        with _opened(mount.path) as root:
            return _look(root, segments, format_name, layout=layout)
    except _LinkError as error:
        return Finding("unsupported", f"{error} is a link, and links are not followed")
    except OSError as error:
        if isinstance(error, PermissionError):
            return Finding("denied", f"{error.strerror}")
        return Finding("unreachable", f"{mount.path}: {error.strerror}")


def _look(root: int, segments: Sequence[str], format_name: str, *, layout: bool) -> Finding:
    folder, last = root, segments[-1] if segments else "."
    opened: list[int] = []
    try:
        for segment in segments[:-1]:
            _require_no_link(folder, segment)
            folder = os.open(segment, _FOLDER, dir_fd=folder)
            opened.append(folder)
        _require_no_link(folder, last)
        status = os.stat(last, dir_fd=folder, follow_symlinks=False)
        if stat.S_ISREG(status.st_mode):
            return _file(last, status, format_name, layout=layout)
        if not stat.S_ISDIR(status.st_mode):
            return Finding("unsupported", "neither a file nor a folder")
        below = Folder("", whole=layout)
        with _opened(last, folder) as place:
            for stored in _walk(place, "", _DEEPEST):
                below.add(stored)
                if below.settled:
                    break
        return _folder(below, "/".join(segments), format_name, layout=layout)
    except OSError as error:
        if error.errno in _ABSENT:
            return Finding("missing")
        raise
    finally:
        for each in opened:
            os.close(each)


def _file(name: str, status: os.stat_result, format_name: str, *, layout: bool) -> Finding:
    if not status.st_size:
        return Finding("empty", "zero bytes")
    failures, warnings = judge_layout(format_name, name, [(name, status.st_size)], single=True) if layout else ((), ())
    return Finding("present", "", fingerprint_of(_stored(name, status)), failures, warnings)


def _folder(below: Folder, path: str, format_name: str, *, layout: bool) -> Finding:
    if below.first is None:
        return Finding("empty", "no file in the folder has any bytes")
    failures, warnings = below.judge(format_name, path) if layout else ((), ())
    return Finding("present", "", below.fingerprint(below.first), failures, warnings)


@contextmanager
def _opened(path: str | Path, folder: int | None = None) -> Iterator[int]:
    # The mount itself may be a link: the configuration is trusted, what lies below it is not.
    descriptor = os.open(path, _FOLDER if folder is not None else _FOLDER & ~os.O_NOFOLLOW, dir_fd=folder)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _require_no_link(folder: int, name: str) -> None:
    if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        raise _LinkError(name)


def _walk(folder: int, prefix: str, deepest: int) -> Iterator[Stored]:
    """Yield the files below a folder in the order of their names; links, devices and what is too deep are not files."""
    with os.scandir(folder) as entries:
        names = sorted(entry.name for entry in entries)
    for name in names:
        try:
            status = os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:  # deleted since the folder was listed
            continue
        if stat.S_ISREG(status.st_mode):
            yield _stored(prefix + name, status)
        elif stat.S_ISDIR(status.st_mode) and deepest:
            with _opened(name, folder) as inner:
                yield from _walk(inner, f"{prefix}{name}/", deepest - 1)


def _stored(key: str, status: os.stat_result) -> Stored:
    tag = f"{status.st_size}-{status.st_mtime_ns}"
    return Stored(key, status.st_size, tag, modified(status).isoformat(timespec="seconds"))
