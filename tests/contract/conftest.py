"""Each kind of storage, empty, for the one suite that all of them must pass."""

import secrets
import sysconfig
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from opskit.storage import Storage
from opskit.storage.directory import DirectoryStorage
from opskit.storage.opening import open_storage
from sandbox.certificate import trusted_certificate
from sandbox.process import Service, answers, scratch
from sandbox.s3 import ACCESS_KEY, SECRET_KEY, S3Server

PREFIX = "back ups/%41+ü"


@dataclass(frozen=True)
class Place:
    """A storage, and what lies in it that is no object: temporary files, parts of unfinished uploads."""

    storage: Storage
    leftovers: Callable[[], list[str]]


@contextmanager
def lasting_rclone(*, tls: bool = False) -> Iterator[S3Server]:
    """Run `rclone serve s3` with its cache of folders: without it (`--dir-cache-time=0s`) 1.75.2 deadlocks
    when the last object of a folder is deleted.
    """
    program = Path(sysconfig.get_path("scripts")) / "rclone"
    with scratch("rclone") as place:
        (place.folder / "buckets").mkdir()
        options = [f"--auth-key={ACCESS_KEY},{SECRET_KEY}", "--config=/dev/null"]
        if tls:
            trusted_certificate(place.folder)
            options += [f"--cert={place.folder / 'server-cert.pem'}", f"--key={place.folder / 'server-key.pem'}"]

        def command(port: int) -> list[str]:
            return [str(program), "serve", "s3", f"--addr=127.0.0.1:{port}", *options, str(place.folder / "buckets")]

        yield S3Server("rclone", Service(place, command, answers), place.folder / "ca.pem" if tls else None)


@pytest.fixture(scope="session")
def rclone() -> Iterator[S3Server]:
    with lasting_rclone() as server:
        yield server


@pytest.fixture(scope="session")
def tls_rclone() -> Iterator[S3Server]:
    with lasting_rclone(tls=True) as server:
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
