"""A swap puts the backup in the place of the live registry, all at once, and every step back is as whole."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opskit.backup.catalog import find
from opskit.backup.create import Options as BackupOptions
from opskit.backup.create import create_backup
from opskit.backup.manifest import Manifest
from opskit.errors import BusyError, NotFoundError, RefusedError
from opskit.mysql.connection import Endpoint, connect
from opskit.mysql.lease import Lease
from opskit.restore.exchange import UNTOUCHED
from opskit.restore.rollback import cleanup, plan_rollback, rollback
from opskit.restore.run import Options, restore
from opskit.restore.swap import SwapReport, plan_swap, restore_and_swap
from opskit.storage.directory import DirectoryStorage
from sandbox.registry import Shape, generate
from sandbox.server import OwnServer, Server
from tests.conftest import accounts, fresh_database, like
from tests.endpoints import endpoint
from tests.integration.resilience.running import sessions
from tests.integration.restore.conftest import REGISTRY, CommandLine, Swap
from tests.integration.restore.databases import beside, content, damage, quoted
from tests.waiting import eventually


def add_artifact(mysql: Server, database: str, number: int) -> None:
    mysql.execute(
        f"INSERT INTO `{database}`.Artifact (id, type_id, name, last_update_time_since_epoch)"
        f" VALUES ({number}, 1, 'new-{number}', UNIX_TIMESTAMP() * 1000 + 5000)",
        f"INSERT INTO `{database}`.ArtifactProperty (artifact_id, name, is_custom_property, string_value)"
        f" VALUES ({number}, 'owner', 0, 'somebody')",
    )


def test_damaged_registry_is_replaced_and_kept(mysql: Server, database: str, swap: Swap) -> None:
    saved = content(mysql, database)
    damage(mysql, database)
    damaged = content(mysql, database)
    report = swap()
    assert content(mysql, database) == saved
    assert content(mysql, report.settled.exchange.outgoing) == damaged
    assert report.settled.stray == ()
    assert beside(mysql, database) == [report.settled.exchange.outgoing]


def test_safety_backup_holds_what_was_live(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, swap: Swap
) -> None:
    damage(mysql, database)
    damaged = content(mysql, database)
    report = swap()
    assert report.safety_backup is not None
    safety = find(storage, REGISTRY, report.safety_backup)
    assert content(mysql, restore(source, storage, safety, Options(beside=database)).database) == damaged


def test_missing_database_is_brought_back_by_the_same_call(
    mysql: Server, database: str, manifest: Manifest, swap: Swap
) -> None:
    saved = content(mysql, database)
    charset = "SELECT @@character_set_database, @@collation_database"
    with mysql.connect(database=database) as connection, connection.cursor() as cursor:
        cursor.execute(f"ALTER DATABASE `{database}` DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_0900_ai_ci")
    mysql.execute(f"DROP DATABASE `{database}`")
    report = swap()
    assert content(mysql, database) == saved
    assert (report.safety_backup, report.settled.exchange.moved_out, report.settled.lost) == (None, (), {})
    assert beside(mysql, database) == []
    assert mysql.execute(f"USE `{database}`", charset) == ((manifest.database.charset, manifest.database.collation),)


def test_character_set_of_the_database_is_the_backup_s(
    mysql: Server, database: str, manifest: Manifest, swap: Swap
) -> None:
    mysql.execute(f"ALTER DATABASE `{database}` CHARACTER SET latin1 COLLATE latin1_german2_ci")
    asked = (f"USE `{database}`", "SELECT @@character_set_database, @@collation_database")
    report = swap()
    assert mysql.execute(*asked) == ((manifest.database.charset, manifest.database.collation),)
    rollback(endpoint(mysql), database)
    assert mysql.execute(*asked) == (("latin1", "latin1_german2_ci"),)
    assert report.settled.stray == ()


def test_ways_back_and_forth_can_be_gone_any_number_of_times(
    mysql: Server, source: Endpoint, database: str, swap: Swap
) -> None:
    saved = content(mysql, database)
    damage(mysql, database)
    damaged = content(mysql, database)
    swap()
    for _ in range(2):
        back = rollback(source, database)
        assert content(mysql, database) == damaged
        rollback(source, database, back.exchange.outgoing)
        assert content(mysql, database) == saved
    assert len(beside(mysql, database)) == 1


def test_two_swaps_are_rolled_back_one_by_one(mysql: Server, source: Endpoint, database: str, swap: Swap) -> None:
    damage(mysql, database)
    damaged = content(mysql, database)
    swap()
    add_artifact(mysql, database, 1001)
    between = content(mysql, database)
    swap()
    rollback(source, database)
    assert content(mysql, database) == between
    rollback(source, database)
    assert content(mysql, database) == damaged
    with pytest.raises(NotFoundError) as caught:
        rollback(source, database)
    assert caught.value.hint is not None
    assert caught.value.hint.endswith(UNTOUCHED)
    assert all(name in caught.value.hint for name in beside(mysql, database, "after%"))
    assert content(mysql, database) == damaged


def test_rows_written_after_a_swap_are_kept_and_counted_by_a_rollback(
    mysql: Server, source: Endpoint, database: str, swap: Swap
) -> None:
    swap()
    add_artifact(mysql, database, 1001)
    written = content(mysql, database)
    assert plan_rollback(source, database).lost == {"Artifact": 1, "ArtifactProperty": 1}
    back = rollback(source, database)
    assert back.lost == {"Artifact": 1, "ArtifactProperty": 1}
    assert content(mysql, back.exchange.outgoing) == written


def test_plan_counts_what_came_after_the_backup_and_changes_nothing(
    mysql: Server, source: Endpoint, database: str, manifest: Manifest
) -> None:
    mysql.execute(f"DROP TABLE `{database}`.EventPath", f"CREATE TABLE `{database}`.extra (n INT)")
    for number in (1001, 1002):
        add_artifact(mysql, database, number)
    before = content(mysql, database)
    plan = plan_swap(source, database, manifest)
    by_table = {each.table: each for each in plan.tables}
    rows = {table.name: table.rows for table in manifest.tables}
    artifact = by_table["Artifact"]
    assert (artifact.live_rows, artifact.backup_rows, artifact.newer) == (rows["Artifact"] + 2, rows["Artifact"], 2)
    assert by_table["ArtifactProperty"].newer == 2
    assert by_table["Attribution"].newer == 0
    assert (by_table["EventPath"].live_rows, by_table["EventPath"].backup_rows) == (None, rows["EventPath"])
    assert (by_table["extra"].live_rows, by_table["extra"].backup_rows, by_table["extra"].newer) == (0, None, None)
    assert plan.live_bytes > 0
    assert (content(mysql, database), beside(mysql, database)) == (before, [])


def test_swap_counts_exactly_what_is_not_live_any_more(mysql: Server, database: str, swap: Swap) -> None:
    mysql.execute(
        f"UPDATE `{database}`.Artifact SET name = UPPER(name) WHERE id = 2",  # equal, says its collation
        f"DELETE FROM `{database}`.Artifact WHERE id = 3",
        f"INSERT INTO `{database}`.EventPath VALUES (1, 1, 77, NULL)",  # a table without a key
        f"CREATE TABLE `{database}`.extra AS SELECT 1 AS n",
    )
    add_artifact(mysql, database, 1001)
    assert swap().settled.lost == {"Artifact": 2, "ArtifactProperty": 1, "EventPath": 1, "extra": 1}


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE VIEW {live}.seen AS SELECT id FROM {live}.Artifact", "view seen"),
        ("CREATE TRIGGER {live}.fires BEFORE INSERT ON {live}.Artifact FOR EACH ROW SET @x = 1", "trigger fires"),
        ("CREATE PROCEDURE {live}.runs() SELECT 1", "routine runs"),
        ("CREATE EVENT {live}.ticks ON SCHEDULE EVERY 1 DAY DISABLE DO SELECT 1", "event ticks"),
        (
            "CREATE TABLE {other}.child (id INT, FOREIGN KEY (id) REFERENCES {live}.Artifact (id))",
            "foreign key from outside",
        ),
    ],
)
def test_what_a_rename_cannot_move_is_refused_by_name(
    statement: str, named: str, mysql: Server, source: Endpoint, database: str, manifest: Manifest, swap: Swap
) -> None:
    with fresh_database(mysql) as other:
        mysql.execute(statement.format(live=f"`{database}`", other=f"`{other}`"))
        before = content(mysql, database)
        for attempt in (swap, lambda: plan_swap(source, database, manifest)):
            with pytest.raises(RefusedError, match=named):
                attempt()
        assert (content(mysql, database), beside(mysql, database)) == (before, [])


def test_backup_with_programs_is_refused_before_it_is_staged(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage
) -> None:
    mysql.execute(f"CREATE VIEW `{database}`.seen AS SELECT id FROM `{database}`.Artifact")
    manifest = create_backup(source, database, storage, REGISTRY)
    mysql.execute(f"DROP VIEW `{database}`.seen")
    with pytest.raises(RefusedError, match="view seen in the backup") as caught:
        restore_and_swap(source, source, database, storage, manifest)
    assert caught.value.hint is not None
    assert caught.value.hint.endswith(UNTOUCHED)
    assert beside(mysql, database) == []


def trying_again(manifest: Manifest, storage: DirectoryStorage) -> str:
    """What the error of a swap says that failed after its safety backup, which is the newest backup now."""
    safety = find(storage, REGISTRY, "latest").id
    assert safety != manifest.id
    return f"`latest` is the safety backup now, {safety}: name {manifest.id} to try again; {UNTOUCHED}"


def test_registry_that_holds_its_tables_makes_the_swap_give_up_and_it_can_be_run_again(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, manifest: Manifest
) -> None:
    before = content(mysql, database)

    def swap() -> SwapReport:
        return restore_and_swap(source, source, database, storage, manifest, Options(run_id="20261123021500abcd"))

    with mysql.connect(database=database, autocommit=False) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM Artifact")
        with pytest.raises(BusyError) as caught:
            swap()
    assert content(mysql, database) == before
    assert beside(mysql, database) == []
    assert caught.value.hint is not None
    assert caught.value.hint.endswith(f"; {trying_again(manifest, storage)}")
    assert swap().settled.stray == ()


def test_swap_that_fails_after_its_safety_backup_names_the_backup_to_try_again(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, manifest: Manifest, tmp_path: Path
) -> None:
    damage(mysql, database)
    before = content(mysql, database)

    class Interrupted(DirectoryStorage):
        """Somebody presses Ctrl-C when rows are loaded."""

        def get(self, key: str) -> Iterator[bytes]:
            if f"{manifest.id}/" in key and ".Artifact.00001." in key:
                raise KeyboardInterrupt
            return super().get(key)

    with pytest.raises(KeyboardInterrupt) as caught:
        restore_and_swap(source, source, database, Interrupted(tmp_path / "backups"), manifest)
    assert caught.value.__notes__ == [trying_again(manifest, storage)]
    assert (content(mysql, database), beside(mysql, database)) == (before, [])


def test_table_that_appeared_meanwhile_is_reported_as_stray(
    mysql: Server, source: Endpoint, database: str, manifest: Manifest, command_line: CommandLine
) -> None:
    command_line.add(REGISTRY, source, database)
    with mysql.connect(database=database, autocommit=False) as reader, reader.cursor() as cursor:
        cursor.execute("SELECT COUNT(*) FROM Artifact")

        def migrate() -> None:
            eventually(lambda: sessions(mysql, info="^RENAME TABLE"), "the swap waits for the table that is read")
            mysql.execute(f"CREATE TABLE `{database}`.latecomer (n INT)")
            reader.rollback()

        thread = threading.Thread(target=migrate, daemon=True)
        thread.start()
        ended = command_line.run("restore", "run", manifest.id, "--swap", "--yes")
        thread.join()
    assert (ended.returncode, f"stray table in {database}: latecomer" in ended.stdout) == (1, True), ended.stderr


def test_without_a_table_in_the_former_database_there_is_nothing_to_go_back_to(
    mysql: Server, source: Endpoint, database: str, swap: Swap
) -> None:
    swap()
    empty = f"{database}_opskit_before_20990101000000abcd"
    former = plan_rollback(source, database).former.database
    mysql.execute(
        f"CREATE DATABASE `{empty}`",
        f"CREATE TABLE `{empty}`._opskit_marker LIKE `{former}`._opskit_marker",
        f"INSERT INTO `{empty}`._opskit_marker VALUES ('none', '{database}', '2099-01-01')",
    )
    assert plan_rollback(source, database).former.database == former
    with pytest.raises(NotFoundError):
        rollback(source, database, empty)


def test_foreign_keys_within_the_database_move_with_their_tables(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage
) -> None:
    mysql.execute(
        f"CREATE TABLE `{database}`.parent (id INT PRIMARY KEY, up INT,"
        " CONSTRAINT own FOREIGN KEY (up) REFERENCES parent (id))",
        f"CREATE TABLE `{database}`.child (id INT PRIMARY KEY, CONSTRAINT theirs FOREIGN KEY (id)"
        f" REFERENCES `{database}`.parent (id) ON DELETE CASCADE)",
        f"INSERT INTO `{database}`.parent VALUES (1, NULL), (2, 1)",
        f"INSERT INTO `{database}`.child VALUES (1), (2)",
    )
    manifest = create_backup(source, database, storage, REGISTRY)
    saved = content(mysql, database)
    report = restore_and_swap(source, source, database, storage, manifest)
    pairs = (
        "SELECT constraint_schema, table_name, constraint_name, unique_constraint_schema, referenced_table_name"
        f" FROM information_schema.referential_constraints WHERE constraint_schema LIKE '{like(database)}%'"
        " ORDER BY constraint_schema, table_name"
    )
    former = report.settled.exchange.outgoing
    assert mysql.execute(pairs) == tuple(
        (schema, *rest)
        for schema in (database, former)
        for rest in (("child", "theirs", schema, "parent"), ("parent", "own", schema, "parent"))
    )
    mysql.execute(f"DELETE FROM `{database}`.parent WHERE id = 2")
    assert mysql.execute(f"SELECT id FROM `{database}`.child") == ((1,),)
    assert content(mysql, former) == saved
    rollback(source, database)
    assert content(mysql, database) == saved
    assert {(row[0], row[3]) for row in mysql.execute(pairs)} == {
        (name, name) for name in (database, *beside(mysql, database))
    }


NAMES = ["per%sent_ages", 'it\'s `a` "ba\\d" näme', "x" * 64]


@pytest.mark.parametrize("name", NAMES)
def test_any_name_of_a_database_is_swapped_and_rolled_back(name: str, mysql: Server, storage: DirectoryStorage) -> None:
    source = endpoint(mysql)
    mysql.execute(f"CREATE DATABASE {quoted(name)}")
    try:
        with mysql.connect(database=name) as connection:
            generate(connection, Shape("mlmd", models=1))
        manifest = create_backup(source, name, storage, REGISTRY, BackupOptions(workers=1))
        saved = content(mysql, name)
        mysql.execute(f"DELETE FROM {quoted(name)}.Artifact")
        damaged = content(mysql, name)
        plan_swap(source, name, manifest)
        report = restore_and_swap(source, source, name, storage, manifest, Options(workers=1), safety_backup=None)
        assert content(mysql, name) == saved
        rollback(source, name)
        assert content(mysql, name) == damaged
        left = cleanup(source, name, older_than_seconds=0, apply=True)
        assert len(report.settled.exchange.outgoing) <= 64
        assert [each.purpose for each in left.databases] == ["after"]
        assert cleanup(source, name, older_than_seconds=0, apply=False).databases == ()
    finally:
        for each in (
            name,
            *(row.database for row in cleanup(source, name, older_than_seconds=0, apply=True).databases),
        ):
            mysql.execute(f"DROP DATABASE IF EXISTS {quoted(each)}")


def test_name_with_capitals_is_one_with_its_lower_case_where_the_server_folds_names(
    own_mysql: Callable[..., OwnServer], storage: DirectoryStorage
) -> None:
    server, name = own_mysql("--lower-case-table-names=1"), "Model_Registry"
    server.execute(
        f"CREATE DATABASE {name}", f"CREATE TABLE {name}.t (id INT PRIMARY KEY)", f"INSERT INTO {name}.t VALUES (1)"
    )
    with accounts(server) as user:
        # The least that a swap needs, as the server writes it down.
        source = endpoint(server, user(r"ALL ON `Model\_Registry`.*", r"ALL ON `Model\_Registry\_opskit\_%`.*"))
        manifest = create_backup(source, name, storage, REGISTRY)
        assert not [each for each in manifest.warnings if "may not see" in each]
        server.execute(f"DELETE FROM {name}.t")
        restore_and_swap(source, source, name, storage, manifest, safety_backup=None)
        assert server.execute(f"SELECT id FROM {name}.t") == ((1,),)
        rollback(source, name)
        assert server.execute(f"SELECT id FROM {name}.t") == ()
        with Lease(connect(source), name.lower()) as lease:
            lease.acquire()
            with pytest.raises(BusyError):
                cleanup(source, name, older_than_seconds=0, apply=True)
        left = cleanup(source, name, older_than_seconds=0, apply=True)
        assert [each.purpose for each in left.databases] == ["after"]
    assert server.execute("SHOW DATABASES LIKE 'model%'") == (("model_registry",),)


def test_cleanup_drops_what_bears_name_and_mark_and_nothing_else(
    mysql: Server, source: Endpoint, database: str, swap: Swap
) -> None:
    report = swap()
    ours = report.settled.exchange.outgoing
    unmarked = f"{database}_opskit_before_20260101000000abcd"
    foreign = [f"{database}_opskit_before_mine", f"{database}_opskit_keep_20260101000000abcd", f"{database}2"]
    for name in [unmarked, *foreign]:
        mysql.execute(f"CREATE DATABASE `{name}`", f"CREATE TABLE `{name}`.t (n INT)")
    mysql.execute(*(f"CREATE TABLE `{name}`._opskit_marker LIKE `{ours}`._opskit_marker" for name in foreign))
    mysql.execute(*(f"INSERT INTO `{name}`._opskit_marker SELECT * FROM `{ours}`._opskit_marker" for name in foreign))
    somebody_s = f"{database}_opskit_before_20260101000000abce"
    mysql.execute(
        f"CREATE DATABASE `{somebody_s}`",
        f"CREATE TABLE `{somebody_s}`._opskit_marker LIKE `{ours}`._opskit_marker",
        f"INSERT INTO `{somebody_s}`._opskit_marker VALUES ('none', 'another', '2020-01-01')",
    )
    try:
        assert cleanup(source, database, older_than_seconds=3600, apply=True).databases == ()
        listed = cleanup(source, database, older_than_seconds=0, apply=False)
        assert [each.database for each in listed.databases] == [ours]
        assert listed.unmarked == (unmarked,)
        assert ours in beside(mysql, database)
        cleanup(source, database, older_than_seconds=0, apply=True)
        assert beside(mysql, database) == sorted([unmarked, somebody_s, *foreign[:2]])
    finally:
        mysql.execute(f"DROP DATABASE `{foreign[-1]}`")


def test_cleanup_waits_for_no_other_run(source: Endpoint, database: str, swap: Swap) -> None:
    swap()
    with Lease(connect(source), database) as lease:
        lease.acquire()
        assert len(cleanup(source, database, older_than_seconds=0, apply=False).databases) == 1
        with pytest.raises(BusyError):
            cleanup(source, database, older_than_seconds=0, apply=True)
        with pytest.raises(BusyError) as caught:
            rollback(source, database)
        assert UNTOUCHED in str(caught.value.hint)
