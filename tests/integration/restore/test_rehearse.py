"""A rehearsal restores for real, finds what a backup is guilty of, and leaves nothing but its verdict."""

import json
import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from opskit.backup.catalog import list_backups
from opskit.backup.create import create_backup
from opskit.backup.manifest import Manifest, backup_key
from opskit.errors import (
    ConfigurationError,
    CorruptError,
    DeniedError,
    NoSpaceError,
    OpskitError,
    RefusedError,
    UnavailableError,
)
from opskit.mysql.connection import Endpoint
from opskit.progress import NoProgress, Unit
from opskit.registry.facts import MIGRATIONS_TABLE, MLMD_TABLES
from opskit.restore import target as targets
from opskit.restore.rehearse import STALE_SECONDS, Rehearsal
from opskit.restore.rehearse import rehearse as rehearse_backup
from opskit.restore.run import Options, restore
from opskit.storage.directory import DirectoryStorage
from sandbox.server import OwnServer, Server
from tests.endpoints import endpoint
from tests.forger import Forger
from tests.integration.restore.conftest import REGISTRY
from tests.integration.restore.databases import beside, content
from tests.mysql_wire import mysql_wire


@pytest.fixture
def forger(manifest: Manifest, tmp_path: Path) -> Forger:
    return Forger(tmp_path / "backups" / REGISTRY / manifest.id)


@pytest.fixture
def rehearse(source: Endpoint, database: str, storage: DirectoryStorage) -> Callable[[Manifest], Rehearsal]:
    return lambda manifest: rehearse_backup(source, storage, manifest, Options(workers=2), beside=database)


Rehearse = Callable[[Manifest], Rehearsal]


def verdicts(storage: DirectoryStorage, manifest: Manifest) -> list[dict[str, Any]]:
    prefix = backup_key(manifest.registry, manifest.id, "rehearsals/")
    return [json.loads(b"".join(storage.get(each.key))) for each in storage.list(prefix)]


def test_sound_backup_passes_and_leaves_only_its_verdicts(
    mysql: Server, database: str, storage: DirectoryStorage, manifest: Manifest, rehearse: Rehearse
) -> None:
    live = content(mysql, database)
    first = rehearse(manifest)
    rehearse(manifest)
    assert (first.verdict, first.problems, first.rows) == ("passed", (), manifest.rows)
    written = verdicts(storage, manifest)
    assert [each["verdict"] for each in written] == ["passed", "passed"]
    assert written[0]["backup_id"] == manifest.id
    assert (content(mysql, database), beside(mysql, database)) == (live, [])
    assert [each.rehearsal for each in list_backups(storage, REGISTRY)] == ["passed"]


@pytest.mark.parametrize("sound", [True, False])
def test_verdict_that_cannot_be_kept_is_told(
    sound: bool,  # noqa: FBT001 - pytest's
    mysql: Server,
    source: Endpoint,
    database: str,
    storage: DirectoryStorage,
    forger: Forger,
) -> None:
    if not sound:
        change_a_row(forger)
    manifest = forger.forged()

    class Full(DirectoryStorage):
        def put(self, key: str, body: Iterable[bytes], *, if_absent: bool = False) -> int:
            if "/rehearsals/" in key:
                raise DeniedError("nothing more", hint="the volume is mounted read-only")
            return super().put(key, body, if_absent=if_absent)

    expected, went = (DeniedError, "passed") if sound else (CorruptError, "failed: what came back is not what")
    with pytest.raises(expected, match=f"the rehearsal of {manifest.id} {went}") as caught:
        rehearse_backup(source, Full(forger.folder.parents[1]), manifest, Options(workers=2), beside=database)
    assert caught.value.message.endswith("; only its verdict could not be kept: nothing more")
    assert caught.value.hint == "the volume is mounted read-only"
    assert (beside(mysql, database), verdicts(storage, manifest)) == ([], [])


def swap_chunks(forger: Forger) -> None:
    one, other = forger.text(".Attribution.00001"), forger.text(".ParentContext.00001")
    forger.write(".Attribution.00001", other)
    forger.write(".ParentContext.00001", one)


def swap_chunks_and_name_the_other_table(forger: Forger) -> None:
    one, other = forger.text(".ContextProperty.00001"), forger.text(".ArtifactProperty.00001")
    forger.write(".ContextProperty.00001", other.replace(b"INTO `ArtifactProperty`", b"INTO `ContextProperty`"))
    forger.write(".ArtifactProperty.00001", one.replace(b"INTO `ContextProperty`", b"INTO `ArtifactProperty`"))


