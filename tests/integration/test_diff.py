"""What happened to a registry, read from its backups and from the running database."""

import json
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from opskit.backup.create import create_backup
from opskit.backup.diff import Change, ValueChange, diff
from opskit.backup.manifest import Manifest
from opskit.backup.reading import live_rows, read_rows
from opskit.errors import NotFoundError
from opskit.mysql.connection import connect
from opskit.mysql.snapshot import open_snapshot
from opskit.registry.contents import Key, Rows, describe, fingerprints
from opskit.storage.directory import DirectoryStorage
from sandbox.registry import Shape, generate
from sandbox.registry_text import MODEL_NAMES
from sandbox.registry_types import Flavour
from sandbox.server import Server
from tests.endpoints import endpoint
from tests.unit.command_line import environment, opskit_command, run

Scene = tuple[DirectoryStorage, Callable[[], Manifest]]


@pytest.fixture(params=["embedmd", "mlmd"])
def flavour(request: pytest.FixtureRequest) -> Flavour:
    found: Flavour = request.param
    return found


@pytest.fixture
def scene(mysql: Server, database: str, flavour: Flavour, tmp_path: Path) -> Scene:
    with mysql.connect(database=database) as connection:
        generate(connection, Shape(flavour, models=4, versions_per_model=2))
    storage = DirectoryStorage(tmp_path / "backups")
    return storage, lambda: create_backup(endpoint(mysql), database, storage, "registry")


def rows(storage: DirectoryStorage, manifest: Manifest) -> Rows:
    return partial(read_rows, storage, manifest)


@pytest.fixture
def live(mysql: Server, database: str) -> Iterator[Callable[[], Rows]]:
    opened = []

    def read() -> Rows:
        snapshot = open_snapshot(lambda: connect(endpoint(mysql), database), database, workers=1, wanted="session")
        opened.append(snapshot)
        return partial(live_rows, snapshot)

    yield read
    for snapshot in opened:
        snapshot.close()


def change_registry(mysql: Server, database: str) -> None:
    """Archive model 1, add a version with an artifact to model 2, move an artifact's bytes, delete another."""
    mysql.execute(
        f"USE `{database}`",
        "REPLACE INTO ContextProperty (context_id, name, is_custom_property, string_value) VALUES"
        " (1, 'state', 0, 'ARCHIVED')",
        "SELECT type_id, type_id + 0 INTO @version, @x FROM Context WHERE name LIKE '1:%' LIMIT 1",
        "INSERT INTO Context (id, type_id, name) VALUES (900, @version, '2:v900')",
        "INSERT INTO ParentContext VALUES (900, 2)",
        "SELECT type_id INTO @artifact FROM Artifact WHERE id = 1",
        "INSERT INTO Artifact (id, type_id, uri, state, name) VALUES"
        " (901, @artifact, 's3://models/new', 2, '900:weights')",
        "INSERT INTO Attribution (context_id, artifact_id) VALUES (900, 901)",
        "UPDATE Artifact SET uri = 's3://elsewhere/é' WHERE id = 2",
        "DELETE FROM Artifact WHERE id = 3",
        "UPDATE Artifact SET last_update_time_since_epoch = 1 WHERE id = 4",
    )


def told(changes: list[Change]) -> list[tuple[str, str, int]]:
    return [(each.change, each.kind, each.id) for each in changes]


EXPECTED = [
    ("changed", "model", 1),
    ("added", "version", 900),
    ("changed", "artifact", 2),
    ("removed", "artifact", 3),
    ("added", "artifact", 901),
]


def test_changes_between_two_backups_are_told(scene: Scene, mysql: Server, database: str) -> None:
    storage, backup = scene
    before = backup()
    change_registry(mysql, database)
    changes = diff(rows(storage, before), rows(storage, backup()))
    assert sorted(told(changes)) == sorted(EXPECTED)
    found = {(each.kind, each.id): each for each in changes}
    assert ValueChange("state", "LIVE", "ARCHIVED") in found["model", 1].values
    assert found["artifact", 901].path[-2:] == ("v900", "weights")
    assert len(found["artifact", 901].path) == 3
    (moved,) = found["artifact", 2].values
    assert (moved.name, moved.after) == ("uri", "s3://elsewhere/é")


def test_models_come_before_versions_and_artifacts(scene: Scene, mysql: Server, database: str) -> None:
    storage, backup = scene
    before = backup()
    change_registry(mysql, database)
    kinds = [each.kind for each in diff(rows(storage, before), rows(storage, backup()))]
    assert kinds == sorted(kinds, key=["model", "version", "artifact"].index)


