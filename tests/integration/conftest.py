"""What several modules look at, made once."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opskit.mysql.connection import Endpoint
from opskit.storage.directory import DirectoryStorage
from sandbox.registry import Shape, generate
from sandbox.server import Server
from tests.conftest import fresh_database
from tests.endpoints import endpoint
from tests.integration.fidelity import programs
from tests.integration.fidelity.filling import fill
from tests.integration.fidelity.trip import EVERYTHING, Trip, round_trip


@pytest.fixture
def registry(mysql: Server, database: str) -> str:
    """The fresh database, with a small registry in it."""
    with mysql.connect(database=database) as connection:
        generate(connection, Shape("embedmd", models=3))
    return database


@pytest.fixture
def source(mysql: Server, registry: str) -> Endpoint:
    """The server that has the live registry in `database`."""
    del registry
    return endpoint(mysql)


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path / "backups")


@pytest.fixture(
    scope="session",
    params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("mysql", "mariadb")],
)
def everything(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trip]:
    """A database with a column of every type, every kind of key, constraint and program, saved and restored."""
    server: Server = request.getfixturevalue(request.param)
    with fresh_database(server) as source:
        fill(server, source, EVERYTHING[server.product], programs.STATEMENTS)
        with round_trip(server, source, tmp_path_factory.mktemp("backups")) as trip:
            yield trip
