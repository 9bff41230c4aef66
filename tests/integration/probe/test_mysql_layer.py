"""Every state of the database layer, produced for real."""

import contextlib
import re
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from opskit.mysql.connection import Endpoint
from opskit.probe.mysql import check
from opskit.probe.result import State
from sandbox.mysql import mysql_server
from sandbox.registry import Shape, generate
from sandbox.server import Account, OwnServer, Server
from tests.conftest import accounts, skipped_unless_had
from tests.integration.probe.conftest import MARGIN_SECONDS, SMALL, Database, fill, result_of
from tests.integration.probe.http_servers import Authority

pytestmark = pytest.mark.mysql


def test_registry_that_works_is_ok_and_says_what_it_is(registry: Database) -> None:
    result = registry.probed()
    assert result.state is State.OK
    assert "EmbedMD" in result.detail
    assert "migration 21" in result.detail
    assert "TLSv1." in result.detail
    assert result.values["schema_dirty"] == 0
    assert result.values["mysql_connections"] >= 1
    assert result.hint is result.runbook is None


def test_mlmd_registry_is_told_apart(breakable: OwnServer) -> None:
    database = fill(breakable, "older", Shape(flavour="mlmd", models=1))
    assert "MLMD (RHOAI up to 2.22)" in database.probed().detail
    breakable.execute("DROP DATABASE older")


def test_registry_s_own_user_suffices(registry: Database) -> None:
    with accounts(registry.server) as create:
        account: Account = create(f"ALL ON `{registry.name}`.*")
        result = registry.probed(user=account.user, password=account.password)
    assert result.state is State.OK
    refused = [finding for finding in result.findings if "REPLICATION CLIENT" in finding.detail]
    assert [finding.state for finding in refused] == [State.NOT_APPLICABLE]


def test_stopped_server_is_critical(registry: Database, breakable: OwnServer) -> None:
    breakable.stop()
    try:
        result = registry.probed()
    finally:
        breakable.start()
    assert result.state is State.CRITICAL
    assert "refused" in result.detail
    assert result.runbook == "registry-down"


def test_paused_server_is_critical_at_the_deadline(registry: Database, breakable: OwnServer) -> None:
    breakable.pause()
    started = time.monotonic()
    try:
        result = registry.probed(deadline=0.5)
    finally:
        breakable.resume()
    assert result.state is State.CRITICAL
    assert result.detail == "no answer within 0.5 s"
    assert time.monotonic() - started < 20


def test_wrong_password_is_critical_and_not_shown(registry: Database) -> None:
    result = registry.probed(password="never-to-be-seen")
    assert result.state is State.CRITICAL
    assert "Access denied" in result.detail
    assert "never-to-be-seen" not in repr(result)


def test_missing_database_is_critical(registry: Database) -> None:
    result = Database(registry.server, "not_there").probed()
    assert result.state is State.CRITICAL
    assert "not_there" in result.detail


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE schema_migrations SET dirty = 1", "the schema is dirty: migration 21"),
        ("INSERT INTO MLMDEnv VALUES (9)", "MLMDEnv has 2 rows"),
        ("DELETE FROM MLMDEnv", "MLMDEnv has 0 rows"),
        ("DROP TABLE EventPath, Attribution", "tables are missing: Attribution, EventPath"),
    ],
)
def test_damaged_schema_is_critical(registry: Database, statement: str, words: str) -> None:
    registry.execute(statement)
    result = registry.probed()
    assert result.state is State.CRITICAL
    assert words in result.detail
    assert result.runbook == "schema-dirty"
    assert result.values["schema_dirty"] == float("dirty" in words)


def test_database_without_a_registry_is_critical(breakable: OwnServer) -> None:
    breakable.execute("CREATE DATABASE blank")
    result = Database(breakable, "blank").probed()
    breakable.execute("DROP DATABASE blank")
    assert result.state is State.CRITICAL
    assert "holds no Model Registry" in result.detail


