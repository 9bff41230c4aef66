"""What the database layer says of a replica: real pairs of servers, of both products."""

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest

from opskit.mysql.replication import Replica, read_replicas
from opskit.probe.result import State
from sandbox.mariadb import mariadb_server
from sandbox.mysql import mysql_server
from sandbox.registry import Shape
from sandbox.server import OwnServer, Server
from tests.conftest import skipped_unless_had
from tests.integration.probe.conftest import Database, fill
from tests.mysql_wire import mysql_wire
from tests.waiting import eventually

MLMD = Shape(flavour="mlmd", models=1, versions_per_model=1)
# A channel that has a name: plain SHOW SLAVE STATUS does not tell of it.
CHANNEL = "site_a"


@dataclass(frozen=True)
class Pair:
    """A replica and the source that it follows; `words` name the replica to START and STOP."""

    source: OwnServer
    replica: OwnServer
    words: str
    name: str = "replication"

    def filled(self, name: str) -> Database:
        """The copy of a registry, once it has arrived."""
        fill(self.source, name, MLMD).execute("CREATE TABLE marker (id INT PRIMARY KEY)")
        eventually(lambda: _has_marker(self.replica, name), "the registry has arrived")
        return Database(self.replica, name)


def _has_marker(server: Server, database: str) -> object:
    return server.execute(
        f"SELECT 1 FROM information_schema.tables WHERE table_schema = '{database}' AND table_name = 'marker'"
    )


def followed_by_mysql(source: OwnServer, replica: OwnServer) -> Pair:
    replica.execute(
        f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='{source.host}', SOURCE_PORT={source.port},"
        f" SOURCE_USER='{source.user}', SOURCE_PASSWORD='{source.password}',"
        " SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1",
        "START REPLICA",
    )
    return Pair(source, replica, "REPLICA")


def followed_by_mariadb(source: OwnServer, replica: OwnServer, channel: str = CHANNEL) -> Pair:
    named = f" '{channel}'" if channel else ""
    replica.execute(
        f"CHANGE MASTER{named} TO MASTER_HOST='{source.host}', MASTER_PORT={source.port},"
        f" MASTER_USER='{source.user}', MASTER_PASSWORD='{source.password}',"
        " MASTER_USE_GTID=slave_pos, MASTER_CONNECT_RETRY=1",
        f"START SLAVE{named}",
    )
    return Pair(source, replica, f"SLAVE{named}", f"replication ({channel})")


@pytest.fixture(
    scope="module",
    params=[pytest.param("MySQL", marks=pytest.mark.mysql), pytest.param("MariaDB", marks=pytest.mark.mariadb)],
)
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    with contextlib.ExitStack() as stack:
        if request.param == "MySQL":
            source: OwnServer = request.getfixturevalue("breakable")
            with skipped_unless_had("mysql"):
                replica = stack.enter_context(mysql_server(["--server-id=2"]))
            yield followed_by_mysql(source, replica)
        else:
            with skipped_unless_had("mariadb"):
                source, replica = (
                    stack.enter_context(mariadb_server([f"--server-id={number}", "--log-bin=binlog"]))
                    for number in (1, 2)
                )
            yield followed_by_mariadb(source, replica)


@pytest.fixture
def copy(pair: Pair) -> Iterator[Database]:
    yield pair.filled("followed")
    pair.source.execute("DROP DATABASE followed")
    eventually(lambda: not pair.replica.execute("SHOW DATABASES LIKE 'followed'"), "the copy is gone")


def probed(database: Database, *, max_lag_seconds: float = 60) -> tuple[State, str, dict[str, float]]:
    endpoint = replace(database.endpoint(), tls_mode="disabled")
    result = database.probed(endpoint, max_lag_seconds=max_lag_seconds)
    return result.state, result.detail, result.values


def test_replica_that_runs_tells_its_lag(pair: Pair, copy: Database) -> None:
    state, detail, values = probed(copy)
    assert state is State.OK
    assert re.search(rf"{re.escape(pair.name)} is \d+ s behind", detail)
    assert values["mysql_replication_lag_seconds"] >= 0


def test_replica_that_is_behind_is_a_warning(pair: Pair, copy: Database) -> None:
    with contextlib.closing(pair.replica.connect(database="followed")) as blocker, blocker.cursor() as cursor:
        cursor.execute("LOCK TABLES marker READ")
        pair.source.execute("INSERT INTO followed.marker VALUES (1)")
        state, detail, values = eventually(
            lambda: found if (found := probed(copy, max_lag_seconds=0))[0] is not State.OK else None, "the lag is seen"
        )
    assert state is State.WARNING
    assert "s behind" in detail
    assert values["mysql_replication_lag_seconds"] > 0


@pytest.mark.parametrize(
    ("thread", "words"),
    [("IO_THREAD", "stopped: receiver No, applier Yes"), ("SQL_THREAD", "stopped: receiver Yes, applier No")],
)
def test_replica_with_a_stopped_thread_is_critical(pair: Pair, copy: Database, thread: str, words: str) -> None:
    pair.replica.execute(f"STOP {pair.words} {thread}")
    try:
        state, detail, values = probed(copy)
    finally:
        pair.replica.execute(f"START {pair.words}")
    assert (state, detail) == (State.CRITICAL, f"{pair.name} {words}")
    assert "mysql_replication_lag_seconds" not in values


@pytest.mark.mysql
def test_lag_that_the_server_does_not_know_is_a_warning_and_no_number(breakable: OwnServer) -> None:
    """A server says NULL for a moment only; here a real one is made to say it over the true protocol."""
    database = fill(breakable, "unsure", MLMD)
    with mysql_wire(breakable.port) as wire:
        wire.replace(
            "SHOW REPLICA STATUS",
            "SELECT '' AS Channel_Name, 'Yes' AS Replica_IO_Running, 'Yes' AS Replica_SQL_Running,"
            " NULL AS Seconds_Behind_Source, 0 AS Last_IO_Errno, 0 AS Last_SQL_Errno",
        )
        result = database.probed(replace(database.endpoint(), port=wire.port, tls_mode="disabled"))
    breakable.execute("DROP DATABASE unsure")
    assert (result.state, result.detail) == (State.WARNING, "replication is running, how far behind is not known")
    assert "mysql_replication_lag_seconds" not in result.values


@pytest.mark.mariadb
def test_server_from_before_the_new_words_is_understood(own_mariadb: Callable[..., OwnServer]) -> None:
    """A MariaDB that calls itself MySQL 8.0.21 is asked SHOW SLAVE STATUS, and answers with the old names."""
    source, old = own_mariadb("--server-id=1", "--log-bin=binlog"), own_mariadb("--server-id=2", "--version=8.0.21")
    with contextlib.closing(old.connect()) as connection:
        assert read_replicas(connection) == []
        pair = followed_by_mariadb(source, old, channel="")
        runs = eventually(lambda: [each for each in read_replicas(connection) if each.running], "it runs")
        assert (runs[0].channel, runs[0].error_number) == ("", 0)
        old.execute(f"STOP {pair.words} IO_THREAD")
        assert read_replicas(connection) == [Replica("", "No", "Yes", None, 0)]
