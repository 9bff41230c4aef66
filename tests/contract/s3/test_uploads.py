"""What S3 storage puts on the wire when it stores, and what it makes of every answer."""

import base64
import hashlib
import logging
from collections.abc import Callable
from dataclasses import replace

import pytest

from opskit.errors import (
    ObjectExistsError,
    UnavailableError,
)
from opskit.storage import Storage
from sandbox.s3 import S3Server
from tests.contract.conftest import PREFIX, open_bucket
from tests.contract.s3.conftest import PART, content, keys
from tests.wire import Answer, Request, Upstream, Wire, answer, recorded, refused

pytestmark = pytest.mark.s3


def md5(body: bytes) -> str:
    return base64.b64encode(hashlib.md5(body, usedforsecurity=False).digest()).decode()


# What is sent


def test_every_body_is_sent_with_its_md5_and_no_newer_checksum(storage: Storage, wire: Wire) -> None:
    storage.put("empty", [])
    storage.put("small", [b"x"], if_absent=True)
    storage.put("large", [b"x" * (2 * PART + 1)])
    content(storage, "small")
    storage.delete(["empty", "small"])

    bodies = [each for each in wire.requests if each.method == "PUT" or "delete" in each.query]
    assert [len(each.body) for each in bodies[:-1]] == [0, 1, PART, PART, 1]
    assert b"<Delete" in bodies[-1].body
    for request in bodies:
        assert request.headers["Content-MD5"] == md5(request.body)
    for request in wire.requests:
        names = [name.lower() for name in request.headers]
        assert not [
            name for name in names if name.startswith(("x-amz-checksum", "x-amz-sdk-checksum", "x-amz-trailer"))
        ]
        assert "content-encoding" not in names
        assert " opskit/" in request.headers["User-Agent"]


def test_one_part_is_one_request_and_one_byte_more_is_a_multipart_upload(storage: Storage, wire: Wire) -> None:
    storage.put("key", [b"x" * PART])
    assert [each.method for each in wire.requests] == ["PUT"]
    wire.requests.clear()
    storage.put("key", [b"x" * PART, b"y"])
    assert [each.method for each in wire.requests] == ["POST", "PUT", "PUT", "POST"]
    assert [each.query["partNumber"] for each in wire.sent("PUT")] == [["1"], ["2"]]


def test_body_that_is_damaged_on_its_way_is_not_stored(rclone: S3Server, bucket_name: str) -> None:
    rclone.make_bucket(bucket_name)
    with recorded(rclone.service.port) as wire:
        wire.answering = lambda request, upstream: upstream(replace(request, body=b"wrong"))
        with pytest.raises(UnavailableError, match="BadDigest"):
            open_bucket(rclone, bucket_name, endpoint=wire.endpoint).put("key", [b"right"])
    assert keys(open_bucket(rclone, bucket_name)) == []


def test_server_error_is_tried_again_with_the_whole_body(server: S3Server, bucket: str, wire: Wire) -> None:
    def fail_twice(request: Request, upstream: Upstream) -> Answer:
        return refused(503, "SlowDown") if len(wire.requests) <= 2 else upstream(request)

    wire.answering = fail_twice
    storage = open_bucket(server, bucket, endpoint=wire.endpoint, max_attempts=3)
    storage.put("key", [b"whole body"])
    assert [each.body for each in wire.sent("PUT")] == [b"whole body"] * 3
    assert content(storage, "key") == b"whole body"


# Conditional writes


@pytest.mark.parametrize("size", [1, PART + 1])
def test_if_absent_asks_first_and_then_sets_the_condition(storage: Storage, wire: Wire, size: int) -> None:
    storage.put("key", [b"x" * size], if_absent=True)
    assert wire.requests[0].method == "HEAD"
    assert wire.requests[-1].headers["If-None-Match"] == "*"
    wire.requests.clear()
    storage.put("key", [b"x" * size])
    assert not [each for each in wire.requests if each.method == "HEAD" or "If-None-Match" in each.headers]


def unseen(request: Request, upstream: Upstream) -> Answer:
    """Another writer comes first, between our question and our write."""
    return answer(404) if request.method == "HEAD" else upstream(request)


@pytest.mark.parametrize("size", [1, PART + 1])
def test_moto_refuses_to_overwrite_what_came_between(moto: S3Server, bucket_name: str, size: int) -> None:
    moto.make_bucket(bucket_name)
    open_bucket(moto, bucket_name).put("key", [b"first"])
    with recorded(moto.service.port) as wire:
        wire.answering = unseen
        storage = open_bucket(moto, bucket_name, endpoint=wire.endpoint)
        with pytest.raises(ObjectExistsError, match="key"):
            storage.put("key", [b"x" * size], if_absent=True)
        assert content(storage, "key") == b"first"
    assert "Uploads" not in moto.client().list_multipart_uploads(Bucket=bucket_name)


