"""One bucket, and the wire on which every request to it is seen."""

import secrets
from collections.abc import Iterator

import pytest

from opskit.storage import Storage
from sandbox.s3 import S3Server
from tests.contract.conftest import open_bucket
from tests.wire import Wire, recorded

PART = 16 * 1024 * 1024


@pytest.fixture(params=["moto", "rclone"])
def server(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def bucket(server: S3Server) -> str:
    return server.make_bucket(f"test-{secrets.token_hex(6)}")


@pytest.fixture
def wire(server: S3Server) -> Iterator[Wire]:
    with recorded(server.service.port) as found:
        yield found


@pytest.fixture
def storage(server: S3Server, bucket: str, wire: Wire) -> Storage:
    """One bucket, reached through the recording server."""
    return open_bucket(server, bucket, endpoint=wire.endpoint)


def content(storage: Storage, key: str) -> bytes:
    return b"".join(storage.get(key))


def keys(storage: Storage) -> list[str]:
    return [each.key for each in storage.list()]
