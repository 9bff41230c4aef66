"""A small database that takes a while to read, and an empty storage."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from opskit.storage import Storage
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Server
from tests.integration.resilience.running import make_tables
from tests.mysql_wire import MySQLWire, mysql_wire


@pytest.fixture
def tables(mysql: Server, database: str) -> str:
    """The name of a database with one table that is larger than what sockets buffer, and two small ones."""
    make_tables(mysql, database)
    return database


@pytest.fixture
def mariadb_tables(mariadb: Server, mariadb_database: str) -> str:
    """The same on MariaDB."""
    make_tables(mariadb, mariadb_database)
    return mariadb_database


@pytest.fixture
def storage(tmp_path: Path) -> Storage:
    (tmp_path / "backups").mkdir()
    return DirectoryStorage(tmp_path / "backups")


@pytest.fixture
def wire(mysql: Server) -> Iterator[MySQLWire]:
    """The shared MySQL behind a port at which a test can hold what goes over the wire."""
    with mysql_wire(mysql.port) as found:
        yield found