def test_rclone_overwrites_what_came_between(rclone: S3Server, bucket_name: str) -> None:
    """A store without conditional writes: only the question before protects, which is why it is asked."""
    rclone.make_bucket(bucket_name)
    open_bucket(rclone, bucket_name).put("key", [b"first"])
    with recorded(rclone.service.port) as wire:
        wire.answering = unseen
        storage = open_bucket(rclone, bucket_name, endpoint=wire.endpoint)
        storage.put("key", [b"second"], if_absent=True)
        assert wire.sent("PUT")[0].headers["If-None-Match"] == "*"
        assert content(storage, "key") == b"second"


def test_conflict_with_another_writer_means_that_it_exists(storage: Storage, wire: Wire) -> None:
    wire.answering = lambda request, upstream: (
        refused(409, "ConditionalRequestConflict") if request.method == "PUT" else upstream(request)
    )
    with pytest.raises(ObjectExistsError, match=f"{PREFIX}/key".replace("+", r"\+")):
        storage.put("key", [b"x"], if_absent=True)


def test_store_that_does_not_implement_the_condition_is_written_without(storage: Storage, wire: Wire) -> None:
    wire.answering = lambda request, upstream: (
        refused(501, "NotImplemented") if "If-None-Match" in request.headers else upstream(request)
    )
    storage.put("key", [b"x"], if_absent=True)
    assert content(storage, "key") == b"x"
    with pytest.raises(ObjectExistsError):
        storage.put("key", [b"y"], if_absent=True)


def test_answer_that_is_lost_and_tried_again_says_that_the_object_exists(moto: S3Server, bucket_name: str) -> None:
    """The object is our own; only reading it back tells."""
    moto.make_bucket(bucket_name)

    with recorded(moto.service.port) as wire:

        def lose_first(request: Request, upstream: Upstream) -> Answer:
            done = upstream(request)
            return refused(500, "InternalError") if wire.sent("PUT") == [request] else done

        wire.answering = lose_first
        storage = open_bucket(moto, bucket_name, endpoint=wire.endpoint, max_attempts=2)
        with pytest.raises(ObjectExistsError):
            storage.put("key", [b"ours"], if_absent=True)
        assert content(storage, "key") == b"ours"


# Uploads that fail


def failing_parts(number: str, status: int) -> Callable[[Request, Upstream], Answer]:
    def answering(request: Request, upstream: Upstream) -> Answer:
        failing = request.query.get("partNumber") == [number]
        return refused(status, "InternalError") if failing else upstream(request)

    return answering


@pytest.mark.parametrize("number", ["1", "2"])
def test_upload_whose_part_fails_is_aborted(storage: Storage, wire: Wire, number: str) -> None:
    wire.answering = failing_parts(number, 500)
    with pytest.raises(UnavailableError, match="InternalError"):
        storage.put("key", [b"x" * (PART + 1)])
    assert [each.method for each in wire.requests][-1] == "DELETE"
    assert wire.sent("DELETE")[0].query.keys() == {"uploadId"}
    assert keys(storage) == []


def test_upload_whose_completion_fails_with_status_200_is_aborted(storage: Storage, wire: Wire) -> None:
    def answering(request: Request, upstream: Upstream) -> Answer:
        completing = request.method == "POST" and "uploadId" in request.query
        return refused(200, "InternalError") if completing else upstream(request)

    wire.answering = answering
    with pytest.raises(UnavailableError, match="InternalError"):
        storage.put("key", [b"x" * (PART + 1)])
    assert wire.sent("DELETE", "uploadId")
    assert keys(storage) == []


@pytest.mark.parametrize(("status", "warned"), [(403, True), (404, False)])
def test_upload_that_cannot_be_aborted_is_warned_of(
    storage: Storage, wire: Wire, caplog: pytest.LogCaptureFixture, status: int, *, warned: bool
) -> None:
    def answering(request: Request, upstream: Upstream) -> Answer:
        return refused(status, "Code") if request.method == "DELETE" else failing_parts("2", 500)(request, upstream)

    wire.answering = answering
    with caplog.at_level(logging.WARNING), pytest.raises(UnavailableError, match="InternalError"):
        storage.put("key", [b"x" * (PART + 1)])
    assert ("an unfinished upload of" in caplog.text) is warned
