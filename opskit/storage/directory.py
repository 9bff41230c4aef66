"""Backups in a directory: whole files or none, readable by their owner only, links never followed."""

import errno
import logging
import os
import stat
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime
from itertools import groupby
from pathlib import Path

from opskit.errors import ConfigurationError, NotFoundError, UnavailableError
from opskit.storage import StoredObject, UnfinishedUpload
from opskit.storage.directory_errors import translated
from opskit.storage.directory_folders import FOLDER_MODE, open_root, opened, remove_empty, sync
from opskit.storage.directory_upload import new_upload
from opskit.storage.file_times import modified
from opskit.storage.keys import check_key, check_prefix, is_key

logger = logging.getLogger(__name__)

# A FIFO that somebody left in the tree must not hang us.
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_PIECE_BYTES = 1 << 20


class DirectoryStorage:
    """Objects as files below a root folder; the first `put` makes the root where the folder above it exists.

    What lies below the root and is no regular file, or is reached through a link, is not there.
    """

    def __init__(self, root: Path) -> None:
        self._root = root.absolute()
        self._said_to_be_missing = False

    @property
    def url(self) -> str:
        """The root as a `file:` URL."""
        return self._root.as_uri()

    def put(self, key: str, body: Iterable[bytes], *, if_absent: bool = False) -> int:
        """Store the body under a temporary name, and rename it when all of it is on the disk."""
        doing = f"cannot write {check_key(key)} to {self._root}"
        size = 0
        with ExitStack() as opened_here:
            with translated(doing):
                root = opened_here.enter_context(self._opened(create=True))
                upload = opened_here.enter_context(new_upload(root))
            for piece in body:  # what it raises is not ours to translate
                with translated(doing):
                    size += upload.write(piece)
            with translated(doing):
                upload.finish(key, if_absent=if_absent)
        return size

    def get(self, key: str) -> Iterator[bytes]:
        """Yield the file in pieces; it is an error if there are fewer bytes than it had when it was opened."""
        with self._file(check_key(key)) as file, translated(f"cannot read {key} in {self._root}"):
            left = os.fstat(file).st_size
            while piece := os.read(file, _PIECE_BYTES):
                left -= len(piece)
                yield piece
        if left > 0:
            raise UnavailableError(f"{key} in {self._root} ends {left} bytes early")

    def stat(self, key: str) -> StoredObject:
        """Return size and time of one file."""
        with self._file(check_key(key)) as file:
            return _described(key, os.fstat(file))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield every file below the root; memory holds the names in one folder at a time, and in those above."""
        check_prefix(prefix)
        with translated(f"cannot list {self._root}"):
            if self._is_yet_to_be_made():
                if not self._said_to_be_missing:
                    logger.warning("there is no directory %s yet: the first backup makes it", self._root)
                self._said_to_be_missing = True
                return
            with self._opened() as root:
                yield from _walk(root, "", prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the files, and the folders that this leaves empty."""
        for folder, group in groupby(map(check_key, keys), key=lambda key: key.rpartition("/")[0]):
            names = [key.rpartition("/")[2] for key in group]
            gone = suppress(FileNotFoundError, NotADirectoryError)
            with translated(f"cannot delete in {self._root}"), self._opened() as root, gone:
                _delete(root, folder.split("/") if folder else [], names)

    def erase(self, prefix: str, wanted: Callable[[str], bool]) -> Sequence[str]:
        """Delete the files: a directory has no versions, and no locks."""
        self.delete([stored.key for stored in self.list(prefix) if wanted(stored.key)])
        return ()

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield nothing: `put` sweeps away what killed processes left."""
        check_prefix(prefix)
        return iter(())

    def abort(self, upload: UnfinishedUpload) -> None:
        """Do nothing: there is no such upload."""

    def now(self) -> datetime:
        """Return the time that the file system gives a new file; a file server has a clock of its own."""
        with translated(f"cannot write to {self._root}"), self._opened() as root, new_upload(root) as upload:
            return modified(os.fstat(upload.file))

    @contextmanager
    def _opened(self, *, create: bool = False) -> Iterator[int]:
        if create and not self._root.exists():
            self._create()
        try:
            root = open_root(self._root)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ConfigurationError(
                f"there is no directory {self._root}",
                hint="is its volume mounted? the first backup makes it where the folder above it is there",
            ) from error
        try:
            yield root
        finally:
            os.close(root)

    def _is_yet_to_be_made(self) -> bool:
        """Tell whether nothing, not even a link, bears the root's name in the folder above it."""
        return not os.path.lexists(self._root) and self._root.parent.is_dir()

    def _create(self) -> None:
        try:
            self._root.mkdir(FOLDER_MODE, exist_ok=True)
            parent = open_root(self._root.parent)
        except FileNotFoundError as error:
            raise ConfigurationError(
                f"there is no directory {self._root.parent} to make {self._root.name} in",
                hint="make it, or mount its volume",
            ) from error
        try:
            sync(parent)
        finally:
            os.close(parent)
        logger.warning("made the directory %s for backups", self._root)

    @contextmanager
    def _file(self, key: str) -> Iterator[int]:
        """Open a regular file that is reached without following a link."""
        *folders, name = key.split("/")
        with translated(f"cannot open {key} in {self._root}"), self._opened() as root:
            try:
                with opened(root, folders) as chain:
                    file = os.open(name, _READ, dir_fd=chain[-1])
            except OSError as error:
                if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                    raise NotFoundError(f"there is no {key} in {self._root}") from error
                raise
        try:
            if not stat.S_ISREG(os.fstat(file).st_mode):
                raise NotFoundError(f"{key} in {self._root} is no regular file")
            yield file
        finally:
            os.close(file)


def _described(key: str, facts: os.stat_result) -> StoredObject:
    return StoredObject(key, facts.st_size, modified(facts))


def _walk(folder: int, path: str, prefix: str) -> Iterator[StoredObject]:
    with os.scandir(folder) as entries:
        # A folder sorts by the `/` that its keys go on with: "a.b" comes before "a/b", and "a0" after it.
        names = sorted(f"{entry.name}/" if entry.is_dir(follow_symlinks=False) else entry.name for entry in entries)
    for name in names:
        key = path + name
        if key.endswith("/") and (key.startswith(prefix) or prefix.startswith(key)) and is_key(f"{key}x"):
            # A folder that is removed while we look held nothing that is still there.
            with suppress(FileNotFoundError), opened(folder, [name[:-1]]) as (_, inner):
                yield from _walk(inner, key, prefix)
        elif key.startswith(prefix) and is_key(key):
            with suppress(FileNotFoundError):
                facts = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if stat.S_ISREG(facts.st_mode):
                    yield _described(key, facts)


def _delete(root: int, folders: Sequence[str], names: Iterable[str]) -> None:
    with opened(root, folders) as chain:
        for name in names:
            with suppress(FileNotFoundError, IsADirectoryError):
                os.unlink(name, dir_fd=chain[-1])
        sync(chain[-1])
        remove_empty(chain, folders)
