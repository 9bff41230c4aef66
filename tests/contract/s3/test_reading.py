"""Streams and listings that end early, or say what cannot be."""

import pytest

from opskit.errors import (
    ConfigurationError,
    UnavailableError,
)
from opskit.storage import Storage
from sandbox.s3 import S3Server
from tests.contract.conftest import PREFIX, open_bucket
from tests.contract.s3.conftest import content, keys
from tests.wire import Answer, Request, Upstream, Wire, answer

pytestmark = pytest.mark.s3


@pytest.mark.parametrize("kept", [0, 1, 1024 * 1024, 1024 * 1024 + 1, 3_000_000 - 1])
def test_connection_that_is_cut_is_an_error(storage: Storage, wire: Wire, kept: int) -> None:
    storage.put("key", [b"x" * 3_000_000])

    def answering(request: Request, upstream: Upstream) -> Answer:
        return upstream(request).cut(kept) if request.method == "GET" else upstream(request)

    wire.answering = answering
    with pytest.raises(UnavailableError, match="cannot read s3://"):
        content(storage, "key")


def test_answer_of_unknown_length_is_an_error(storage: Storage, wire: Wire) -> None:
    storage.put("key", [b"x"])
    wire.answering = lambda request, upstream: upstream(request).without_length()
    with pytest.raises(UnavailableError, match="does not say how long it is"):
        content(storage, "key")


# Listings


LISTING = "<ListBucketResult><IsTruncated>{truncated}</IsTruncated>{entries}</ListBucketResult>"


def listing(*names: str, truncated: str = "false") -> Answer:
    entries = "".join(
        f"<Contents><Key>{PREFIX}/{name}</Key><Size>1</Size><LastModified>2026-11-23T02:15:00Z</LastModified></Contents>"
        for name in names
    )
    return answer(200, LISTING.format(truncated=truncated, entries=entries))


def test_page_that_is_cut_makes_the_listing_fail(storage: Storage, wire: Wire) -> None:
    storage.put("key", [b"x"])
    wire.answering = lambda request, upstream: upstream(request).cut(0)
    with pytest.raises(UnavailableError):
        keys(storage)
    wire.answering = lambda request, upstream: upstream(request).cut(200)
    with pytest.raises(UnavailableError):
        keys(storage)


def test_empty_page_makes_the_listing_fail(storage: Storage, wire: Wire) -> None:
    wire.answering = lambda *_: answer(200)
    with pytest.raises(UnavailableError, match="incomplete"):
        keys(storage)


def test_page_that_names_no_next_one_makes_the_listing_fail(storage: Storage, wire: Wire) -> None:
    wire.answering = lambda *_: listing("a", truncated="true")
    with pytest.raises(UnavailableError, match="incomplete"):
        keys(storage)


@pytest.mark.parametrize("names", [("b", "a"), ("a", "a"), ("😀", "\uffee")])
def test_store_that_lists_out_of_order_is_refused(storage: Storage, wire: Wire, names: tuple[str, str]) -> None:
    wire.answering = lambda *_: listing(*names)
    with pytest.raises(ConfigurationError, match="order"):
        keys(storage)


def test_what_opskit_cannot_have_stored_is_not_listed(moto: S3Server, bucket_name: str) -> None:
    moto.make_bucket(bucket_name)
    for name in ("", "folder/", "folder//key", "a\\b", "folder/key"):
        moto.client().put_object(Bucket=bucket_name, Key=f"{PREFIX}/{name}", Body=b"x")
    moto.client().put_object(Bucket=bucket_name, Key=f"{PREFIX}beside", Body=b"x")
    assert keys(open_bucket(moto, bucket_name)) == ["folder/key"]


def test_bucket_without_a_prefix_is_a_root_too(server: S3Server, bucket: str) -> None:
    storage = open_bucket(server, bucket, "")
    storage.put("a/key", [b"x"])
    assert keys(storage) == ["a/key"]
    assert storage.url == f"s3://{bucket}"
    assert storage.stat("a/key").size == 1
