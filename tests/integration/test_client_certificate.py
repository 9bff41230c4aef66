"""A server that demands the client's certificate."""

import contextlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from opskit.errors import ConfigurationError, DeniedError
from opskit.mysql.connection import Endpoint, connect, execute
from sandbox.server import OwnServer
from tests.endpoints import endpoint


@pytest.fixture
def demanding(own_mysql: Callable[..., OwnServer]) -> Endpoint:
    """A server that generated a certificate for clients, and a user who must show it."""
    server = own_mysql()
    server.execute("CREATE USER shown@'%' IDENTIFIED BY 'word' REQUIRE X509")
    return replace(
        endpoint(server),
        user="shown",
        password="word",
        tls_mode="verify_ca",
        ca_file=server.ca_file,
        certificate_file=server.data / "client-cert.pem",
        key_file=server.data / "client-key.pem",
    )


def encrypted(key_file: Path, target: Path) -> Path:
    """Write the same key behind a password."""
    key = serialization.load_pem_private_key(key_file.read_bytes(), None)
    form = serialization.PrivateFormat.PKCS8
    secret = serialization.BestAvailableEncryption(b"secret")
    target.write_bytes(key.private_bytes(serialization.Encoding.PEM, form, secret))
    return target


def test_certificate_is_shown_verified_or_not_and_nobody_else_gets_in(demanding: Endpoint) -> None:
    for shown in (demanding, replace(demanding, tls_mode="required", ca_file=None)):
        with contextlib.closing(connect(shown)) as connection:
            assert execute(connection, "SELECT SUBSTRING_INDEX(CURRENT_USER(), '@', 1)") == [("shown",)]
    with pytest.raises(DeniedError):
        connect(replace(demanding, certificate_file=None, key_file=None))


def test_key_that_does_not_serve_is_a_wrong_configuration_and_nobody_is_asked_for_its_password(
    demanding: Endpoint, tmp_path: Path
) -> None:
    assert demanding.key_file is not None
    empty = tmp_path / "empty.key"
    empty.touch()
    for key_file in (encrypted(demanding.key_file, tmp_path / "encrypted.key"), empty, tmp_path / "none.key"):
        with pytest.raises(ConfigurationError, match="client certificate"):
            connect(replace(demanding, key_file=key_file))
