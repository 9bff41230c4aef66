"""A run that fails undoes what it made itself, and nothing that somebody else has made."""

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from opskit.backup.create import create_backup
from opskit.backup.manifest import Manifest
from opskit.errors import RefusedError, UnavailableError
from opskit.mysql.connection import Endpoint, connect
from opskit.restore import target as targets
from opskit.restore.rehearse import rehearse
from opskit.restore.run import Options, restore
from opskit.restore.swap import SwapReport, restore_and_swap
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Server
from tests.integration.restore.conftest import REGISTRY
from tests.integration.restore.databases import beside, content
from tests.mysql_wire import Hold, MySQLWire, mysql_wire


@pytest.fixture
def into(mysql: Server, database: str) -> str:
    """An empty database, to which the registry may be pointed at any time."""
    name = f"{database}_opskit_into"
    mysql.execute(f"CREATE DATABASE `{name}`")
    return name


def made_by_the_registry(mysql: Server, into: str) -> None:
    mysql.execute(
        f"CREATE DATABASE IF NOT EXISTS `{into}`",
        f"CREATE TABLE `{into}`.Artifact (id INT PRIMARY KEY)",
        f"INSERT INTO `{into}`.Artifact VALUES (1), (2)",
    )


def test_tables_that_came_while_the_backup_was_judged_stay(
    mysql: Server, source: Endpoint, into: str, manifest: Manifest, tmp_path: Path
) -> None:
    class Reconnecting(DirectoryStorage):
        def get(self, key: str) -> Iterator[bytes]:
            if ".Artifact.00001." in key:
                made_by_the_registry(mysql, into)
            return super().get(key)

    with pytest.raises(RefusedError, match="is not empty"):
        restore(source, Reconnecting(tmp_path / "backups"), manifest, Options(into=into))
    assert {table: rows for table, (rows, _) in content(mysql, into).items()} == {"Artifact": 2}


@contextmanager
def at(wire: MySQLWire, pattern: str, then: Callable[[Hold], None]) -> Iterator[None]:
    """Do something as soon as a statement was sent, and before it reaches the server."""
    hold = wire.hold(pattern)

    def wait() -> None:
        hold.wait()
        then(hold)

    thread = threading.Thread(target=wait, daemon=True)
    thread.start()
    yield
    thread.join()


@pytest.mark.parametrize("was_there", [True, False])
def test_table_that_came_after_the_last_look_stays_and_the_backup_is_not_to_blame(
    mysql: Server,
    source: Endpoint,
    into: str,
    storage: DirectoryStorage,
    manifest: Manifest,
    caplog: pytest.LogCaptureFixture,
    *,
    was_there: bool,
) -> None:
    if not was_there:
        mysql.execute(f"DROP DATABASE `{into}`")

    def reconnect(hold: Hold) -> None:
        made_by_the_registry(mysql, into)
        hold.release()

    with mysql_wire(mysql.port) as wire, at(wire, "^CREATE TABLE `Artifact`", reconnect):
        watched = replace(source, port=wire.port, tls_mode="disabled")
        with pytest.raises(RefusedError, match="Table 'Artifact' already exists"):
            restore(watched, storage, manifest, Options(into=into))
    assert {table: rows for table, (rows, _) in content(mysql, into).items()} == {"Artifact": 2}
    assert f"database {into} is not empty: somebody else works there" in caplog.text


@pytest.mark.parametrize("was_there", [True, False])
def test_restore_that_fails_leaves_a_named_database_as_it_was(
    mysql: Server, source: Endpoint, into: str, database: str, storage: DirectoryStorage, *, was_there: bool
) -> None:
    if not was_there:
        mysql.execute(f"DROP DATABASE `{into}`")
    mysql.execute(
        f"CREATE VIEW `{database}`.seen AS SELECT id FROM `{database}`.Artifact",
        f"CREATE FUNCTION `{database}`.one() RETURNS INT DETERMINISTIC RETURN 1",
        f"CREATE TRIGGER `{database}`.fires BEFORE INSERT ON `{database}`.Artifact FOR EACH ROW SET @x = 1",
        f"CREATE EVENT `{database}`.nightly ON SCHEDULE EVERY 1 DAY DO SET @x = 1",
    )
    manifest = create_backup(source, database, storage, REGISTRY)
    with mysql_wire(mysql.port) as wire, at(wire, "referenced_table_name IS NOT NULL", Hold.drop):
        watched = replace(source, port=wire.port, tls_mode="disabled")
        with pytest.raises(UnavailableError):
            restore(watched, storage, manifest, Options(into=into))
    with closing(connect(source)) as connection:
        assert targets.exists(connection, into) == was_there
        assert targets.is_empty(connection, into)


def test_run_id_that_was_used_before_is_refused_and_what_bears_it_stays(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, manifest: Manifest
) -> None:
    again = Options(beside=database, run_id="20261123021500abcd")
    staged = restore(source, storage, manifest, again).database
    mysql.execute(f"DELETE FROM `{staged}`.ArtifactProperty")
    left = content(mysql, staged)
    with pytest.raises(RefusedError, match=f"database '{staged}' is there already") as caught:
        restore(source, storage, manifest, again)
    assert f"DROP DATABASE `{staged}`" in str(caught.value.hint)
    assert content(mysql, staged) == left
    mysql.execute(f"DROP DATABASE `{staged}`")

    def swap() -> SwapReport:
        return restore_and_swap(source, source, database, storage, manifest, again, safety_backup=None)

    former = swap().settled.exchange.outgoing
    with pytest.raises(RefusedError, match=f"database '{former}' is there already"):
        swap()
    assert beside(mysql, database) == [former]


def test_marker_of_a_staging_database_that_became_a_registry_is_neither_saved_nor_restored(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, manifest: Manifest
) -> None:
    live = restore(source, storage, manifest, Options(beside=database)).database
    with mysql_wire(mysql.port) as wire:
        watched = replace(source, port=wire.port, tls_mode="disabled")
        saved = create_backup(watched, live, storage, REGISTRY)
        assert [table.name for table in saved.tables] == [table.name for table in manifest.tables]
        (listing,) = {each for each in wire.statements if "table_name <> '_opskit_marker' ORDER BY coalesce" in each}
        # As backups were taken once.
        wire.replace(listing, listing.replace("<> '_opskit_marker'", "<> ''"))
        old = create_backup(watched, live, storage, REGISTRY)
    assert "_opskit_marker" in [table.name for table in old.tables]
    assert rehearse(source, storage, old, beside=live).verdict == "passed"
