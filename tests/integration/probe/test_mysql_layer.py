"""Every state of the database layer, produced for real."""

import contextlib
import re
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import trustme

from opskit.mysql.connection import Endpoint
from opskit.probe.result import State
from sandbox.registry import Shape, generate
from sandbox.server import Account, OwnServer, Server
from tests.conftest import accounts
from tests.integration.probe.conftest import MARGIN_SECONDS, Database, fill
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
    assert str(result.hint).startswith("look at the name of the database")
    with accounts(registry.server) as create:
        account: Account = create(f"ALL ON `{registry.name}`.*")
        result = Database(registry.server, "not_there").probed(user=account.user, password=account.password)
    assert result.state is State.CRITICAL
    assert "Access denied" in result.detail
    assert str(result.hint).startswith("the login is right: look at the name of the database")


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


def test_certificate_of_another_authority_is_critical(registry: Database, tmp_path: Path) -> None:
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    endpoint = replace(registry.endpoint(), tls_mode="verify_ca", ca_file=tmp_path / "ca.pem")
    result = registry.probed(endpoint)
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
        result = registry.probed(endpoint)
    assert result.state is State.CRITICAL
    assert words in result.detail


def test_certificate_that_expires_soon_is_a_warning_where_nobody_verifies_it(
    registry: Database, breakable: OwnServer, tmp_path: Path
) -> None:
    authority = Authority.made_in(tmp_path)
    with certified(breakable, authority.issued(days=9.5), authority.file, tmp_path):
        unverified = registry.probed()
        trusted = registry.probed(replace(registry.endpoint(), tls_mode="verify_identity", ca_file=authority.file))
        without = registry.probed(replace(registry.endpoint(), tls_mode="disabled"))
    for result in (unverified, trusted):
        assert (result.state, result.detail) == (State.WARNING, "the certificate is valid for 9 days")
        assert result.runbook == "certificate-expiring"
        assert result.values["certificate_expiry_timestamp_seconds"] > time.time()
    assert without.state is State.OK
    assert "certificate" not in without.detail


@pytest.mark.mariadb
def test_expired_certificate_is_critical_whether_it_is_verified_or_not(
    own_mariadb: Callable[..., OwnServer], tmp_path: Path
) -> None:
    """MariaDB shows a certificate that has expired; MySQL does not take one."""
    authority = Authority.made_in(tmp_path)
    certificate, key = written(authority.issued(days=-1), tmp_path)
    server = own_mariadb(f"--ssl-ca={authority.file}", f"--ssl-cert={certificate}", f"--ssl-key={key}")
    database = fill(server, "registry", Shape(flavour="mlmd", models=1))
    unverified = database.probed(replace(database.endpoint(), tls_mode="required"))
    trusted = database.probed(replace(database.endpoint(), tls_mode="verify_identity", ca_file=authority.file))
    assert unverified.state is trusted.state is State.CRITICAL
    assert re.fullmatch(r"the certificate expired on 20\d\d-\d\d-\d\d", unverified.detail)
    assert "the server's certificate cannot be verified: certificate has expired" in trusted.detail
    assert unverified.runbook == trusted.runbook == "certificate-expiring"


def written(issued: trustme.CA | trustme.LeafCert, folder: Path) -> tuple[Path, Path]:
    """The files of a certificate and of its key."""
    certificate, key = folder / "server.pem", folder / "server.key"
    blobs = [issued.cert_pem] if isinstance(issued, trustme.CA) else issued.cert_chain_pems
    certificate.write_bytes(b"".join(blob.bytes() for blob in blobs))
    issued.private_key_pem.write_to_path(str(key))
    return certificate, key


@contextlib.contextmanager
def certified(
    server: OwnServer, issued: trustme.CA | trustme.LeafCert, authority: Path, folder: Path
) -> Iterator[None]:
    """The server with another certificate."""
    certificate, key = written(issued, folder)
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
        result = registry.probed(endpoint)
    assert result.state is State.OK
    assert "no TLS" in result.detail


@pytest.mark.mariadb
def test_mariadb_and_its_password_plugin(mariadb: Server, mariadb_database: str) -> None:
    with contextlib.closing(mariadb.connect(database=mariadb_database)) as connection:
        generate(connection, Shape(flavour="mlmd", models=1))
    copy = Database(mariadb, mariadb_database)
    with accounts(mariadb) as create:
        account = create(f"ALL ON `{mariadb_database}`.*")
        endpoint = Endpoint(
            mariadb.host, mariadb.port, account.user, account.password, tls_mode="disabled", read_timeout=MARGIN_SECONDS
        )
        own = copy.probed(endpoint)
        plugin = mariadb.execute(f"SELECT plugin FROM mysql.user WHERE user = '{account.user}'")
    endpoint = replace(endpoint, user=mariadb.user, password=mariadb.password)
    root = copy.probed(endpoint)
    assert plugin == (("mysql_native_password",),)
    assert [own.state, root.state] == [State.OK, State.OK]
    assert "MariaDB" in own.detail
    assert "MLMD (RHOAI up to 2.22)" in own.detail
    assert "not a replica" in [finding.detail for finding in root.findings]
