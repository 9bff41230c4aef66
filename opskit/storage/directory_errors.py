"""What the operating system says, in the words of `opskit.errors`."""

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from opskit.errors import (
    ConfigurationError,
    DeniedError,
    NoSpaceError,
    OpskitError,
    RefusedError,
    UnavailableError,
)

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_DENIED = frozenset({errno.EACCES, errno.EPERM, errno.EROFS})
# A link is not followed: opening it as a folder fails with ENOTDIR (or ELOOP, as a file).
_IN_THE_WAY = frozenset({errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.EEXIST, errno.ENOTEMPTY})
_UNSUITABLE = frozenset({errno.EXDEV, errno.ENOTSUP, errno.ENOSYS, errno.EMLINK, errno.ENAMETOOLONG})


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise any `OSError` as what it means for storage; `doing` starts the message: "cannot write …"."""
    try:
        yield
    except OSError as error:
        raise _meaning(error, f"{doing}: {error.strerror or error}") from error


def _meaning(error: OSError, message: str) -> OpskitError:
    if error.errno in NO_ROOM:
        return NoSpaceError(message, hint="make room, or raise the quota")
    if error.errno == errno.EROFS:
        return DeniedError(message, hint="the volume is mounted read-only")
    if error.errno in _DENIED:
        # link(2) says EPERM where the file system has no hard links.
        return DeniedError(
            message, hint="opskit's user must own the directory, and its file system must have hard links"
        )
    if error.errno in _IN_THE_WAY:
        return RefusedError(message, hint="a file, a folder or a symbolic link is in the way; move it elsewhere")
    if error.errno in _UNSUITABLE:
        return ConfigurationError(
            message, hint="use one local or NFS file system, with hard links and names of 255 bytes"
        )
    return UnavailableError(message)
