"""What cannot be saved faithfully is refused by name, and no backup is made."""

import select
import socket
import socketserver
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from opskit.backup.create import Options, create_backup
from opskit.backup.layout import DEFINITIONS_MAXIMUM_BYTES
from opskit.errors import ConfigurationError
from opskit.mysql.connection import Endpoint
from opskit.restore.run import restore
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Account, Server
from tests.endpoints import endpoint

ONE_WORKER = Options(workers=1)


def refusal(source: Endpoint, database: str, folder: Path) -> ConfigurationError:
    with pytest.raises(ConfigurationError) as refused:
        create_backup(source, database, DirectoryStorage(folder), "registry", ONE_WORKER)
    assert not list(folder.rglob("manifest.json"))
    return refused.value


@pytest.mark.parametrize(
    ("statement", "named"),
    [
        ("CREATE SEQUENCE numbers", "numbers (SEQUENCE)"),
        ("CREATE TABLE past (a INT) WITH SYSTEM VERSIONING", "past (SYSTEM VERSIONED)"),
        ("CREATE TABLE octets (b BINARY(2) DEFAULT 0xFFFE)", "table 'octets' is not UTF-8"),
        ("CREATE TABLE elsewhere (a INT) DATA DIRECTORY='{folder}'", "table 'elsewhere' cannot be saved"),
        ("CREATE TABLE old (a INT) ENGINE=MyISAM", "old (MyISAM)"),
        ("SET sql_mode=ORACLE; CREATE PACKAGE tools AS FUNCTION f RETURN INT; END", "package 'tools' cannot be saved"),
    ],
)
def test_on_mariadb(mariadb: Server, mariadb_database: str, tmp_path: Path, statement: str, named: str) -> None:
    with mariadb.connect(database=mariadb_database) as connection, connection.cursor() as cursor:
        for each in statement.format(folder=tmp_path).split("; CREATE", 1):
            cursor.execute(each if each.startswith(("CREATE", "SET")) else f"CREATE{each}")
    assert named in refusal(endpoint(mariadb), mariadb_database, tmp_path / "backups").message


@pytest.mark.parametrize(
    ("statements", "named"),
    [
        (
            ["CREATE TABLE gone (a INT)", "CREATE VIEW broken AS SELECT a FROM gone", "DROP TABLE gone"],
            "view 'broken'",
        ),
        (
            [
                "CREATE TABLE kept (a INT, b INT)",
                "CREATE VIEW broken AS SELECT a, b FROM kept",
                "ALTER TABLE kept DROP COLUMN b",
            ],
            "view 'broken'",
        ),
        (["CREATE TABLE old (a INT) ENGINE=MyISAM"], "old (MyISAM)"),
        (["CREATE TABLE computed (a INT AS (1) STORED)", "INSERT INTO computed VALUES ()"], "table 'computed'"),
    ],
)
def test_on_mysql(mysql: Server, database: str, tmp_path: Path, statements: list[str], named: str) -> None:
    mysql.execute(f"USE `{database}`", *statements)
    assert named in refusal(endpoint(mysql), database, tmp_path).message


def test_a_foreign_key_into_another_database(mysql: Server, database: str, tmp_path: Path) -> None:
    other = f"{database}_opskit_other"  # the fixture drops it, too
    mysql.execute(
        f"CREATE DATABASE `{other}`",
        f"CREATE TABLE `{other}`.parent (id INT PRIMARY KEY)",
        f"CREATE TABLE `{database}`.child (id INT REFERENCES `{other}`.parent (id))",
    )
    message = refusal(endpoint(mysql), database, tmp_path).message
    assert "'child'" in message
    assert repr(other) in message
    mysql.execute(f"DROP DATABASE `{database}`", f"CREATE DATABASE `{database}`")


def test_a_routine_whose_body_the_user_may_not_see(
    mysql: Server, database: str, mysql_user: Callable[..., Account], tmp_path: Path
) -> None:
    mysql.execute(f"USE `{database}`", "CREATE TABLE t (a INT)", "CREATE PROCEDURE secret_body() SELECT 1")
    account = mysql_user(f"SELECT, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT, EXECUTE ON `{database}`.*")
    source = endpoint(mysql, account)
    refused = refusal(source, database, tmp_path)
    assert "procedure 'secret_body'" in refused.message
    assert "SHOW_ROUTINE" in str(refused.hint)
    assert "--skip-routines" in str(refused.hint)

    told = create_backup(source, database, DirectoryStorage(tmp_path), "registry", Options(skip_routines=True))
    assert told.programs == ()
    assert [each for each in told.warnings if "routines were left out" in each]


def test_more_definitions_than_a_restore_reads(mysql: Server, database: str, tmp_path: Path) -> None:
    text = "x" * (DEFINITIONS_MAXIMUM_BYTES // 2)
    mysql.execute(f"USE `{database}`", *(f"CREATE PROCEDURE {name}() SELECT '{text}'" for name in ("one", "other")))
    message = refusal(endpoint(mysql), database, tmp_path).message
    assert "schema-post" in message
    assert "more than a restore reads" in message


def test_longest_statement_may_be_a_definition(mysql: Server, database: str, tmp_path: Path) -> None:
    comment = "x" * 1024
    mysql.execute(f"CREATE TABLE `{database}`.t ({', '.join(f'c{n} INT COMMENT {comment!r}' for n in range(9))})")
    manifest = create_backup(endpoint(mysql), database, DirectoryStorage(tmp_path), "registry", ONE_WORKER)
    assert manifest.largest_statement > 9 * len(comment)


@contextmanager
def claiming(server: Server, version: str) -> Iterator[Endpoint]:
    """Pass everything on to a server, but for the version in its greeting."""

    class Greeter(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            with socket.create_connection((server.host, server.port)) as upstream:
                self.request.sendall(_claimed(upstream, version))
                other = {self.request: upstream, upstream: self.request}
                while True:
                    for ready in select.select(list(other), [], [])[0]:
                        data = ready.recv(65536)
                        if not data:
                            return
                        other[ready].sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Greeter) as proxy:
        thread = threading.Thread(target=proxy.serve_forever)
        thread.start()
        yield replace(endpoint(server), port=proxy.server_address[1])
        proxy.shutdown()
        thread.join()


def _claimed(upstream: socket.socket, version: str) -> bytes:
    with upstream.makefile("rb", buffering=0) as greeting:
        header = greeting.read(4) or b""
        payload = greeting.read(int.from_bytes(header[:3], "little")) or b""
    # Protocol::HandshakeV10: a version of the protocol, then the server's own, ended by a zero byte.
    changed = payload[:1] + version.encode() + payload[payload.index(b"\0") :]
    return len(changed).to_bytes(3, "little") + header[3:] + changed


def test_mysql_before_8_0_17_is_refused_to_save_and_to_restore(mysql: Server, database: str, tmp_path: Path) -> None:
    storage = DirectoryStorage(tmp_path)
    mysql.execute(f"CREATE TABLE `{database}`.t (f FLOAT)")
    with claiming(mysql, "8.0.16") as older, claiming(mysql, "8.0.17") as oldest:
        assert "MySQL 8.0.16 is not supported" in refusal(older, database, tmp_path).message
        manifest = create_backup(oldest, database, storage, "registry", ONE_WORKER)
        with pytest.raises(ConfigurationError, match=r"MySQL 8\.0\.16 is not supported"):
            restore(older, storage, manifest)
