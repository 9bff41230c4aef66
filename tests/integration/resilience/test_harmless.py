"""The live registry goes on while it is saved: reads, writes, and the CREATE DATABASE that MLMD sends."""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial

import pytest

from opskit.backup.create import Options
from opskit.mysql.connection import Endpoint
from opskit.mysql.snapshot_steps import LEVELS, Level
from opskit.storage import Storage
from sandbox.server import Account, Server
from tests.endpoints import endpoint
from tests.integration.resilience.running import (
    HeldStorage,
    arrive,
    backup_of,
    failure,
    in_clear,
    manifests,
    sessions,
    started,
    waits_for_metadata,
)
from tests.waiting import eventually

pytestmark = pytest.mark.mysql

ROUNDS = 8
# A try for a lock takes a second, and the machine may be busy. Before it was cut short, it took five.
LONGEST_SECONDS = 4.0

Grant = Callable[..., Account]
GRANTS: dict[Level, tuple[str, ...]] = {
    "instance": ("SELECT ON `{}`.*", "RELOAD, PROCESS ON *.*"),
    "tables": ("SELECT, LOCK TABLES ON `{}`.*",),
    "session": ("SELECT ON `{}`.*",),
}


@dataclass
class Registry:
    """What a registry does all the time; `rounds` counts how often it got through."""

    rounds: int = 0
    longest: float = 0.0
    error: BaseException | None = None
    stop: threading.Event = field(default_factory=threading.Event)

    def work(self, server: Server, database: str) -> None:
        try:
            while not self.stop.is_set():
                began = time.monotonic()
                with server.connect(database=database) as connection, connection.cursor() as cursor:
                    cursor.execute(f"CREATE DATABASE IF NOT EXISTS `{database}`")
                    cursor.execute("SELECT COUNT(*) FROM small")
                    cursor.execute("INSERT INTO other VALUES (%s, 'new')", [self.rounds + 1000])
                    cursor.execute("UPDATE other SET text = 'newer' WHERE id = %s", [self.rounds + 1000])
                self.longest = max(self.longest, time.monotonic() - began)
                self.rounds += 1
        except Exception as error:  # noqa: BLE001 - raised in the test's own thread
            self.error = error

    def goes_on(self) -> None:
        """Return when it has got through some more times."""
        before = self.rounds
        eventually(lambda: self.error or self.rounds >= before + ROUNDS, "the registry got through")
        if self.error is not None:
            raise self.error


@contextmanager
def registry_at_work(server: Server, database: str) -> Iterator[Registry]:
    registry = Registry()
    thread = threading.Thread(target=registry.work, args=(server, database), daemon=True)
    thread.start()
    try:
        registry.goes_on()
        yield registry
        registry.goes_on()
    finally:
        registry.stop.set()
        thread.join()
    assert registry.longest < LONGEST_SECONDS


def saver(server: Server, mysql_user: Grant, database: str, level: Level) -> Endpoint:
    """A user that may do what the level needs and nothing else."""
    return endpoint(server, mysql_user(*(each.format(database) for each in GRANTS[level])))


@pytest.mark.parametrize("level", LEVELS)
def test_registry_goes_on_throughout_a_backup(
    mysql: Server, tables: str, storage: Storage, mysql_user: Grant, level: Level
) -> None:
    held = HeldStorage(storage, ".big.00001.")
    source = saver(mysql, mysql_user, tables, level)
    mysql.execute("FLUSH TABLES")  # whoever opens a table gets a lock on its database too
    with registry_at_work(mysql, tables) as registry, backup_of(source, tables, held) as backup:
        arrive(backup, held)
        registry.goes_on()
        held.release()
        assert backup.result().snapshot.consistency == level


@pytest.mark.parametrize("level", LEVELS)
def test_registry_on_mariadb_goes_on_throughout_a_backup(
    mariadb: Server, mariadb_tables: str, storage: Storage, level: Level
) -> None:
    held = HeldStorage(storage, ".big.00001.")
    options = Options(consistency=level)
    mariadb.execute("FLUSH TABLES")
    with (
        registry_at_work(mariadb, mariadb_tables) as registry,
        backup_of(in_clear(mariadb), mariadb_tables, held, options) as backup,
    ):
        arrive(backup, held)
        registry.goes_on()
        held.release()
        assert backup.result().snapshot.consistency == level


