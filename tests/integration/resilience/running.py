"""A backup that runs while the test does something to it."""

import re
import threading
import time
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, replace

from opskit.backup.create import Options, create_backup
from opskit.backup.manifest import Manifest
from opskit.errors import OpskitError
from opskit.mysql.connection import Endpoint
from opskit.restore.run import Options as RestoreOptions
from opskit.restore.run import restore
from opskit.storage import Storage
from sandbox.server import Account, Server
from tests.endpoints import endpoint
from tests.faulty import FaultyStorage
from tests.mysql_wire import PATIENCE_SECONDS, Hold, MySQLWire
from tests.waiting import eventually

REGISTRY = "registry"
# What KILL QUERY, KILL CONNECTION and slow readers meet in the middle: more than sockets buffer.
BIG_ROWS = 80
BIG_ROW_BYTES = 200_000


def through(wire: MySQLWire, server: Server, account: Account | None = None) -> Endpoint:
    """Return the server as opskit reaches it through the wire, which cannot read what is encrypted."""
    return replace(endpoint(server, account), port=wire.port, tls_mode="disabled")


def in_clear(server: Server, account: Account | None = None) -> Endpoint:
    """Return the server without TLS: MariaDB 10.11 has none by default."""
    return replace(endpoint(server, account), tls_mode="disabled")


def make_tables(server: Server, database: str) -> None:
    """Make a table that is read last, one that is larger than what sockets buffer, and two small ones."""
    server.execute(
        f"USE `{database}`",
        "CREATE TABLE small (id INT PRIMARY KEY, text VARCHAR(20))",
        "INSERT INTO small VALUES (1, 'one'), (2, 'two')",
        "CREATE TABLE other (id INT PRIMARY KEY, text VARCHAR(20))",
        "INSERT INTO other VALUES (1, 'other')",
        "CREATE TABLE big (id INT AUTO_INCREMENT PRIMARY KEY, text LONGTEXT)",
        f"INSERT INTO big (text) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < {BIG_ROWS})"
        f" SELECT REPEAT(CHAR(97 + i % 26), {BIG_ROW_BYTES}) FROM n",
        "ANALYZE TABLE small, other, big",
    )


@contextmanager
def backup_of(
    source: Endpoint, database: str, storage: Storage, options: Options = Options()
) -> Iterator[Future[Manifest]]:
    """Run a backup beside the test; its result, or its error, is in the future."""
    with ThreadPoolExecutor(1) as pool:
        yield pool.submit(create_backup, source, database, storage, REGISTRY, options)


class HeldStorage(FaultyStorage):
    """Holds up the first object whose key has this part, when its rows have begun to come."""

    def __init__(self, inner: Storage, part: str) -> None:
        super().__init__(inner)
        self._part = part
        self._reached = threading.Event()
        self._released = threading.Event()

    def put(self, key: str, body: Iterable[bytes], *, if_absent: bool = False) -> int:
        if self._part in key and not self._reached.is_set():
            self._reached.set()
            self._released.wait(PATIENCE_SECONDS)
        return super().put(key, body, if_absent=if_absent)

    @property
    def reached(self) -> bool:
        """Whether somebody stands here, or has stood."""
        return self._reached.is_set()

    def release(self) -> None:
        """Let the object be stored."""
        self._released.set()


def arrive(backup: Future[Manifest], at: Hold | HeldStorage) -> None:
    """Return when the backup has come so far; raise its error if it never will."""
    eventually(lambda: at.reached or backup.done(), "the backup has come so far")
    if not at.reached:
        raise AssertionError from backup.exception()


def failure(backup: Future[Manifest]) -> OpskitError:
    """Return the error with which the backup ended."""
    error = backup.exception(PATIENCE_SECONDS)
    assert isinstance(error, OpskitError), repr(error)
    return error


def manifests(storage: Storage) -> list[str]:
    """Return the keys of the manifests in storage, which is to say: the backups that exist."""
    return [each.key for each in storage.list() if each.key.endswith("/manifest.json")]


def restored(server: Server, storage: Storage, manifest: Manifest, into: str) -> None:
    """Restore as the administrator, rows compared."""
    restore(in_clear(server), storage, manifest, RestoreOptions(into=into, workers=2))


def sessions(server: Server, *, info: str = "", state: str = "") -> list[int]:
    """Return the ids of the sessions whose statement and state match these patterns."""
    return [
        int(row[0])
        for row in server.execute("SHOW FULL PROCESSLIST")
        if re.search(info, str(row[7] or "")) and re.search(state, str(row[6] or ""))
    ]


def waits_for_metadata(server: Server, statement: str) -> bool:
    """Tell whether a session stands before a metadata lock with this statement."""
    return bool(sessions(server, info=f"^{re.escape(statement)}", state="^Waiting for table metadata lock"))


@dataclass
class Statement:
    """A statement on a connection and a thread of its own, and how long it took in the end."""

    thread: threading.Thread
    error: BaseException | None = None
    seconds: float = 0.0

    def wait(self) -> None:
        self.thread.join(PATIENCE_SECONDS)
        assert not self.thread.is_alive(), "the statement is still waiting"
        if self.error is not None:
            raise self.error

    @property
    def waiting(self) -> bool:
        return self.thread.is_alive()


def started(server: Server, database: str, statement: str, account: Account | None = None) -> Statement:
    """Run a statement beside the test."""

    def execute() -> None:
        began = time.monotonic()
        login = {"user": account.user, "password": account.password} if account else {}
        try:
            with server.connect(database=database, **login) as connection, connection.cursor() as cursor:
                cursor.execute(statement)
        except Exception as error:  # noqa: BLE001 - raised in the test's own thread, by wait()
            running.error = error
        running.seconds = time.monotonic() - began

    running = Statement(threading.Thread(target=execute, daemon=True))
    running.thread.start()
    return running