def change_a_row(forger: Forger) -> None:
    forger.replace(".Artifact.00001", b"s3://models", b"s3://mOdels")


def repeat_a_row(forger: Forger) -> None:
    content = forger.text(".MLMDEnv.00001")
    forger.write(".MLMDEnv.00001", content + content[content.index(b"INSERT INTO") :])


def drop_the_rows(forger: Forger) -> None:
    content = forger.text(".Type.00001")
    forger.write(".Type.00001", content[: content.index(b"INSERT INTO")])


def lose_a_table(forger: Forger) -> None:
    forger.forget("EventPath")


def lose_an_object(forger: Forger) -> None:
    forger.path(".Artifact.00001").unlink()


@pytest.mark.parametrize(
    ("how", "said"),
    [
        (swap_chunks, "Attribution"),
        (swap_chunks_and_name_the_other_table, "ContextProperty|ArtifactProperty"),
        (change_a_row, "what came back is not .*Artifact "),
        (repeat_a_row, "MLMDEnv"),
        (drop_the_rows, "what came back is not .*Type "),
        (lose_a_table, "tables are missing: EventPath"),
        (lose_an_object, "Artifact.* is missing"),
    ],
)
def test_damage_is_found_although_its_digests_were_fixed_up(
    how: Callable[[Forger], None],
    said: str,
    forger: Forger,
    mysql: Server,
    database: str,
    storage: DirectoryStorage,
    rehearse: Rehearse,
) -> None:
    live = content(mysql, database)
    how(forger)
    damaged = forger.forged()
    done = rehearse(damaged)
    assert done.verdict == "failed"
    assert len(done.problems) == 1
    assert re.search(said, done.problems[0])
    assert [each["problems"] for each in verdicts(storage, damaged)] == [list(done.problems)]
    assert [each.rehearsal for each in list_backups(storage, REGISTRY)] == ["failed"]
    assert (content(mysql, database), beside(mysql, database)) == (live, [])


UNSOUND = {
    "UPDATE schema_migrations SET dirty = 1": "the schema is dirty: migration 21 was not completed",
    "DELETE FROM schema_migrations": "schema_migrations has 0 rows instead of one",
    "INSERT INTO MLMDEnv VALUES (9)": "MLMDEnv has 2 rows instead of one",
    "DELETE FROM MLMDEnv": "MLMDEnv has 0 rows instead of one",
    f"DROP TABLE {', '.join(sorted({*MLMD_TABLES, MIGRATIONS_TABLE}))}": "there are no tables",
    "DROP TABLE EventPath": "tables are missing: EventPath",
    "DELETE FROM Type WHERE name = 'kf.ModelVersion'": "types are missing: kf.ModelVersion",
}


@pytest.mark.parametrize("statement", UNSOUND)
def test_unsound_registry_is_saved_and_marked_and_its_rehearsal_fails(
    statement: str,
    mysql: Server,
    source: Endpoint,
    database: str,
    storage: DirectoryStorage,
    rehearse: Rehearse,
) -> None:
    with mysql.connect(database=database) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
    manifest = create_backup(source, database, storage, REGISTRY)
    assert manifest.database.problems == (UNSOUND[statement],)
    assert UNSOUND[statement] in manifest.warnings
    assert rehearse(manifest).problems == (UNSOUND[statement],)
    report = restore(source, storage, manifest, Options(beside=database))
    assert report.registry_problems == (UNSOUND[statement],)


DANGLING = {
    "DELETE FROM Context WHERE id = 1": {"ContextProperty.context_id": 1, "ParentContext.parent_context_id": 1},
    "DELETE FROM Artifact WHERE id = 1": {
        "ArtifactProperty.artifact_id": 1,
        "Attribution.artifact_id": 1,
        "Event.artifact_id": 1,
    },
    "DELETE FROM Execution WHERE id = 1": {
        "ExecutionProperty.execution_id": 1,
        "Association.execution_id": 1,
        "Event.execution_id": 1,
    },
    # Where ids have a gap, each one is looked up.
    "DELETE FROM Artifact WHERE id = 2": {"ArtifactProperty.artifact_id": 1, "Attribution.artifact_id": 1},
    "UPDATE Artifact SET type_id = 999 WHERE id < 3": {"Artifact.type_id": 1},
}