def test_long_query_of_somebody_else_keeps_nobody_waiting(mysql: Server, tables: str, storage: Storage) -> None:
    """FLUSH TABLES would wait for its end, and after it every reader of the same table."""
    # The server shows the first hundred bytes of a statement, whatever character that cuts in two.
    query = f"SELECT SLEEP(300), '{'a' * 79}ü' FROM small LIMIT 1"
    assert len(query.partition("ü")[0]) == 99
    started(mysql, tables, query)
    listed = "SHOW FULL PROCESSLIST"
    eventually(lambda: any(row[5] for row in mysql.execute(listed) if row[7] == query), "the query is long")
    with registry_at_work(mysql, tables), backup_of(endpoint(mysql), tables, storage) as backup:
        manifest = backup.result()
    for session in sessions(mysql, info="^SELECT SLEEP"):
        mysql.execute(f"KILL {session}")
    assert (manifest.snapshot.consistency, manifest.snapshot.consistency_wanted) == ("tables", "instance")
    assert any("'instance' was not to be had: a statement has run for" in each for each in manifest.warnings)


def test_open_transaction_of_somebody_else_keeps_nobody_waiting_for_long(
    mysql: Server, tables: str, storage: Storage
) -> None:
    """It keeps LOCK TABLES from one table, and nobody can write to those that are locked already."""
    with mysql.connect(database=tables, autocommit=False) as connection, connection.cursor() as cursor:
        cursor.execute("UPDATE small SET text = 'not yet committed'")
        options = Options(consistency="tables")
        with registry_at_work(mysql, tables), backup_of(endpoint(mysql), tables, storage, options) as backup:
            manifest = backup.result()
    assert (manifest.snapshot.consistency, manifest.snapshot.consistency_wanted) == ("session", "tables")
    assert any("'tables' was not to be had: others hold the tables" in each for each in manifest.warnings)


@pytest.fixture
def related(mysql: Server, database: str) -> str:
    """Tables of a registry that refer to each other, so that they are also searched for dangling references."""
    mysql.execute(
        f"USE `{database}`",
        "CREATE TABLE Artifact (id INT PRIMARY KEY)",
        "INSERT INTO Artifact VALUES (1)",
        "CREATE TABLE ArtifactProperty (artifact_id INT PRIMARY KEY, string_value MEDIUMTEXT)",
        "INSERT INTO ArtifactProperty SELECT 1, REPEAT('a', 1000000)",
        "ANALYZE TABLE Artifact, ArtifactProperty",
    )
    return database


@pytest.mark.parametrize("workers", [1, 4])
def test_table_that_is_read_can_be_altered_while_the_next_is_read(
    mysql: Server, related: str, storage: Storage, workers: int
) -> None:
    held = HeldStorage(storage, ".Artifact.00001.")  # the smaller one comes last
    read_already = "ALTER TABLE ArtifactProperty ADD COLUMN added INT"
    still_read = "ALTER TABLE Artifact ADD COLUMN added INT"
    with backup_of(endpoint(mysql), related, held, Options(workers=workers)) as backup:
        arrive(backup, held)
        eventually(lambda: [each for each in storage.list() if ".ArtifactProperty.00001." in each.key], "it is stored")
        started(mysql, related, read_already).wait()
        waiting = started(mysql, related, still_read)
        eventually(partial(waits_for_metadata, mysql, still_read), "the change waits for the backup")
        held.release()
        backup.result()
        waiting.wait()


def test_backup_gives_way_to_a_change_of_the_schema(
    mysql: Server, tables: str, storage: Storage, mysql_user: Grant
) -> None:
    """Its own user sees no session of anybody else, least of all the administrator's who waits."""
    held = HeldStorage(storage, ".big.00001.")
    change = "ALTER TABLE big ADD COLUMN added INT"
    with backup_of(saver(mysql, mysql_user, tables, "tables"), tables, held) as backup:
        arrive(backup, held)
        statement = started(mysql, tables, change)
        eventually(partial(waits_for_metadata, mysql, change), "the change waits for the backup")
        statement.wait()
        held.release()
        error = failure(backup)
    assert error.exit_code == 75
    assert "gave way to a change of table 'big'" in error.message
    assert manifests(storage) == []
