"""Deleting objects, and the uploads that were never finished."""

from dataclasses import replace
from datetime import timedelta

import pytest

from opskit.errors import (
    DeniedError,
    OpskitError,
    UnavailableError,
)
from opskit.storage import Storage
from sandbox.s3 import S3Server
from tests.contract.conftest import PREFIX
from tests.contract.s3.conftest import keys
from tests.wire import Answer, Request, Upstream, Wire, answer, refused

pytestmark = pytest.mark.s3


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