@pytest.mark.parametrize("statement", DANGLING)
def test_dangling_references_of_the_source_are_counted_and_no_problem(
    statement: str,
    mysql: Server,
    source: Endpoint,
    database: str,
    storage: DirectoryStorage,
    rehearse: Rehearse,
) -> None:
    with mysql.connect(database=database) as connection, connection.cursor() as cursor:
        cursor.execute(statement)
    manifest = create_backup(source, database, storage, REGISTRY)
    assert manifest.database.dangling == DANGLING[statement]
    assert rehearse(manifest).problems == ()
    understated = manifest.model_copy(update={"database": manifest.database.model_copy(update={"dangling": {}})})
    found = rehearse(understated).problems
    assert sorted(each.partition(":")[0] for each in found) == sorted(DANGLING[statement])


def test_what_an_earlier_rehearsal_left_is_removed_and_nothing_else(
    mysql: Server,
    source: Endpoint,
    database: str,
    storage: DirectoryStorage,
    manifest: Manifest,
    rehearse: Rehearse,
) -> None:
    admin_made = restore(source, storage, manifest, Options(beside=database)).database
    marker = "_opskit_marker"
    name = f"{database}_opskit_{{}}_20260101000000abc{{}}"
    old, young, unmarked, before, foreign = (
        name.format(purpose, number)
        for number, purpose in enumerate(["rehearse", "rehearse", "rehearse", "before", "rehearse"])
    )
    short = f"{database}_opskit_rehearse_1"
    for each in (old, young, unmarked, before, foreign, short):
        mysql.execute(f"CREATE DATABASE `{each}`", f"CREATE TABLE `{each}`.t (n INT)")
        if each != unmarked:
            source_name = "another" if each == foreign else database
            mysql.execute(
                f"CREATE TABLE `{each}`.`{marker}` LIKE `{admin_made}`.`{marker}`",
                f"INSERT INTO `{each}`.`{marker}` VALUES ('x', '{source_name}',"
                f" UTC_TIMESTAMP(6) - INTERVAL {STALE_SECONDS - 60 if each == young else STALE_SECONDS + 60} SECOND)",
            )
    assert rehearse(manifest).removed == (old,)
    assert beside(mysql, database) == sorted([admin_made, young, unmarked, before, foreign, short])


def test_backup_above_the_limit_is_refused_before_anything_is_done(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, manifest: Manifest
) -> None:
    size = sum(table.data_bytes + table.sql_bytes for table in manifest.tables)
    with pytest.raises(RefusedError, match=r"rehearse\.max_bytes"):
        rehearse_backup(source, storage, manifest, beside=database, maximum_bytes=size - 1)
    assert (verdicts(storage, manifest), beside(mysql, database)) == ([], [])
    marker = 2 * 16384  # which is opskit's own, and a page more in any other table
    rehearse_backup(source, storage, manifest, beside=database, maximum_bytes=size + marker)


def test_backup_that_says_it_is_small_does_not_fill_the_live_server(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, manifest: Manifest, forger: Forger
) -> None:
    for each in manifest.tables:
        forger.table(each.name, lambda table: table.update(data_bytes=0))
    claimed = 2 * sum(table.sql_bytes for table in manifest.tables)
    live = content(mysql, database)
    with pytest.raises(RefusedError, match=r"adds [0-9,]+ bytes to the live server"):
        rehearse_backup(source, storage, forger.forged(), beside=database, maximum_bytes=claimed)
    assert (content(mysql, database), beside(mysql, database)) == (live, [])
    assert verdicts(storage, manifest) == []


def test_more_rows_than_the_manifest_allowed_for_are_found_before_anything_is_loaded(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, forger: Forger
) -> None:
    forger.table("Artifact", lambda table: table.update(sql_bytes=table["sql_bytes"] - 1))
    with pytest.raises(CorruptError, match="rows of table 'Artifact' have"):
        restore(source, storage, forger.forged(), Options(beside=database), Interrupting("load"))
    assert beside(mysql, database) == []


def test_backup_with_digests_of_another_opskit_gets_no_verdict(
    mysql: Server, database: str, storage: DirectoryStorage, manifest: Manifest, rehearse: Rehearse
) -> None:
    with pytest.raises(CorruptError, match="not comparable"):
        rehearse(manifest.model_copy(update={"digest_algorithm": "of tomorrow"}))
    assert (verdicts(storage, manifest), beside(mysql, database)) == ([], [])


