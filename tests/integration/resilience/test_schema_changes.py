"""A change of the schema at every step of a backup: it is let through, and what is saved is never torn."""

import contextlib
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from opskit.backup.create import Options, create_backup
from opskit.backup.manifest import Manifest
from opskit.errors import BusyError
from opskit.mysql.snapshot_steps import LEVELS, Level
from opskit.storage import Storage
from sandbox.server import Server
from tests.endpoints import endpoint
from tests.integration.resilience.running import (
    REGISTRY,
    arrive,
    backup_of,
    failure,
    manifests,
    restored,
    started,
    through,
    waits_for_metadata,
)
from tests.mysql_wire import PATIENCE_SECONDS, MySQLWire
from tests.waiting import eventually

pytestmark = pytest.mark.mysql

CHANGES = {
    "add column": "ALTER TABLE small ADD COLUMN added INT DEFAULT 7",
    "rebuild": "ALTER TABLE small MODIFY text VARCHAR(40), ALGORITHM=COPY",
    "rename": "RENAME TABLE small TO renamed",
    "gh-ost": "RENAME TABLE small TO small_old, small_new TO small",
    "truncate": "TRUNCATE TABLE small",
    "drop": "DROP TABLE small",
}
# What `small` holds before a change and after it, as SELECT * gives it; None if there is no such table.
BEFORE = ((1, "one"), (2, "two"))
AFTER = {
    "add column": ((1, "one", 7), (2, "two", 7)),
    "rebuild": BEFORE,
    "rename": None,
    "gh-ost": ((1, "new one"), (2, "new two")),
    "truncate": (),
    "drop": None,
}
# Every change at the level that registries have, and the worst one at the others.
at_any_level = pytest.mark.parametrize(
    ("level", "change"), [*(("tables", each) for each in CHANGES), ("instance", "gh-ost"), ("session", "gh-ost")]
)
at_a_level_with_a_lock = pytest.mark.parametrize(
    ("level", "change"), [*(("tables", each) for each in CHANGES), ("instance", "gh-ost")]
)
LOCK = {"instance": "^FLUSH TABLES WITH READ LOCK", "tables": "^LOCK TABLES"}
VIEW = r"^SELECT 1 FROM `\w+` LIMIT 1$"


@pytest.fixture
def tables(mysql: Server, database: str) -> str:
    """Two tables, and the one that gh-ost has filled and puts in the place of `small`."""
    mysql.execute(
        f"USE `{database}`",
        "CREATE TABLE small (id INT PRIMARY KEY, text VARCHAR(20))",
        "INSERT INTO small VALUES (1, 'one'), (2, 'two')",
        "CREATE TABLE small_new LIKE small",
        "INSERT INTO small_new VALUES (1, 'new one'), (2, 'new two')",
        "CREATE TABLE other (id INT PRIMARY KEY)",
        "INSERT INTO other VALUES (1)",
    )
    return database


def saved(server: Server, storage: Storage, manifest: Manifest, database: str) -> tuple[tuple[object, ...], ...] | None:
    """Return what the table `small` has after a restore."""
    into = f"{database}_opskit_saved"
    restored(server, storage, manifest, into)
    if not server.execute(f"SHOW TABLES FROM `{into}` LIKE 'small'"):
        return None
    return server.execute(f"SELECT * FROM `{into}`.small ORDER BY id")


@at_any_level
def test_change_before_the_touch_is_saved(
    mysql: Server, tables: str, storage: Storage, wire: MySQLWire, level: Level, change: str
) -> None:
    hold = wire.hold(r"^SAVEPOINT opskit_0")  # the list of tables was read, none was touched
    # One session: of several, the others would touch the tables meanwhile.
    with backup_of(through(wire, mysql), tables, storage, Options(workers=1, consistency=level)) as backup:
        arrive(backup, hold)
        mysql.execute(f"USE `{tables}`", CHANGES[change])
        hold.release()
        manifest = backup.result()
    assert manifest.snapshot.consistency == level
    assert saved(mysql, storage, manifest, tables) == AFTER[change]


@at_a_level_with_a_lock
def test_change_between_touch_and_lock_goes_first(
    mysql: Server, tables: str, storage: Storage, wire: MySQLWire, level: Level, change: str
) -> None:
    hold = wire.hold(LOCK[level])
    with backup_of(through(wire, mysql), tables, storage, Options(consistency=level)) as backup:
        arrive(backup, hold)
        statement = started(mysql, tables, CHANGES[change])
        eventually(lambda: waits_for_metadata(mysql, CHANGES[change]), "the change waits")
        hold.release()
        manifest = backup.result()
        statement.wait()
    assert manifest.snapshot.consistency == level
    assert saved(mysql, storage, manifest, tables) == AFTER[change]


@at_any_level
def test_change_between_lock_and_view_comes_after(
    mysql: Server, tables: str, storage: Storage, wire: MySQLWire, level: Level, change: str
) -> None:
    hold = wire.hold(VIEW, at=1)
    with backup_of(through(wire, mysql), tables, storage, Options(consistency=level)) as backup:
        arrive(backup, hold)
        statement = started(mysql, tables, CHANGES[change])
        eventually(lambda: stands(mysql, CHANGES[change]), "the change waits")
        hold.release()
        manifest = backup.result()
        statement.wait()
    assert saved(mysql, storage, manifest, tables) == BEFORE