def test_read_only_server_is_critical(registry: Database, breakable: OwnServer) -> None:
    breakable.execute("SET GLOBAL super_read_only = 1")
    result = registry.probed()
    breakable.execute("SET GLOBAL super_read_only = 0, GLOBAL read_only = 0")
    assert result.state is State.CRITICAL
    assert "read-only" in result.detail


def test_connections_that_run_out_are_a_warning(registry: Database, breakable: OwnServer) -> None:
    limit = breakable.execute("SELECT @@global.max_connections")[0][0]
    breakable.execute("SET GLOBAL max_connections = 5")
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            stack.enter_context(contextlib.closing(breakable.connect()))
        result = registry.probed()
    breakable.execute(f"SET GLOBAL max_connections = {limit}")
    assert result.state is State.WARNING
    assert "of 5 connections used" in result.detail


@pytest.fixture(scope="module")
def replica(breakable: OwnServer) -> Iterator[OwnServer]:
    """A second MySQL that replicates from the first."""
    with contextlib.ExitStack() as stack:
        with skipped_unless_had("mysql"):
            server = stack.enter_context(mysql_server(["--server-id=2"]))
        server.execute(
            f"CHANGE REPLICATION SOURCE TO SOURCE_HOST='{breakable.host}', SOURCE_PORT={breakable.port},"
            f" SOURCE_USER='{breakable.user}', SOURCE_PASSWORD='{breakable.password}',"
            " SOURCE_AUTO_POSITION=1, GET_SOURCE_PUBLIC_KEY=1, SOURCE_CONNECT_RETRY=1",
            "START REPLICA",
        )
        yield server


def replicated(replica: Server, name: str) -> Database:
    """Return the copy of a database once it has arrived."""
    deadline = time.monotonic() + 60
    while not replica.execute(
        f"SELECT 1 FROM information_schema.tables WHERE table_schema = '{name}' AND table_name = 'marker'"
    ):
        assert time.monotonic() < deadline, replica.execute("SHOW REPLICA STATUS")
        time.sleep(0.05)
    return Database(replica, name)


def test_replica_that_runs_tells_its_lag(breakable: OwnServer, replica: OwnServer) -> None:
    fill(breakable, "followed", SMALL).execute("CREATE TABLE marker (id INT PRIMARY KEY)")
    result = replicated(replica, "followed").probed()
    breakable.execute("DROP DATABASE followed")
    assert result.state is State.OK
    assert re.search(r"replication is \d+ s behind", result.detail)
    assert result.values["mysql_replication_lag_seconds"] >= 0


def test_replica_that_is_behind_is_a_warning(breakable: OwnServer, replica: OwnServer) -> None:
    source = fill(breakable, "late", SMALL)
    source.execute("CREATE TABLE marker (id INT PRIMARY KEY)")
    copy = replicated(replica, "late")
    with contextlib.closing(replica.connect(database="late")) as blocker, blocker.cursor() as cursor:
        cursor.execute("LOCK TABLES marker READ")
        source.execute("INSERT INTO marker VALUES (1)")
        deadline = time.monotonic() + 60
        while (result := copy.probed(max_lag_seconds=0)).state is State.OK and time.monotonic() < deadline:
            time.sleep(0.1)
    breakable.execute("DROP DATABASE late")
    assert result.state is State.WARNING
    assert "s behind" in result.detail


def test_replica_whose_applier_stopped_is_critical(breakable: OwnServer, replica: OwnServer) -> None:
    fill(breakable, "stuck", SMALL).execute("CREATE TABLE marker (id INT PRIMARY KEY)")
    copy = replicated(replica, "stuck")
    replica.execute("STOP REPLICA SQL_THREAD")
    result = copy.probed()
    replica.execute("START REPLICA SQL_THREAD")
    breakable.execute("DROP DATABASE stuck")
    assert result.state is State.CRITICAL
    assert "replication stopped: receiver Yes, applier No" in result.detail


