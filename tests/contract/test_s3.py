"""What S3 storage puts on the wire, and what it makes of every answer."""

import base64
import hashlib
import logging
import secrets
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import trustme

from opskit.errors import (
    ConfigurationError,
    DeniedError,
    NotFoundError,
    ObjectExistsError,
    OpskitError,
    UnavailableError,
)
from opskit.storage import Storage
from opskit.storage.opening import open_storage
from sandbox.process import free_port
from sandbox.s3 import S3Server
from tests.contract.conftest import PREFIX, open_bucket
from tests.wire import Answer, Request, Upstream, Wire, answer, recorded, refused

pytestmark = pytest.mark.s3

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


# Streams that end early


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


# Deleting


def deleting(outcome: str) -> Answer:
    return answer(200, f"<DeleteResult>{outcome}</DeleteResult>")


def failed(key: str, code: str) -> str:
    return f"<Error><Key>{PREFIX}/{key}</Key><Code>{code}</Code><Message>said</Message></Error>"


@pytest.mark.parametrize(
    ("code", "expected"),
    [("AccessDenied", DeniedError), ("InternalError", UnavailableError), ("SlowDown", UnavailableError)],
)
def test_each_error_in_an_answer_of_status_200_is_read(
    storage: Storage, wire: Wire, code: str, expected: type[OpskitError]
) -> None:
    wire.answering = lambda *_: deleting(f"<Deleted><Key>{PREFIX}/a</Key></Deleted>{failed('b', code)}")
    with pytest.raises(expected, match=f"/b and 0 more: the store answered {code}, said"):
        storage.delete(["a", "b"])


def test_key_that_is_gone_is_no_error_even_where_the_store_says_so(storage: Storage, wire: Wire) -> None:
    wire.answering = lambda *_: deleting(failed("a", "NoSuchKey"))
    storage.delete(["a"])


@pytest.mark.parametrize(
    "body", ["", "<DeleteResult/>", "<DeleteResult><Deleted><Key>a</Key></Deleted></DeleteResult>"]
)
def test_answer_that_does_not_name_every_key_is_an_error(storage: Storage, wire: Wire, body: str) -> None:
    wire.answering = lambda *_: answer(200, body)
    with pytest.raises(UnavailableError, match="incomplete"):
        storage.delete(["a", "b"])


@pytest.mark.parametrize(
    "answered",
    [refused(501, "NotImplemented"), answer(501), refused(405, "MethodNotAllowed"), refused(400, "MalformedXML")],
    ids=["NotImplemented", "501", "MethodNotAllowed", "MalformedXML"],
)
def test_store_without_bulk_delete_is_asked_for_each_key(storage: Storage, wire: Wire, answered: Answer) -> None:
    for key in ("a", "b", "c"):
        storage.put(key, [b"x"])
    wire.answering = lambda request, upstream: answered if "delete" in request.query else upstream(request)
    storage.delete(["a", "b", "missing"])
    assert [each.path.rpartition("/")[2] for each in wire.sent("DELETE")] == ["a", "b", "missing"]
    assert keys(storage) == ["c"]


def test_other_errors_do_not_lead_to_deleting_singly(storage: Storage, wire: Wire) -> None:
    wire.answering = lambda *_: refused(403, "AccessDenied")
    with pytest.raises(DeniedError):
        storage.delete(["a"])
    assert not wire.sent("DELETE")


def test_a_thousand_go_in_one_request(storage: Storage, wire: Wire) -> None:
    storage.delete(f"missing/{number}" for number in range(1001))
    assert [each.body.count(b"<Key>") for each in wire.requests] == [1000, 1]


# Unfinished uploads


def begun(server: S3Server, bucket: str, *names: str) -> None:
    for name in names:
        server.client().create_multipart_upload(Bucket=bucket, Key=name)


def test_unfinished_uploads_below_the_prefix_are_found_and_aborted(
    storage: Storage, server: S3Server, bucket: str
) -> None:
    begun(server, bucket, f"{PREFIX}/a/one", f"{PREFIX}/a/one", f"{PREFIX}/ab/two", f"{PREFIX}beside/a/one", "a/one")
    found = list(storage.unfinished("a/"))
    assert [each.key for each in found] == ["a/one", "a/one"]
    assert all(each.started.utcoffset() == timedelta(0) for each in found)
    if server.product == "rclone":  # moto says that all of them began in 2010
        assert all(abs(storage.now() - each.started) < timedelta(minutes=1) for each in found)
    for each in found:
        storage.abort(each)
        storage.abort(each)
    assert list(storage.unfinished("a/")) == []
    assert [each.key for each in storage.unfinished("")] == ["ab/two"]


UPLOADS = """<ListMultipartUploadsResult><IsTruncated>{truncated}</IsTruncated>
<NextKeyMarker>{key}</NextKeyMarker><NextUploadIdMarker>{id}</NextUploadIdMarker>
<Upload><Key>{key}</Key><UploadId>{id}</UploadId><Initiated>2026-11-23T02:15:00Z</Initiated></Upload>
</ListMultipartUploadsResult>"""


def test_unfinished_uploads_of_all_pages_are_found(storage: Storage, wire: Wire) -> None:
    def answering(request: Request, _: Upstream) -> Answer:
        number = int(request.query.get("upload-id-marker", ["0"])[0]) + 1
        truncated = "true" if number < 3 else "false"
        return answer(200, UPLOADS.format(truncated=truncated, key=f"{PREFIX}/a/{number}", id=number))

    wire.answering = answering
    assert [(each.key, each.id) for each in storage.unfinished("a/")] == [("a/1", "1"), ("a/2", "2"), ("a/3", "3")]


def test_answer_without_a_date_tells_no_time(storage: Storage, wire: Wire) -> None:
    wire.answering = lambda request, upstream: replace(upstream(request), headers={})
    with pytest.raises(UnavailableError, match="does not say what time it is"):
        storage.now()


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
    with pytest.raises(UnavailableError, match="cannot list s3://bucket"):
        keys(storage)


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
