import subprocess
from collections.abc import Callable
from pathlib import Path

import pymysql
import pytest

from sandbox.mariadb import mydumper
from sandbox.server import OwnServer, Server


def test_is_a_real_mariadb(mariadb: Server) -> None:
    assert "MariaDB" in mariadb.execute("SELECT VERSION()")[0][0]


def test_client_program_of_mariadb_dumps(mariadb: Server, mariadb_database: str) -> None:
    command = [*mariadb.client("mariadb-dump"), mariadb_database]
    assert "-- Dump completed" in subprocess.run(command, check=True, capture_output=True, text=True).stdout


def test_own_mariadb_stops_and_starts_with_its_data(own_mariadb: Callable[..., OwnServer]) -> None:
    server = own_mariadb("--lower-case-table-names=1")
    server.execute("CREATE DATABASE kept", "CREATE TABLE kept.T (id INT)", "INSERT INTO kept.T VALUES (7)")
    server.stop()
    with pytest.raises(pymysql.err.OperationalError):
        server.connect()
    server.start()
    assert server.execute("SELECT id FROM kept.t") == ((7,),)


@pytest.mark.parametrize("source", ["mysql", "mariadb"])
def test_what_mydumper_saves_myloader_loads(
    source: str, request: pytest.FixtureRequest, mariadb: Server, mariadb_database: str, tmp_path: Path
) -> None:
    server: Server = request.getfixturevalue(source)
    name = request.getfixturevalue("database") if server is not mariadb else mariadb_database
    table = f"`{name}`.t"
    server.execute(f"CREATE TABLE {table} (id INT) CHARACTER SET latin1", f"INSERT INTO {table} VALUES (7)")
    dump = [*mydumper(server, "mydumper"), "--database", name, "--outputdir", str(tmp_path / "dump")]
    subprocess.run(dump, check=True)
    load = [*mydumper(mariadb, "myloader"), "--database", mariadb_database, "--directory", str(tmp_path / "dump")]
    subprocess.run([*load, "--overwrite-tables"], check=True)
    assert mariadb.execute(f"SELECT id FROM `{mariadb_database}`.t") == ((7,),)