def test_certificate_of_another_authority_is_critical(registry: Database, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    endpoint = replace(registry.endpoint(), tls_mode="verify_ca", ca_file=tmp_path / "ca.pem")
    result = result_of(lambda: check(endpoint, registry.name, replica_max_lag_seconds=60))
    assert result.state is State.CRITICAL
    assert "certificate cannot be verified" in result.detail


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("self-signed", "self-signed certificate"),
        ("wrong name", "IP address mismatch"),
    ],
)
def test_certificate_that_cannot_be_trusted_is_critical(
    registry: Database, breakable: OwnServer, tmp_path: Path, kind: str, words: str
) -> None:
    authority = Authority.made_in(tmp_path)
    issued: dict[str, trustme.CA | trustme.LeafCert] = {
        "self-signed": trustme.CA(),
        "wrong name": authority.issued("registry.example.com"),
    }
    with certified(breakable, issued[kind], authority.file, tmp_path):
        endpoint = replace(registry.endpoint(), tls_mode="verify_identity", ca_file=authority.file)
        result = result_of(lambda: check(endpoint, registry.name, replica_max_lag_seconds=60))
    assert result.state is State.CRITICAL
    assert words in result.detail


@contextlib.contextmanager
def certified(
    server: OwnServer, issued: trustme.CA | trustme.LeafCert, authority: Path, folder: Path
) -> Iterator[None]:
    """The server with another certificate."""
    certificate, key = folder / "server.pem", folder / "server.key"
    blobs = [issued.cert_pem] if isinstance(issued, trustme.CA) else issued.cert_chain_pems
    certificate.write_bytes(b"".join(blob.bytes() for blob in blobs))
    issued.private_key_pem.write_to_path(str(key))
    before = server.execute("SELECT @@global.ssl_ca, @@global.ssl_cert, @@global.ssl_key")[0]
    try:
        # MySQL takes no certificate that its own CA did not sign, or that has expired.
        server.execute(*_tls_statements(authority, certificate, key))
        yield
    finally:
        server.execute(*_tls_statements(*before))


def _tls_statements(authority: object, certificate: object, key: object) -> list[str]:
    return [
        f"SET GLOBAL ssl_ca = '{authority}'",
        f"SET GLOBAL ssl_cert = '{certificate}'",
        f"SET GLOBAL ssl_key = '{key}'",
        "ALTER INSTANCE RELOAD TLS",
    ]


def test_password_is_taken_without_tls_too(registry: Database) -> None:
    """caching_sha2_password then encrypts it with the server's key, at the first login of a user."""
    with accounts(registry.server) as create:
        account = create(f"ALL ON `{registry.name}`.*")
        endpoint = replace(registry.endpoint(user=account.user, password=account.password), tls_mode="disabled")
        result = result_of(lambda: check(endpoint, registry.name, replica_max_lag_seconds=60))
    assert result.state is State.OK
    assert "no TLS" in result.detail


@pytest.mark.mariadb
def test_mariadb_and_its_password_plugin(mariadb: Server, mariadb_database: str) -> None:
    with contextlib.closing(mariadb.connect(database=mariadb_database)) as connection:
        generate(connection, Shape(flavour="mlmd", models=1))
    with accounts(mariadb) as create:
        account = create(f"ALL ON `{mariadb_database}`.*")
        endpoint = Endpoint(
            mariadb.host, mariadb.port, account.user, account.password, tls_mode="disabled", read_timeout=MARGIN_SECONDS
        )
        own = result_of(lambda: check(endpoint, mariadb_database, replica_max_lag_seconds=60))
        plugin = mariadb.execute(f"SELECT plugin FROM mysql.user WHERE user = '{account.user}'")
    endpoint = replace(endpoint, user=mariadb.user, password=mariadb.password)
    root = result_of(lambda: check(endpoint, mariadb_database, replica_max_lag_seconds=60))
    assert plugin == (("mysql_native_password",),)
    assert [own.state, root.state] == [State.OK, State.OK]
    assert "MariaDB" in own.detail
    assert "MLMD (RHOAI up to 2.22)" in own.detail
    assert "not a replica" in [finding.detail for finding in root.findings]
