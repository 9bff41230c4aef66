"""Buckets, addresses, credentials and certificates that are not what they should be."""

from collections.abc import Callable
from pathlib import Path

import pytest
import trustme

from opskit.errors import (
    ConfigurationError,
    DeniedError,
    NotFoundError,
    UnavailableError,
)
from opskit.storage import Storage
from opskit.storage.opening import open_storage
from sandbox.process import free_port
from sandbox.s3 import S3Server
from tests.contract.conftest import open_bucket
from tests.contract.s3.conftest import PART, content, keys
from tests.wire import Answer, Wire, answer

pytestmark = pytest.mark.s3


# Buckets and addresses


def test_missing_bucket_is_a_wrong_configuration(server: S3Server) -> None:
    storage = open_bucket(server, "there-is-no-such-bucket")
    calls: list[Callable[[], object]] = [
        lambda: storage.put("key", [b"x"]),
        lambda: storage.put("key", [b"x"], if_absent=True),
        lambda: storage.put("key", [b"x" * (PART + 1)]),
        lambda: content(storage, "key"),
        lambda: storage.stat("key"),
        lambda: keys(storage),
        lambda: storage.delete(["key"]),
    ]
    for call in calls:
        with pytest.raises(ConfigurationError, match="NoSuchBucket") as caught:
            call()
        assert "opskit does not make buckets" in str(caught.value.hint)


def test_missing_object_in_a_bucket_that_may_not_be_asked_for_is_missing(storage: Storage, wire: Wire) -> None:
    wire.answering = lambda request, _: answer(404 if "/key" in request.path else 403)
    with pytest.raises(NotFoundError):
        storage.stat("key")


def test_store_that_does_not_listen_is_unavailable(moto: S3Server) -> None:
    storage = open_bucket(moto, "bucket", endpoint=f"http://127.0.0.1:{free_port()}")
    with pytest.raises(UnavailableError, match="cannot list s3://bucket") as caught:
        keys(storage)
    assert str(caught.value.hint).startswith("look at endpoint_url")


def test_store_that_closes_the_connection_is_unavailable(storage: Storage, wire: Wire) -> None:
    wire.answering = lambda *_: Answer(0, b"", {}, None)
    with pytest.raises(UnavailableError):
        keys(storage)


def test_page_of_something_that_is_no_store_is_unavailable(storage: Storage, wire: Wire) -> None:
    wire.answering = lambda *_: answer(200, "<html><p>Back soon<p></html>")
    with pytest.raises(UnavailableError):
        keys(storage)


# Credentials


def test_wrong_secret_is_denied_and_not_shown(rclone: S3Server, bucket_name: str) -> None:
    rclone.make_bucket(bucket_name)
    wrong = S3Server("rclone", rclone.service, secret_key="wrong-secret-value")
    storage = open_bucket(wrong, bucket_name)
    with pytest.raises(DeniedError, match="SignatureDoesNotMatch") as caught:
        keys(storage)
    assert str(caught.value.hint).startswith("look at the access key and its secret")
    assert "wrong-secret-value" not in f"{caught.value} {caught.value.hint} {storage!r} {vars(storage)!r}"


def test_no_credentials_are_denied(moto: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_PROFILE", "AWS_WEB_IDENTITY_TOKEN_FILE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE"):
        monkeypatch.setenv(name, "/dev/null")
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    storage = open_storage("s3://bucket", endpoint_url=moto.endpoint, path_style=True)
    with pytest.raises(DeniedError, match="Unable to locate credentials") as caught:
        keys(storage)
    assert "AWS_ACCESS_KEY_ID" in str(caught.value.hint)


# TLS


def test_tls_with_the_right_authority_works(tls_rclone: S3Server, bucket_name: str) -> None:
    tls_rclone.make_bucket(bucket_name)
    storage = open_bucket(tls_rclone, bucket_name)
    storage.put("key", [b"x" * (PART + 1)])
    assert len(content(storage, "key")) == PART + 1


@pytest.mark.parametrize("authority", ["the public ones", "another"])
def test_tls_with_another_authority_is_refused(tls_rclone: S3Server, tmp_path: Path, authority: str) -> None:
    another = tmp_path / "ca.pem"
    trustme.CA().cert_pem.write_to_path(str(another))
    stranger = S3Server("rclone", tls_rclone.service, another if authority == "another" else None)
    storage = open_bucket(stranger, "bucket", endpoint=tls_rclone.endpoint)
    with pytest.raises(ConfigurationError, match="CERTIFICATE_VERIFY_FAILED") as caught:
        keys(storage)
    assert "ca_file" in str(caught.value.hint)


def test_tls_to_a_server_without_it_is_refused(moto: S3Server) -> None:
    storage = open_bucket(moto, "bucket", endpoint=moto.endpoint.replace("http:", "https:"))
    with pytest.raises(ConfigurationError):
        keys(storage)


def test_certificate_for_another_name_is_refused(tls_rclone: S3Server) -> None:
    storage = open_bucket(tls_rclone, "bucket", endpoint=tls_rclone.endpoint.replace("127.0.0.1", "127.1"))
    with pytest.raises(ConfigurationError, match=r"hostname .* doesn't match"):
        keys(storage)
