"""What a backup shows is one moment: while writers insert pairs as fast as they can, no half of one is saved."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from opskit.backup.create import Options, create_backup
from opskit.backup.manifest import Manifest
from opskit.errors import ConfigurationError
from opskit.mysql.snapshot_steps import LEVELS, Level
from opskit.storage import Storage
from sandbox.server import Server
from tests.endpoints import endpoint
from tests.integration.resilience.running import (
    REGISTRY,
    HeldStorage,
    arrive,
    backup_of,
    in_clear,
    restored,
    started,
)
from tests.waiting import eventually

pytestmark = pytest.mark.mysql

TABLES = (
    "CREATE TABLE Context (id INT AUTO_INCREMENT PRIMARY KEY, name VARCHAR(64) NOT NULL)",
    "CREATE TABLE ContextProperty (context_id INT PRIMARY KEY, name VARCHAR(64), string_value TEXT)",
)


@dataclass
class Writers:
    """Sessions that write pairs into a database."""

    server: Server
    database: str

    def pairs(self) -> int:
        found: int = self.server.execute(f"SELECT COUNT(*) FROM `{self.database}`.Context")[0][0]
        return found

    def go_on(self) -> None:
        """Return when some more pairs were written."""
        before = self.pairs()
        eventually(lambda: self.pairs() > before + 100, "pairs are written")


def write_pairs(server: Server, database: str, stop: threading.Event) -> None:
    with server.connect(database=database, autocommit=False) as connection, connection.cursor() as cursor:
        while not stop.is_set():
            cursor.execute("INSERT INTO Context (name) VALUES (UUID())")
            cursor.execute("INSERT INTO ContextProperty VALUES (LAST_INSERT_ID(), 'description', 'of the context')")
            connection.commit()


@contextmanager
def writing(server: Server, database: str, count: int) -> Iterator[Writers]:
    """Let so many sessions write pairs as fast as they can."""
    stop = threading.Event()
    with ThreadPoolExecutor(count) as pool:
        running = [pool.submit(write_pairs, server, database, stop) for _ in range(count)]
        try:
            writers = Writers(server, database)
            writers.go_on()
            yield writers
        finally:
            stop.set()
    for each in running:
        each.result()


def half_pairs(server: Server, database: str) -> list[int]:
    """Return how many contexts have no property, and how many properties have no context."""
    return [
        server.execute(
            f"SELECT COUNT(*) FROM `{database}`.`{one}` AS a LEFT JOIN `{database}`.`{other}` AS b"
            f" ON {on} WHERE b.name IS NULL"
        )[0][0]
        for one, other, on in (
            ("Context", "ContextProperty", "b.context_id = a.id"),
            ("ContextProperty", "Context", "b.id = a.context_id"),
        )
    ]


def require_whole_pairs(server: Server, storage: Storage, manifest: Manifest, database: str) -> int:
    into = f"{database}_opskit_read"
    restored(server, storage, manifest, into)
    assert half_pairs(server, into) == [0, 0]
    assert manifest.database.dangling == {}
    pairs: int = server.execute(f"SELECT COUNT(*) FROM `{into}`.Context")[0][0]
    return pairs


@pytest.fixture
def pairs(mysql: Server, database: str) -> str:
    mysql.execute(f"USE `{database}`", *TABLES)
    return database


@pytest.fixture
def mariadb_pairs(mariadb: Server, mariadb_database: str) -> str:
    mariadb.execute(f"USE `{mariadb_database}`", *TABLES)
    return mariadb_database


@pytest.mark.parametrize("level", LEVELS)
def test_no_half_pair_is_saved_while_four_write(mysql: Server, pairs: str, storage: Storage, level: Level) -> None:
    held = HeldStorage(storage, ".Context.00001.")
    options = Options(consistency=level)
    with writing(mysql, pairs, 4) as writers, backup_of(endpoint(mysql), pairs, held, options) as backup:
        arrive(backup, held)
        writers.go_on()
        held.release()
        manifest = backup.result()
    assert (manifest.snapshot.consistency, manifest.snapshot.consistency_wanted) == (level, level)
    assert 0 < require_whole_pairs(mysql, storage, manifest, pairs) < writers.pairs()


@pytest.mark.parametrize("level", LEVELS)
def test_no_half_pair_is_saved_from_mariadb(
    mariadb: Server, mariadb_pairs: str, storage: Storage, level: Level
) -> None:
    held = HeldStorage(storage, ".Context.00001.")
    options = Options(consistency=level)
    with (
        writing(mariadb, mariadb_pairs, 4) as writers,
        backup_of(in_clear(mariadb), mariadb_pairs, held, options) as backup,
    ):
        arrive(backup, held)
        writers.go_on()
        held.release()
        manifest = backup.result()
    assert manifest.snapshot.consistency == level
    assert manifest.snapshot.position_approximate == (level == "session")
    assert 0 < require_whole_pairs(mariadb, storage, manifest, mariadb_pairs) < writers.pairs()


def test_no_half_pair_is_saved_while_sixteen_write(mysql: Server, pairs: str, storage: Storage) -> None:
    """They may keep the lock from us; then one session reads everything, and the manifest says so."""
    with writing(mysql, pairs, 16), backup_of(endpoint(mysql), pairs, storage, Options(consistency="tables")) as backup:
        manifest = backup.result()
    assert manifest.snapshot.consistency_wanted == "tables"
    fell = [each for each in manifest.warnings if "'tables' was not to be had" in each]
    assert bool(fell) == (manifest.snapshot.consistency == "session")
    require_whole_pairs(mysql, storage, manifest, pairs)


def size(gtid_set: str) -> int:
    """Return how many transactions are in a set that has one server's."""
    intervals = gtid_set.split(":")[1:]
    return sum(int(each.split("-")[-1]) - int(each.split("-")[0]) + 1 for each in intervals)