class Interrupting(NoProgress):
    """Breaks a run off when a phase begins, as Ctrl-C would."""

    def __init__(self, phase: str) -> None:
        self.at = phase

    def phase(self, name: str, total: int | None, unit: Unit) -> None:
        del total, unit
        if name == self.at:
            raise KeyboardInterrupt


@pytest.mark.parametrize("phase", ["verify", "load", "indexes", "compare"])
def test_interrupted_rehearsal_leaves_no_database_and_no_verdict(
    phase: str, mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, manifest: Manifest
) -> None:
    with pytest.raises(KeyboardInterrupt):
        rehearse_backup(source, storage, manifest, beside=database, progress=Interrupting(phase))
    assert (verdicts(storage, manifest), beside(mysql, database)) == ([], [])


def test_server_that_fails_is_not_the_backup_s_fault(
    own_mysql: Callable[..., OwnServer],
    database: str,
    storage: DirectoryStorage,
    manifest: Manifest,
) -> None:
    server = own_mysql()
    here = endpoint(server)
    passed = rehearse_backup(here, storage, manifest, beside=database, maximum_bytes=None)
    assert passed.verdict == "passed"
    assert server.execute(f"SHOW DATABASES LIKE '{database}%'") == ()

    class Stopping(NoProgress):
        def phase(self, name: str, total: int | None, unit: Unit) -> None:
            del total, unit
            if name == "compare":
                server.stop()

    with pytest.raises(UnavailableError):
        rehearse_backup(here, storage, manifest, beside=database, progress=Stopping())
    assert len(verdicts(storage, manifest)) == 1
    server.start()
    (left,) = server.execute(f"SHOW DATABASES LIKE '{database}%'")
    done = rehearse_backup(here, storage, manifest, beside=database, stale_seconds=0)
    assert done.removed == left
    assert server.execute(f"SHOW DATABASES LIKE '{database}%'") == ()


# As a server would say it, and what it is then. The rest of what a server can say is its own fault as well.
SAYS: dict[int, type[OpskitError] | str] = {
    1197: ConfigurationError,  # max_binlog_cache_size
    1206: ConfigurationError,  # the table of locks is full
    1114: NoSpaceError,
    1878: NoSpaceError,  # a full innodb_tmpdir
    1180: UnavailableError,  # an error during COMMIT
    1062: "failed",  # a key that is there twice
}


def test_only_what_a_server_says_of_the_statement_is_held_against_the_backup(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, manifest: Manifest
) -> None:
    said: dict[int, type[OpskitError] | str] = {}
    with mysql_wire(mysql.port) as wire:
        watched = replace(source, port=wire.port, tls_mode="disabled")
        assert rehearse_backup(watched, storage, manifest, Options(workers=1), beside=database).verdict == "passed"
        keys = next(each for each in wire.statements if each.startswith("ALTER TABLE `"))
        for number in SAYS:
            wire.replace(keys, f"SIGNAL SQLSTATE 'HY000' SET MYSQL_ERRNO = {number}")
            try:
                said[number] = rehearse_backup(watched, storage, manifest, Options(workers=1), beside=database).verdict
            except OpskitError as error:
                said[number] = type(error)
    assert said == SAYS
    assert (len(verdicts(storage, manifest)), beside(mysql, database)) == (2, [])


def test_scratch_database_that_somebody_drops_is_not_the_backup_s_fault(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, manifest: Manifest
) -> None:
    class Dropping(NoProgress):
        def phase(self, name: str, total: int | None, unit: Unit) -> None:
            del total, unit
            if name == "load":
                mysql.execute(*(f"DROP DATABASE `{each}`" for each in beside(mysql, database)))

    with pytest.raises(UnavailableError):
        rehearse_backup(source, storage, manifest, beside=database, progress=Dropping())
    assert verdicts(storage, manifest) == []


def test_generated_names_fit_and_are_each_a_new_one() -> None:
    names = {targets.generated_name("x" * 64, "rehearse", "20260101000000abcd"), targets.prefix("x" * 63 + "y")}
    assert all(len(name) <= 64 for name in names)
    assert targets.prefix("x" * 64) != targets.prefix("x" * 63 + "y")
