"""The files of one backup on their way into storage."""

import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime

from opskit.backup import layout
from opskit.backup.encryption import SUFFIX, Recipients
from opskit.backup.manifest import LARGEST_STATEMENT, File, backup_key
from opskit.backup.stages import Digest, compressed
from opskit.errors import ConfigurationError
from opskit.mysql.session_file import FILE_HEADER
from opskit.storage import Storage
from opskit.workers import Stop


@dataclass(slots=True)
class Writer:
    """Puts the files of one backup and remembers them; safe to use from several threads."""

    storage: Storage
    registry: str
    database: str
    level: int
    stop: Stop
    recipients: Recipients | None = None
    backup_id: str = field(default_factory=lambda: layout.new_backup_id(datetime.now(UTC)))
    files: list[File] = field(default_factory=list)
    largest_statement: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def stored_name(self, name: str) -> str:
        """Return the name under which a file of this name is stored."""
        return name + SUFFIX if self.recipients else name

    def put(self, name: str, content: Iterable[bytes]) -> str:
        """Compress, encrypt where that is wanted, and store one file; return the name it has there.

        Its stored size and digest are remembered.
        """
        name = self.stored_name(name)
        stored = Digest()
        body = compressed(self._until_stopped(content), self.level)
        if self.recipients:
            body = self.recipients.encrypted(body)
        body = self._until_stopped(stored.observe(body))
        self.storage.put(backup_key(self.registry, self.backup_id, name), body)
        with self.lock:
            self.files.append(File(name=name, bytes=stored.size, sha256=stored.sha256))
        return name

    def put_definitions(self, name: str, statements: bytes, longest: int) -> None:
        """Store one file of definitions, the longest of which has so many bytes.

        `ConfigurationError` if there are too many for a restore to read them.
        """
        if len(FILE_HEADER) + len(statements) > layout.DEFINITIONS_MAXIMUM_BYTES:
            raise ConfigurationError(
                f"{name} cannot be saved: its definitions have {len(statements):,} bytes, more than a restore reads"
            )
        self.statement(longest)
        self.put(name, [FILE_HEADER, statements])

    def _until_stopped(self, content: Iterable[bytes]) -> Iterator[bytes]:
        """Yield what comes; raise once the job is stopped, so that storage drops what it has of the body."""
        for piece in content:
            self.stop.check()
            yield piece
        self.stop.check()

    def statement(self, length: int) -> None:
        """Remember the longest statement; `ConfigurationError` for one that no server would load again."""
        if length > LARGEST_STATEMENT:
            raise ConfigurationError(
                f"a row of {length:,} bytes cannot be saved: no server takes a statement that long"
            )
        with self.lock:
            self.largest_statement = max(self.largest_statement, length)
