"""The manifest is put last, and whatever becomes of the answer, the truth is found out."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from urllib.parse import unquote

import pytest

from opskit.backup.catalog import find
from opskit.backup.check import check_backup
from opskit.backup.commit import commit
from opskit.backup.create import create_backup
from opskit.backup.layout import MANIFEST_MAXIMUM_BYTES
from opskit.backup.manifest import Manifest
from opskit.errors import ConfigurationError, CorruptError, OpskitError, RefusedError, UnavailableError
from opskit.mysql.connection import connect
from opskit.mysql.lease import Lease
from opskit.storage import Storage
from opskit.storage.opening import open_storage
from sandbox.s3 import S3Server
from sandbox.server import Server
from tests.contract.conftest import open_bucket
from tests.endpoints import endpoint
from tests.faulty import FaultyStorage
from tests.integration.resilience.running import REGISTRY, manifests
from tests.wire import Answer, Request, Upstream, Wire, recorded, refused

pytestmark = [pytest.mark.mysql, pytest.mark.s3]


@pytest.fixture
def small(mysql: Server, database: str) -> str:
    mysql.execute(f"CREATE TABLE `{database}`.t (id INT PRIMARY KEY)", f"INSERT INTO `{database}`.t VALUES (1), (2)")
    return database


@pytest.fixture
def directory(tmp_path: Path) -> Storage:
    return open_storage(str(tmp_path / "backups"))


@pytest.fixture(params=["moto", "rclone"])
def s3(request: pytest.FixtureRequest) -> S3Server:
    found: S3Server = request.getfixturevalue(request.param)
    return found


@pytest.fixture
def http(s3: S3Server) -> Iterator[Wire]:
    with recorded(s3.service.port) as wire:
        yield wire


@pytest.fixture
def bucket(s3: S3Server, http: Wire, bucket_name: str) -> Storage:
    """A bucket through the recording server, with one more attempt after a failed request."""
    s3.make_bucket(bucket_name)
    return open_bucket(s3, bucket_name, endpoint=http.endpoint, max_attempts=2)


def is_manifest(request: Request, method: str) -> bool:
    return request.method == method and request.path.endswith("/manifest.json")


def require_whole(storage: Storage, manifest: Manifest) -> None:
    assert find(storage, REGISTRY, "latest") == manifest
    assert not check_backup(storage, manifest).problems


def test_lost_answer_to_the_manifest_is_a_backup_all_the_same(
    mysql: Server, small: str, bucket: Storage, http: Wire
) -> None:
    """The retry gets 412 from our own write where the store knows conditions, and writes again where not."""
    lost: list[Request] = []

    def lose_first(request: Request, upstream: Upstream) -> Answer | None:
        answered = upstream(request)
        if is_manifest(request, "PUT") and not lost:
            lost.append(request)
            return None
        return answered

    http.answering = lose_first
    manifest = create_backup(endpoint(mysql), small, bucket, REGISTRY)
    assert len([each for each in http.requests if is_manifest(each, "PUT")]) == 2
    require_whole(bucket, manifest)


def test_every_answer_to_the_manifest_lost_is_a_backup_if_it_can_be_read(
    mysql: Server, small: str, bucket: Storage, http: Wire
) -> None:
    def lose(request: Request, upstream: Upstream) -> Answer | None:
        answered = upstream(request)
        return None if is_manifest(request, "PUT") else answered

    http.answering = lose
    manifest = create_backup(endpoint(mysql), small, bucket, REGISTRY)
    require_whole(bucket, manifest)


def test_manifest_that_never_arrived_is_no_backup(mysql: Server, small: str, bucket: Storage, http: Wire) -> None:
    http.answering = lambda request, upstream: None if is_manifest(request, "PUT") else upstream(request)
    with pytest.raises(UnavailableError):
        create_backup(endpoint(mysql), small, bucket, REGISTRY)
    assert manifests(bucket) == []


def test_manifest_of_somebody_else_is_refused_and_stays(
    mysql: Server, small: str, moto: S3Server, bucket_name: str
) -> None:
    """Only a store that knows conditions can tell; elsewhere the random id protects."""
    moto.make_bucket(bucket_name)
    with recorded(moto.service.port) as http:

        def come_first(request: Request, upstream: Upstream) -> Answer | None:
            if is_manifest(request, "PUT"):
                key = unquote(request.path).removeprefix(f"/{bucket_name}/")
                moto.client().put_object(Bucket=bucket_name, Key=key, Body=b"another")
            return upstream(request)

        http.answering = come_first
        bucket = open_bucket(moto, bucket_name, endpoint=http.endpoint)
        with pytest.raises(RefusedError, match="another manifest stands at") as caught:
            create_backup(endpoint(mysql), small, bucket, REGISTRY)
        assert caught.value.exit_code == 73
        (key,) = manifests(bucket)
        assert b"".join(bucket.get(key)) == b"another"


def test_manifest_that_cannot_be_read_back_may_exist(mysql: Server, small: str, bucket: Storage, http: Wire) -> None:
    def unreadable(request: Request, upstream: Upstream) -> Answer | None:
        if is_manifest(request, "PUT"):
            upstream(request)
            return None
        return refused(503, "SlowDown") if is_manifest(request, "GET") else upstream(request)

    http.answering = unreadable
    with pytest.raises(
        UnavailableError, match=r"the backup may exist: run `backup check [0-9TZ]+-[0-9a-f]+`"
    ) as caught:
        create_backup(endpoint(mysql), small, bucket, REGISTRY)
    assert caught.value.exit_code == 69
    http.answering = lambda request, upstream: upstream(request)
    require_whole(bucket, find(bucket, REGISTRY, "latest"))


def test_manifest_that_no_restore_would_read_is_not_put(mysql: Server, small: str, directory: Storage) -> None:
    manifest = create_backup(endpoint(mysql), small, directory, REGISTRY)
    directory.delete(manifests(directory))
    with Lease(connect(endpoint(mysql)), small) as lease:
        lease.acquire()
        boundless = manifest.model_copy(update={"warnings": ("x" * MANIFEST_MAXIMUM_BYTES,)})
        with pytest.raises(ConfigurationError, match="more than a restore reads"):
            commit(directory, boundless, lease)
        assert manifests(directory) == []
        commit(directory, manifest, lease)
    require_whole(directory, manifest)


def test_stored_manifest_larger_than_one_may_be_is_corrupt(mysql: Server, small: str, directory: Storage) -> None:
    manifest = create_backup(endpoint(mysql), small, directory, REGISTRY)
    (key,) = manifests(directory)
    padding = b" " * (MANIFEST_MAXIMUM_BYTES + 1)
    directory.put(key, [b"".join(directory.get(key)), padding])
    with pytest.raises(CorruptError, match="too large to be one"):
        find(directory, REGISTRY, manifest.id)


class Intruded(FaultyStorage):
    """Somebody writes another manifest just before ours."""

    def put(self, key: str, body: Iterable[bytes], *, if_absent: bool = False) -> int:
        if key.endswith("/manifest.json"):
            self.inner.put(key, [b"another"])
        return super().put(key, body, if_absent=if_absent)


def test_other_manifest_in_a_directory_is_refused_and_stays(mysql: Server, small: str, storage: Storage) -> None:
    with pytest.raises(RefusedError, match="another manifest stands at"):
        create_backup(endpoint(mysql), small, Intruded(storage), REGISTRY)
    (key,) = manifests(storage)
    assert b"".join(storage.get(key)) == b"another"


def test_answer_lost_after_the_manifest_was_written_in_a_directory(mysql: Server, small: str, storage: Storage) -> None:
    counting = FaultyStorage(storage)
    create_backup(endpoint(mysql), small, counting, "another")
    faulty = FaultyStorage(storage, lose_answer={"put": {counting.calls["put"]}})
    manifest = create_backup(endpoint(mysql), small, faulty, REGISTRY)
    require_whole(storage, manifest)


def test_error_of_the_manifest_is_the_error_of_the_backup(mysql: Server, small: str, storage: Storage) -> None:
    counting = FaultyStorage(storage)
    create_backup(endpoint(mysql), small, counting, "another")
    faulty = FaultyStorage(storage, fail={"put": {counting.calls["put"]}})
    with pytest.raises(OpskitError, match="a fault that a test asked for"):
        create_backup(endpoint(mysql), small, faulty, REGISTRY)
