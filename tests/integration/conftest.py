"""What several modules look at, made once."""

from collections.abc import Iterator

import pytest

from sandbox.server import Server
from tests.conftest import fresh_database
from tests.integration.fidelity import programs
from tests.integration.fidelity.filling import fill
from tests.integration.fidelity.trip import EVERYTHING, Trip, round_trip


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
