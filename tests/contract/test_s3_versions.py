"""Buckets that keep versions, and objects under lock: what is deleted, what stays, and what is said of it."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from opskit.errors import DeniedError
from opskit.storage import Storage
from sandbox.s3 import S3Server
from tests.contract.conftest import PREFIX, open_bucket
from tests.wire import Answer, Request, Upstream, Wire, answer, recorded, refused

pytestmark = pytest.mark.s3


@pytest.fixture
def wire(moto: S3Server) -> Iterator[Wire]:
    with recorded(moto.service.port) as found:
        yield found


@pytest.fixture
def storage(moto: S3Server, bucket_name: str, wire: Wire) -> Storage:
    """A bucket with versions and Object Lock, reached through the recording server."""
    moto.client().create_bucket(Bucket=bucket_name, ObjectLockEnabledForBucket=True)
    return open_bucket(moto, bucket_name, endpoint=wire.endpoint)


def versions(moto: S3Server, bucket: str) -> list[str]:
    """Every version and every delete marker, by its full name."""
    names = []
    for page in moto.client().get_paginator("list_object_versions").paginate(Bucket=bucket):
        names += [each["Key"] for each in page.get("Versions", ())]
        names += [each["Key"] for each in page.get("DeleteMarkers", ())]
    return sorted(names)


def everything(_: str) -> bool:
    return True


def lock(moto: S3Server, bucket: str, key: str, until: datetime) -> None:
    moto.client().put_object_retention(
        Bucket=bucket, Key=f"{PREFIX}/{key}", Retention={"Mode": "COMPLIANCE", "RetainUntilDate": until}
    )


def single(request: Request, upstream: Upstream) -> Answer:
    """A store that cannot delete several objects in one request."""
    return refused(501, "NotImplemented") if "delete" in request.query else upstream(request)


BOTH_WAYS = pytest.mark.parametrize("at_once", [True, False], ids=["in batches", "singly"])


def test_deleting_leaves_the_versions(storage: Storage, moto: S3Server, bucket_name: str) -> None:
    storage.put("a/key", [b"1"])
    storage.put("a/key", [b"2"])
    storage.delete(["a/key"])
    assert list(storage.list()) == []
    assert versions(moto, bucket_name) == [f"{PREFIX}/a/key"] * 3


@BOTH_WAYS
def test_erasing_takes_versions_and_delete_markers(
    storage: Storage, moto: S3Server, bucket_name: str, wire: Wire, *, at_once: bool
) -> None:
    for key in ("a/key", "a/key", "a/other", "ab/key"):
        storage.put(key, [b"x"])
    storage.delete(["a/key"])
    moto.client().put_object(Bucket=bucket_name, Key="a/key", Body=b"not ours")
    wire.answering = wire.answering if at_once else single
    assert list(storage.erase("a/", lambda key: key == "a/key")) == []
    assert versions(moto, bucket_name) == ["a/key", f"{PREFIX}/a/other", f"{PREFIX}/ab/key"]
    assert list(storage.erase("a/", everything)) == []
    assert versions(moto, bucket_name) == ["a/key", f"{PREFIX}/ab/key"]


def test_more_than_a_thousand_versions_are_erased(storage: Storage, moto: S3Server, bucket_name: str) -> None:
    client = moto.client()
    for number in range(501):
        for _ in range(2):
            client.put_object(Bucket=bucket_name, Key=f"{PREFIX}/a/{number}", Body=b"")
    assert list(storage.erase("a/", everything)) == []
    assert versions(moto, bucket_name) == []


@BOTH_WAYS
def test_locked_versions_stay_and_are_named(
    storage: Storage, moto: S3Server, bucket_name: str, wire: Wire, *, at_once: bool
) -> None:
    storage.put("a/locked", [b"x"])
    lock(moto, bucket_name, "a/locked", datetime.now(UTC) + timedelta(days=1))
    storage.put("a/locked", [b"a newer version, without a lock"])
    storage.put("a/free", [b"x"])
    wire.answering = wire.answering if at_once else single
    assert list(storage.erase("a/", everything)) == ["a/locked"]
    assert versions(moto, bucket_name) == [f"{PREFIX}/a/locked"]


@BOTH_WAYS
def test_version_that_is_refused_without_a_lock_is_an_error(storage: Storage, wire: Wire, *, at_once: bool) -> None:
    storage.put("a/key", [b"x"])
    failed = f"<Error><Key>{PREFIX}/a/key</Key><Code>AccessDenied</Code><Message>said</Message></Error>"

    def answering(request: Request, upstream: Upstream) -> Answer:
        if "delete" in request.query:
            return answer(200, f"<DeleteResult>{failed}</DeleteResult>") if at_once else refused(501, "NotImplemented")
        return refused(403, "AccessDenied") if request.method == "DELETE" else upstream(request)

    wire.answering = answering
    with pytest.raises(DeniedError, match="a/key and 0 more: the store answered AccessDenied"):
        storage.erase("a/", everything)


def test_lock_is_told_with_its_end(storage: Storage, moto: S3Server, bucket_name: str) -> None:
    until = datetime.now(UTC).replace(microsecond=0) + timedelta(days=1)
    for key in ("free", "locked", "held"):
        storage.put(key, [b"x"])
    lock(moto, bucket_name, "locked", until)
    moto.client().put_object_legal_hold(Bucket=bucket_name, Key=f"{PREFIX}/held", LegalHold={"Status": "ON"})
    assert storage.stat("free").locked_until is None
    assert storage.stat("locked").locked_until == until
    assert storage.stat("held").locked_until == datetime.max.replace(tzinfo=UTC)
