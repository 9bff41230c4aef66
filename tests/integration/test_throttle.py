"""A backup that gives way to load: what pauses it, what lets it go on, and that it never pauses for long."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pymysql
import pytest

from opskit.backup.create import Options, create_backup
from opskit.backup.throttle import Throttle
from opskit.mysql.connection import Connection, connect
from opskit.storage.directory import DirectoryStorage
from sandbox.registry import Shape, generate
from sandbox.server import Account, OwnServer, Server
from tests.endpoints import endpoint
from tests.waiting import eventually

BUSY = 6


@contextmanager
def load(server: Server, sessions: int) -> Iterator[None]:
    """Keep so many sessions at work until the block ends."""
    connections = [server.connect() for _ in range(sessions)]

    def work(connection: "pymysql.Connection[pymysql.cursors.Cursor]") -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT SLEEP(300)")

    threads = [threading.Thread(target=work, args=(each,)) for each in connections]
    for thread in threads:
        thread.start()
    try:
        eventually(lambda: running(server) == sessions, "every session is at work")
        yield
    finally:
        server.execute(*(f"KILL QUERY {each.thread_id()}" for each in connections))
        for thread in threads:
            thread.join()


def running(server: Server) -> int:
    return len(server.execute("SELECT 1 FROM information_schema.processlist WHERE state = 'User sleep'"))


@pytest.fixture
def server(own_mysql: Callable[..., OwnServer]) -> OwnServer:
    """A server of its own: other tests would be load."""
    return own_mysql()


@pytest.fixture
def connection(server: OwnServer) -> Connection:
    return connect(endpoint(server))


def test_workers_pause_under_load_and_go_on_after_it(server: OwnServer, connection: Connection) -> None:
    throttle = Throttle(connection, own=0, max_load=BUSY - 1)
    throttle.look()
    assert not throttle.paused
    with load(server, BUSY):
        throttle.look()
        assert throttle.paused
    throttle.look()
    assert not throttle.paused
    assert throttle.warnings == []


def test_sessions_of_the_backup_itself_are_no_load(server: OwnServer, connection: Connection) -> None:
    throttle = Throttle(connection, own=BUSY, max_load=1)
    with load(server, BUSY):
        throttle.look()
    assert not throttle.paused


def test_pauses_end_when_the_longest_is_over_and_do_not_come_back(server: OwnServer, connection: Connection) -> None:
    throttle = Throttle(connection, own=0, max_load=1, longest_pause_seconds=0.05)
    with load(server, BUSY):
        throttle.look()
        assert throttle.paused
        throttle.wait()  # nobody looks: it returns by itself
        throttle.look()
        throttle.look()
        assert not throttle.paused
    assert len(throttle.warnings) == 1


def test_without_a_limit_the_server_is_not_asked(connection: Connection) -> None:
    connection.close()
    throttle = Throttle(connection, own=0)
    throttle.look()
    assert not throttle.paused


def test_lag_is_not_looked_at_without_the_privilege(server: OwnServer) -> None:
    server.execute("CREATE USER reader@'%' IDENTIFIED BY 'reader'")
    throttle = Throttle(connect(endpoint(server, Account("reader", "reader"))), own=0, max_lag_seconds=1)
    throttle.look()
    throttle.look()
    assert not throttle.paused
    assert "REPLICATION CLIENT" in throttle.warnings[0]
    assert len(throttle.warnings) == 1


def test_backup_under_load_is_complete(server: OwnServer, tmp_path: Path) -> None:
    server.execute("CREATE DATABASE registry")
    with server.connect(database="registry") as connection:
        generate(connection, Shape("embedmd", models=10))
    with load(server, BUSY):
        manifest = create_backup(
            endpoint(server), "registry", DirectoryStorage(tmp_path), "registry", Options(max_load=1)
        )
    assert manifest.rows > 0