@pytest.mark.parametrize("level", ["instance", "tables"])
def test_position_is_that_of_the_rows(mysql: Server, pairs: str, storage: Storage, level: Level) -> None:
    """A replica that starts there gets every pair that is not in the backup, and none that is."""
    with writing(mysql, pairs, 4) as writers:
        manifest = create_backup(endpoint(mysql), pairs, storage, REGISTRY, Options(consistency=level))
        writers.go_on()
    assert manifest.snapshot.gtid
    later, written = mysql.execute(
        f"SELECT GTID_SUBTRACT(@@global.gtid_executed, '{manifest.snapshot.gtid}'), COUNT(*) FROM `{pairs}`.Context"
    )[0]
    saved = require_whole_pairs(mysql, storage, manifest, pairs)
    assert size(later) == written - saved
    assert not manifest.snapshot.position_approximate
    assert manifest.snapshot.binlog_file
    assert manifest.snapshot.binlog_position


def test_position_without_a_lock_is_approximate(mysql: Server, pairs: str, storage: Storage) -> None:
    manifest = create_backup(endpoint(mysql), pairs, storage, REGISTRY, Options(consistency="session"))
    assert manifest.snapshot.gtid == mysql.execute("SELECT @@global.gtid_executed")[0][0].replace("\n", "")
    assert manifest.snapshot.position_approximate


@pytest.fixture
def mixed(mysql: Server, database: str) -> str:
    """A table outside InnoDB beside one within."""
    mysql.execute(
        f"USE `{database}`",
        "CREATE TABLE inside (id INT PRIMARY KEY)",
        "INSERT INTO inside VALUES (1)",
        "CREATE TABLE outside (id INT PRIMARY KEY) ENGINE=MyISAM",
        "INSERT INTO outside VALUES (1), (2)",
    )
    return database


def test_table_outside_innodb_is_refused_by_name(mysql: Server, mixed: str, storage: Storage) -> None:
    with pytest.raises(ConfigurationError, match=r"outside InnoDB: outside \(MyISAM\)") as caught:
        create_backup(endpoint(mysql), mixed, storage, REGISTRY)
    assert caught.value.exit_code == 78
    assert "--allow-non-transactional" in str(caught.value.hint)
    assert list(storage.list()) == []


@pytest.mark.parametrize("level", ["instance", "tables"])
def test_table_outside_innodb_is_read_under_the_lock_and_no_longer(
    mysql: Server, mixed: str, storage: Storage, level: Level
) -> None:
    options = Options(consistency=level, allow_non_transactional=True)
    outside, inside = HeldStorage(storage, ".outside.00001."), HeldStorage(storage, ".inside.00001.")
    outside.inner = inside
    with backup_of(endpoint(mysql), mixed, outside, options) as backup:
        arrive(backup, outside)
        write = started(mysql, mixed, "INSERT INTO outside VALUES (3)")
        eventually(lambda: write_waits(mysql), "the write waits for the lock")
        outside.release()
        arrive(backup, inside)
        write.wait()
        inside.release()
        manifest = backup.result()
    restored(mysql, storage, manifest, f"{mixed}_opskit_read")
    assert mysql.execute(f"SELECT id FROM `{mixed}_opskit_read`.outside ORDER BY id") == ((1,), (2,))
    assert {table.name: table.non_transactional for table in manifest.tables} == {"inside": False, "outside": True}
    assert "read under the lock, outside the snapshot: outside (MyISAM)" in manifest.warnings


def write_waits(server: Server) -> bool:
    return any(str(row[6]).startswith("Waiting for") for row in server.execute("SHOW PROCESSLIST") if row[7])


def test_table_outside_innodb_without_a_lock_is_said_to_be_of_no_moment(
    mysql: Server, mixed: str, storage: Storage
) -> None:
    options = Options(consistency="session", allow_non_transactional=True)
    manifest = create_backup(endpoint(mysql), mixed, storage, REGISTRY, options)
    assert "read without a lock, so of no one moment: outside (MyISAM)" in manifest.warnings
