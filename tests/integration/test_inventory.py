"""What a registry points to, read from a real server and from a backup of it."""

from pathlib import Path

import pytest

from opskit.artifacts.inventory import inventory_of_backup
from opskit.artifacts.uri import Malformed, locate
from opskit.backup.create import create_backup
from opskit.mysql.connection import connect
from opskit.registry.inventory import Pointer, read_inventory
from opskit.storage.directory import DirectoryStorage
from sandbox.registry import Shape, generate
from sandbox.registry_text import MODEL_NAMES
from sandbox.registry_types import Flavour
from sandbox.server import Server
from tests.endpoints import endpoint


@pytest.fixture(params=["mlmd", "embedmd"])
def registry(request: pytest.FixtureRequest, mysql: Server, database: str) -> str:
    flavour: Flavour = request.param
    with mysql.connect(database=database) as connection:
        generate(connection, Shape(flavour, models=20, properties_per_artifact=12))
    return database


def from_server(server: Server, database: str) -> list[Pointer]:
    return list(read_inventory(connect(endpoint(server), database)))


def test_every_artifact_is_listed_with_its_model_and_version(mysql: Server, registry: str) -> None:
    found = from_server(mysql, registry)
    # Of twenty artifacts in a row one has no URI; these have a data connection and a path instead.
    assert {each.artifact_id for each in found} == set(range(1, 61))
    by_id = {each.artifact_id: each for each in found}
    assert by_id[1].model == "distance-prediction 1"
    assert by_id[1].version == "v1"
    assert by_id[1].type == "kf.ModelArtifact"
    assert by_id[1].state == "UNKNOWN"
    assert by_id[20].uri == ""
    assert (by_id[20].storage_key, by_id[20].storage_path) == ("aws-connection-models", "models/model-20")
    assert by_id[25].type == "kf.DocArtifact"


def test_artifact_without_a_place_is_listed_all_the_same(mysql: Server, registry: str, tmp_path: Path) -> None:
    mysql.execute(f"UPDATE `{registry}`.Artifact SET uri = ELT(id, '', NULL) WHERE id < 3")
    mysql.execute(
        f"DELETE FROM `{registry}`.ArtifactProperty"
        " WHERE (artifact_id = 1 AND name LIKE 'storage%') OR (artifact_id = 2 AND name = 'storage_path')"
    )
    found = from_server(mysql, registry)
    assert {each.artifact_id for each in found} == set(range(1, 61))
    by_id = {each.artifact_id: each for each in found}
    for number in (1, 2):
        each = by_id[number]
        assert locate(each.uri, each.storage_key, each.storage_path) == Malformed(
            "neither a URI nor storage_key and storage_path"
        )
    storage = DirectoryStorage(tmp_path)
    manifest = create_backup(endpoint(mysql), registry, storage, "registry")
    assert list(inventory_of_backup(storage, manifest)) == found


def test_text_is_as_people_wrote_it_whatever_mlmd_made_of_it(mysql: Server, registry: str) -> None:
    found = from_server(mysql, registry)
    assert {each.model.rpartition(" ")[0] for each in found} == set(MODEL_NAMES)
    assert any(each.uri.startswith("s3://models/modèles/été/") for each in found)


def test_archived_models_and_versions_are_marked(mysql: Server, registry: str) -> None:
    by_id = {each.artifact_id: each for each in from_server(mysql, registry)}
    assert [number for number, each in by_id.items() if each.model_state == "ARCHIVED"] == sorted(
        {28, 29, 30, 58, 59, 60}, key=list(by_id).index
    )
    assert by_id[7].version_state == "ARCHIVED"
    assert by_id[7].archived
    assert not by_id[1].archived


def test_order_is_that_of_the_uris_bytes_up_to_their_query(mysql: Server, registry: str) -> None:
    order = [(each.uri.partition("?")[0], each.artifact_id) for each in from_server(mysql, registry)]
    plain = [each for each in order if each[0].isascii()]
    assert plain == sorted(plain)


def test_backup_tells_the_same_without_a_server(mysql: Server, registry: str, tmp_path: Path) -> None:
    storage = DirectoryStorage(tmp_path)
    manifest = create_backup(endpoint(mysql), registry, storage, "registry")
    assert list(inventory_of_backup(storage, manifest)) == from_server(mysql, registry)