def stands(server: Server, statement: str) -> bool:
    """Tell whether the statement waits for whatever it may be."""
    return any(
        str(row[7]) == statement and str(row[6]).startswith("Waiting")
        for row in server.execute("SHOW FULL PROCESSLIST")
    )


@at_any_level
def test_change_while_rows_are_read_comes_after(
    mysql: Server, tables: str, storage: Storage, wire: MySQLWire, level: Level, change: str
) -> None:
    hold = wire.hold(r"^SELECT .* FROM `small`$")
    with backup_of(through(wire, mysql), tables, storage, Options(consistency=level, workers=1)) as backup:
        arrive(backup, hold)
        statement = started(mysql, tables, CHANGES[change])
        eventually(lambda: waits_for_metadata(mysql, CHANGES[change]), "the change waits")
        hold.release()
        manifest = backup.result()
        statement.wait()
    assert saved(mysql, storage, manifest, tables) == BEFORE


def test_program_that_changes_while_rows_are_read_is_saved_as_it_was(
    mysql: Server, tables: str, storage: Storage, wire: MySQLWire
) -> None:
    mysql.execute(f"USE `{tables}`", "CREATE VIEW seen AS SELECT id FROM small_new", "CREATE PROCEDURE one() SELECT 1")
    hold = wire.hold(r"^SELECT .* FROM `small`$")  # small_new was read, and given back
    with backup_of(through(wire, mysql), tables, storage, Options(workers=1)) as backup:
        arrive(backup, hold)
        mysql.execute(
            f"USE `{tables}`",
            "ALTER TABLE small_new ADD COLUMN added INT",
            "CREATE OR REPLACE VIEW seen AS SELECT added FROM small_new",
            "DROP PROCEDURE one",
        )
        hold.release()
        manifest = backup.result()
    assert [(each.kind, each.name) for each in manifest.programs] == [("procedure", "one"), ("view", "seen")]
    into = f"{tables}_opskit_programs"
    restored(mysql, storage, manifest, into)
    assert mysql.execute(f"SELECT * FROM `{into}`.seen ORDER BY id") == ((1,), (2,))


def test_backup_gives_way_when_a_table_comes_while_its_programs_are_read(
    mysql: Server, tables: str, storage: Storage, wire: MySQLWire
) -> None:
    mysql.execute(f"USE `{tables}`", "CREATE VIEW seen AS SELECT id FROM small")
    hold = wire.hold("^SHOW CREATE VIEW")
    with backup_of(through(wire, mysql), tables, storage, Options(workers=1)) as backup:
        arrive(backup, hold)
        mysql.execute(
            f"USE `{tables}`", "CREATE TABLE came (id INT)", "CREATE OR REPLACE VIEW seen AS SELECT id FROM came"
        )
        hold.release()
        assert failure(backup).exit_code == 75
    assert manifests(storage) == []


def swap_all_the_time(server: Server, database: str, stop: threading.Event) -> None:
    """Put tables of the next generation in the place of both, by one RENAME, again and again, as gh-ost would."""
    with server.connect(database=database) as connection, connection.cursor() as cursor:
        generation = 1
        while not stop.wait(0.1):
            generation += 1
            for table in ("one", "two"):
                cursor.execute(f"CREATE TABLE {table}_new (generation INT PRIMARY KEY)")
                cursor.execute(f"INSERT INTO {table}_new VALUES ({generation})")
            cursor.execute("RENAME TABLE one TO one_old, two TO two_old, one_new TO one, two_new TO two")
            cursor.execute("DROP TABLE one_old, two_old")


@pytest.mark.parametrize("level", LEVELS)
def test_tables_that_are_swapped_all_the_time_are_never_saved_torn(
    mysql: Server, database: str, storage: Storage, level: Level
) -> None:
    """Each backup has both tables of one generation, or there is none."""
    mysql.execute(
        f"USE `{database}`",
        *(f"CREATE TABLE {table} (generation INT PRIMARY KEY)" for table in ("one", "two")),
        *(f"INSERT INTO {table} VALUES (1)" for table in ("one", "two")),
    )
    stop, saved, options = threading.Event(), [], Options(consistency=level, lease_wait_seconds=PATIENCE_SECONDS)
    with ThreadPoolExecutor(1) as pool:
        swapping = pool.submit(swap_all_the_time, mysql, database, stop)
        for _ in range(3):
            with contextlib.suppress(BusyError):
                saved.append(create_backup(endpoint(mysql), database, storage, REGISTRY, options))
        stop.set()
    swapping.result()
    assert saved
    for number, manifest in enumerate(saved):
        into = f"{database}_opskit_{number}"
        restored(mysql, storage, manifest, into)
        ((one, two),) = mysql.execute(f"SELECT a.generation, b.generation FROM `{into}`.one a, `{into}`.two b")
        assert one == two


def test_backup_gives_way_when_tables_never_stay(mysql: Server, tables: str, storage: Storage, wire: MySQLWire) -> None:
    holds = [wire.hold(r"^SAVEPOINT opskit_0", at=attempt) for attempt in range(1, 6)]
    names = ["small", "renamed"]
    with backup_of(through(wire, mysql), tables, storage, Options(workers=1)) as backup:
        for hold in holds:
            arrive(backup, hold)
            mysql.execute(f"RENAME TABLE `{tables}`.`{names[0]}` TO `{tables}`.`{names[1]}`")
            names.reverse()
            hold.release()
        assert failure(backup).exit_code == 75
    assert manifests(storage) == []
