"""Folders as descriptors: what is opened below one of them stays below it, whatever is renamed or linked."""

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

# A dump is as secret as its database.
FOLDER_MODE = 0o700
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


def open_root(path: Path) -> int:
    """Open a folder by its path, which may be or hold links: the operator chose it."""
    return os.open(path, _FOLDER)


@contextmanager
def opened(root: int, names: Sequence[str], *, create: bool = False) -> Iterator[list[int]]:
    """Open one folder below the other and yield all of them, the root first; a link is not followed."""
    with ExitStack() as stack:
        chain = [root]
        for name in names:
            if create:
                with suppress(FileExistsError):
                    os.mkdir(name, FOLDER_MODE, dir_fd=chain[-1])
            folder = os.open(name, _FOLDER | os.O_NOFOLLOW, dir_fd=chain[-1])
            stack.callback(os.close, folder)
            chain.append(folder)
        yield chain


def sync(folder: int) -> None:
    """Make the names in a folder durable, where its file system can."""
    try:
        os.fsync(folder)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):  # some network file systems have no such thing
            raise


def remove_empty(chain: Sequence[int], names: Sequence[str]) -> None:
    """Remove the folders that `opened(chain[0], names)` yielded, from the last up to the first in use."""
    for parent, name in zip(reversed(chain[:-1]), reversed(names), strict=True):
        try:
            os.rmdir(name, dir_fd=parent)
        except OSError:
            return
