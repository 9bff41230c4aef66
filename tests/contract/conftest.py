"""Each kind of storage, empty, for the one suite that all of them must pass."""

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from opskit.storage import Storage
from opskit.storage.directory import DirectoryStorage
from opskit.storage.opening import open_storage
from sandbox.s3 import S3Server, rclone_server
from tests.conftest import skipped_unless_had

PREFIX = "back ups/%41+ü"


@dataclass(frozen=True)
class Place:
    """A storage, and what lies in it that is no object: temporary files, parts of unfinished uploads."""

    storage: Storage
    leftovers: Callable[[], list[str]]


# rclone's own default: the shorter, the nearer to the deadlock of which `rclone_server` tells.
FOLDERS_CACHED = "5m"


@pytest.fixture(scope="session")
def rclone() -> Iterator[S3Server]:
    with skipped_unless_had("s3"), rclone_server(folders_cached=FOLDERS_CACHED) as server:
        yield server


@pytest.fixture(scope="session")
def tls_rclone() -> Iterator[S3Server]:
    with skipped_unless_had("s3"), rclone_server(tls=True, folders_cached=FOLDERS_CACHED) as server:
        yield server


def open_bucket(
    server: S3Server, bucket: str, prefix: str = PREFIX, *, endpoint: str | None = None, max_attempts: int = 1
) -> Storage:
    """Open a bucket with the server's credentials in the environment; one attempt, so that errors are quick."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in server.environment.items():
            patch.setenv(name, value)
        return open_storage(
            f"s3://{bucket}/{prefix}",
            endpoint_url=endpoint or server.endpoint,
            ca_file=server.ca_file,
            path_style=True,
            max_attempts=max_attempts,
        )


def place_in(server: S3Server, prefix: str = PREFIX) -> Place:
    bucket = server.make_bucket(f"test-{secrets.token_hex(6)}")

    def leftovers() -> list[str]:
        client = server.client()
        try:
            return [each["Key"] for each in client.list_multipart_uploads(Bucket=bucket).get("Uploads", ())]
        except client.exceptions.NoSuchUpload:  # rclone's way to say that there are none
            return []

    # rclone answers 500 now and then where several write the first objects of a folder at once (2 of 4,800, measured).
    return Place(open_bucket(server, bucket, prefix, max_attempts=3), leftovers)


def place_below(folder: Path) -> Place:
    root = folder / "opskit backups"

    def leftovers() -> list[str]:
        return [str(each) for each in root.rglob("*") if not each.is_dir() and ".opskit-uploads" in each.parts]

    return Place(open_storage(str(root)), leftovers)


KINDS = ["directory", pytest.param("moto", marks=pytest.mark.s3), pytest.param("rclone", marks=pytest.mark.s3)]


def make_place(kind: str, request: pytest.FixtureRequest, folder: Path) -> Place:
    return place_below(folder) if kind == "directory" else place_in(request.getfixturevalue(kind))


@pytest.fixture(params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return make_place(request.param, request, tmp_path)


@pytest.fixture
def storage(place: Place) -> Storage:
    return place.storage


@pytest.fixture
def directory(tmp_path: Path) -> Storage:
    """The simplest of them, not made yet."""
    return DirectoryStorage(tmp_path / "backups")
