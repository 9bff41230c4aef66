"""A small registry on a real server, and a backup of it."""

from pathlib import Path

import pytest

from opskit.backup.create import Options, create_backup
from opskit.backup.manifest import Manifest
from opskit.mysql.connection import Endpoint
from opskit.storage.directory import DirectoryStorage
from sandbox.registry import Shape, generate
from sandbox.server import Server
from tests.endpoints import endpoint

REGISTRY = "distance-prediction"


@pytest.fixture
def source(mysql: Server, database: str) -> Endpoint:
    """The server that has the live registry in `database`."""
    with mysql.connect(database=database) as connection:
        generate(connection, Shape("embedmd", models=3))
    return endpoint(mysql)


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path / "backups")


@pytest.fixture
def manifest(source: Endpoint, database: str, storage: DirectoryStorage) -> Manifest:
    """A backup of the live registry."""
    return create_backup(source, database, storage, REGISTRY, Options(workers=2))
