"""A file that gets its name only when it is whole."""

import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from opskit.errors import ObjectExistsError, UnavailableError
from opskit.storage.directory_folders import opened, sync
from opskit.storage.keys import UPLOADS_FOLDER

_FILE_MODE = 0o600
_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
# No backup runs for a day (backup.max_duration), so whoever wrote this was killed.
_ABANDONED_SECONDS = 24 * 3600
# Each try loses only if somebody else removed the folder, as empty, between our making and our using it.
_TRIES = 100


@dataclass(frozen=True, slots=True)
class Upload:
    """A temporary file below the root, on the same file system as its place to be."""

    root: int
    folder: int
    name: str
    file: int

    def write(self, piece: bytes) -> int:
        """Append the whole piece and return its length."""
        rest = memoryview(piece)
        while rest:
            rest = rest[os.write(self.file, rest) :]
        return len(piece)

    def finish(self, key: str, *, if_absent: bool) -> None:
        """Make the content durable, then its name; `ObjectExistsError` if that must be new and is not."""
        *folders, name = key.split("/")
        os.fsync(self.file)
        for _ in range(_TRIES):
            with suppress(FileNotFoundError), opened(self.root, folders, create=True) as chain:
                if if_absent:
                    self._link(chain[-1], name, key)
                else:
                    os.rename(self.name, name, src_dir_fd=self.folder, dst_dir_fd=chain[-1])
                # All of them: another thread may have made a folder above and not have synced it yet.
                for folder in reversed(chain):
                    sync(folder)
                return
        raise UnavailableError(f"the folder of {key} vanishes as often as it is made")

    def _link(self, folder: int, name: str, key: str) -> None:
        """Give the file its name as rename() cannot: without replacing another."""
        try:
            os.link(self.name, name, src_dir_fd=self.folder, dst_dir_fd=folder, follow_symlinks=False)
        except FileExistsError as error:
            raise ObjectExistsError(f"{key} exists already") from error


@contextmanager
def new_upload(root: int) -> Iterator[Upload]:
    """Make a temporary file, and leave none behind, whatever happens."""
    with opened(root, [UPLOADS_FOLDER], create=True) as (_, folder):
        name = secrets.token_hex(8)
        file = os.open(name, _NEW, _FILE_MODE, dir_fd=folder)
        try:
            _sweep(folder, now=os.fstat(file).st_mtime)
            yield Upload(root, folder, name, file)
        finally:
            os.close(file)
            with suppress(OSError):  # it has its final name by now, or is swept one day
                os.unlink(name, dir_fd=folder)


def _sweep(folder: int, now: float) -> None:
    """Remove what killed processes left; `now` is the file system's own time."""
    with os.scandir(folder) as entries:
        for entry in entries:
            with suppress(OSError):
                if now - entry.stat(follow_symlinks=False).st_mtime > _ABANDONED_SECONDS:
                    os.unlink(entry.name, dir_fd=folder)