def test_way_back_is_the_mirror_image(scene: Scene, mysql: Server, database: str) -> None:
    storage, backup = scene
    before = backup()
    change_registry(mysql, database)
    after = backup()
    mirror = {"added": "removed", "removed": "added", "changed": "changed"}
    there = told(diff(rows(storage, before), rows(storage, after)))
    back = told(diff(rows(storage, after), rows(storage, before)))
    assert sorted(back) == sorted((mirror[change], kind, id_) for change, kind, id_ in there)


def test_nothing_changed_is_no_difference(scene: Scene) -> None:
    storage, backup = scene
    assert diff(rows(storage, backup()), rows(storage, backup())) == []


def test_running_database_compares_as_a_backup_of_it_does(
    scene: Scene, live: Callable[[], Rows], mysql: Server, database: str
) -> None:
    storage, backup = scene
    before = backup()
    assert diff(rows(storage, before), live()) == []
    change_registry(mysql, database)
    assert diff(rows(storage, before), live()) == diff(rows(storage, before), rows(storage, backup()))


def test_double_encoded_names_are_shown_as_they_were_written(scene: Scene) -> None:
    storage, backup = scene
    source = rows(storage, backup())
    models = describe(source, [Key("Context", id_) for id_ in range(1, 5)]).values()
    names = {model.path[0].rpartition(" ")[0] for model in models}
    assert len(names) > 1
    assert names <= set(MODEL_NAMES)


def test_every_entity_has_a_fingerprint(scene: Scene, mysql: Server, database: str) -> None:
    storage, backup = scene
    found = fingerprints(rows(storage, backup()))
    for table in ("Context", "Artifact", "Execution"):
        ((count,),) = mysql.execute(f"SELECT COUNT(*) FROM `{database}`.`{table}`")
        assert len([key for key in found if key.table == table]) == count


def test_table_or_column_that_is_not_there_is_named(scene: Scene, live: Callable[[], Rows]) -> None:
    storage, backup = scene
    for source in (rows(storage, backup()), live()):
        with pytest.raises(NotFoundError, match="Nowhere"):
            next(source("Nowhere", ["id"]))
        with pytest.raises(NotFoundError, match="nothing"):
            next(source("Artifact", ["nothing"]))


def configured(mysql: Server, database: str, storage: str) -> dict[str, str]:
    return environment(
        OPSKIT_MYSQL_URL=f"{mysql.url}/{database}", OPSKIT_MYSQL_PASSWORD=mysql.password, OPSKIT_STORAGE_URL=storage
    )


@pytest.mark.parametrize("flavour", ["embedmd"])
def test_command_ends_with_1_where_there_are_differences(
    scene: Scene, mysql: Server, database: str, tmp_path: Path
) -> None:
    storage, backup = scene
    before = backup()
    environ = configured(mysql, database, storage.url)
    (tmp_path / "backups" / "registry").rename(tmp_path / "backups" / database)
    manifest = tmp_path / "backups" / database / before.id / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"registry": "registry"', f'"registry": "{database}"'))
    same = run(opskit_command("backup", "diff", "latest", "live", "--json"), tmp_path, environ)
    assert (same.returncode, json.loads(same.stdout)["changes"]) == (0, [])
    change_registry(mysql, database)
    different = run(opskit_command("backup", "diff", before.id[:12], "live"), tmp_path, environ)
    assert different.returncode == 1, different.stderr
    assert "ARCHIVED" in different.stdout
    assert "2 artifacts" not in different.stdout
    # Where no hold can be put, it is said that there should be one.
    (manifest.parent / "holds").write_text("in the way")
    assert (
        "cannot be held against prune"
        in run(opskit_command("backup", "diff", "latest", "live"), tmp_path, environ).stderr
    )


def test_database_that_is_no_registry_is_refused(mysql: Server, database: str, tmp_path: Path) -> None:
    mysql.execute(f"CREATE TABLE `{database}`.t (id INT PRIMARY KEY)")
    environ = configured(mysql, database, str(tmp_path))
    assert run(opskit_command("backup", "create"), tmp_path, environ).returncode == 0
    for after in ("latest", "live"):
        ended = run(opskit_command("backup", "diff", "latest", after), tmp_path, environ)
        assert ended.returncode == 78
        assert "Model Registry" in ended.stderr
