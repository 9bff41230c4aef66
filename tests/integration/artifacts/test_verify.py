"""What a verification says of each artifact, what it stores, and what it tells of the time since the one before."""

import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from benchmarks.measure import measured
from opskit.artifacts.report import (
    Record,
    Summary,
    get_records,
    newest_summary,
    report_key,
    summary_key,
    time_name,
    unused_time,
)
from opskit.artifacts.search import Options, Places, find_all
from opskit.artifacts.stores import Store, Stores
from opskit.artifacts.uri import ConnectionLocation, S3Location
from opskit.artifacts.verdict import Finding
from opskit.artifacts.verify import verify
from opskit.backup.stages import decompressed
from opskit.errors import OpskitError
from opskit.registry.inventory import Pointer
from opskit.storage.directory import DirectoryStorage
from sandbox.s3 import S3Server
from tests.faulty import FaultyStorage
from tests.integration.artifacts.buckets import open_bucket, store_of
from tests.integration.artifacts.registered import registered
from tests.wire import Answer, Request, Upstream, Wire, answer, recorded, refused

START = datetime(2026, 11, 24, 5, 23, tzinfo=UTC)


@pytest.fixture
def bucket(moto: S3Server, bucket_name: str) -> str:
    return moto.make_bucket(bucket_name)


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path)


@pytest.fixture
def wire(moto: S3Server) -> Iterator[Wire]:
    with recorded(moto.service.port) as wire:
        yield wire


def put(server: S3Server, bucket: str, key: str, body: bytes = b"x", **options: str) -> None:
    client = server.client()
    client.put_object(Bucket=bucket, Key=key, Body=body, **options)  # type: ignore[arg-type] # StorageClass and the like
    client.close()


def said(store: Store, *uris: str, options: Options = Options()) -> dict[str, Finding]:
    """The findings for some URIs."""
    pointers = [registered(number, uri) for number, uri in enumerate(uris, start=1)]
    return {each.uri: finding for each, finding in find_all(pointers, Places(Stores([store])), options)}


def verdicts(store: Store, *uris: str, options: Options = Options()) -> list[str]:
    return [finding.verdict for finding in said(store, *uris, options=options).values()]


# Verdicts


def test_store_is_chosen_by_its_endpoint_in_either_encoding(moto: S3Server, bucket: str) -> None:
    put(moto, bucket, "models/a")
    encoded = moto.endpoint.replace(":", "%3A").replace("/", "%2F")
    store = store_of(moto, aliases=("https://s3.internal",))
    uris = [
        f"s3://{bucket}/models/a",
        f"s3://{bucket}/models/a?endpoint={moto.endpoint}&defaultRegion=us-east-1",
        f"s3://{bucket}/models/a?endpoint={encoded}/&defaultRegion=us-east-1",
        f"s3://{bucket}/models/a?endpoint=https://S3.INTERNAL:443",
        f"s3://{bucket}/models/a?endpoint=https://evil.example",
    ]
    assert verdicts(store, *uris) == ["present"] * 4 + ["endpoint-not-allowed"]


def test_bucket_outside_the_store_s_list_is_not_asked_for(moto: S3Server, wire: Wire, bucket: str) -> None:
    store = store_of(moto, endpoint=wire.endpoint, buckets=("other",))
    uris = (f"s3://{bucket}/models/a", f"s3://{bucket}/models/a?endpoint={wire.endpoint}")
    assert verdicts(store, *uris) == ["endpoint-not-allowed"] * 2
    assert wire.requests == []


def test_every_kind_of_absence_has_its_own_word(moto: S3Server, bucket: str) -> None:
    put(moto, bucket, "models/there/x")
    put(moto, bucket, "models/marker/", b"")
    put(moto, bucket, "models/hollow/x", b"")
    put(moto, bucket, "models/foobar/x")
    uris = [f"s3://{bucket}/models/{name}" for name in ("there", "marker", "hollow", "foo", "nothing")]
    found = said(store_of(moto), *uris, "s3://no-such-bucket-anywhere/x", "hf://org/model", "models/a")
    assert [finding.verdict for finding in found.values()] == [
        "present",
        "empty",
        "empty",
        "sibling-only",
        "missing",
        "bucket-missing",
        "unsupported",
        "malformed",
    ]
    assert "models/foobar/x" in found[f"s3://{bucket}/models/foo"].detail


def test_sibling_is_found_behind_empty_ones(moto: S3Server, bucket: str) -> None:
    for name in ("foo-1", "foo-2", "foo-3"):
        put(moto, bucket, f"models/{name}", b"")
    put(moto, bucket, "models/foobar/x")
    assert verdicts(store_of(moto), f"s3://{bucket}/models/foo") == ["sibling-only"]


def test_data_connection_of_amazon_s_store_is_looked_for_there() -> None:
    amazon = Store(region="us-east-1", connections={"aws-connection": "models"})
    stores = Stores([Store(endpoint="https://s3.example"), amazon])
    location = stores.locate(ConnectionLocation("aws-connection", "a"))
    assert isinstance(location, S3Location)
    assert stores.find(location) is stores.find(S3Location("models", "a", "a/", "https://s3.amazonaws.com"))
    assert stores.find(location) is not stores.find(S3Location("models", "a", "a/"))


def test_delete_marker_is_told_from_absence(moto: S3Server, bucket: str) -> None:
    client = moto.client()
    client.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
    for key in ("models/object", "models/folder/x"):
        put(moto, bucket, key)
        client.delete_object(Bucket=bucket, Key=key)
    uris = [f"s3://{bucket}/models/{name}" for name in ("object", "folder", "never")]
    assert verdicts(store_of(moto), *uris) == ["deleted", "deleted", "missing"]


def test_archived_tiers_are_not_present_unless_restored(moto: S3Server, bucket: str) -> None:
    put(moto, bucket, "a/glacier", StorageClass="GLACIER")
    put(moto, bucket, "a/instant", StorageClass="GLACIER_IR")
    put(moto, bucket, "a/restored", StorageClass="DEEP_ARCHIVE")
    moto.client().restore_object(Bucket=bucket, Key="a/restored", RestoreRequest={"Days": 1})
    moto.client().head_object(Bucket=bucket, Key="a/restored")  # moto restores at the second look
    uris = [f"s3://{bucket}/a/{name}" for name in ("glacier", "instant", "restored")]
    assert verdicts(store_of(moto), *uris) == ["archived-tier", "present", "present"]
    assert verdicts(store_of(moto), f"s3://{bucket}/a", options=Options(layout=True)) == ["archived-tier"]


def test_intelligent_tiering_is_asked_for_with_deep_only(moto: S3Server, bucket: str) -> None:
    put(moto, bucket, "a", StorageClass="INTELLIGENT_TIERING")

    def answering(request: Request, upstream: Upstream) -> Answer:
        found = upstream(request)
        if request.method == "HEAD":
            found.headers["x-amz-archive-status"] = "DEEP_ARCHIVE_ACCESS"
        return found

    with recorded(moto.service.port) as wire:
        wire.answering = answering
        store = store_of(moto, endpoint=wire.endpoint)
        assert verdicts(store, f"s3://{bucket}/a") == ["present"]
        assert verdicts(store, f"s3://{bucket}/a", options=Options(deep=True)) == ["archived-tier"]


# Faults


def test_endpoint_that_is_down_says_nothing_of_any_artifact(moto: S3Server) -> None:
    store = store_of(moto, endpoint="http://127.0.0.1:1")
    assert verdicts(store, "s3://models/a", "s3://models/b", "s3://other/c") == ["unreachable"] * 3


@pytest.mark.parametrize("code", ["AccessDenied", "ExpiredToken", "InvalidAccessKeyId"])
def test_refused_credentials_are_no_absence(moto: S3Server, wire: Wire, bucket: str, code: str) -> None:
    put(moto, bucket, "a")
    wire.answering = lambda _request, _upstream: refused(403, code)
    assert verdicts(store_of(moto, endpoint=wire.endpoint), f"s3://{bucket}/a", f"s3://{bucket}/b") == ["denied"] * 2


def test_failures_between_answers_do_not_add_up(moto: S3Server, wire: Wire, bucket: str) -> None:
    """Only a server that stopped answering is not asked any more; 403 and 404 are answers."""
    count = 0

    def answering(_request: Request, _upstream: Upstream) -> Answer:
        nonlocal count
        count += 1
        return refused(503, "SlowDown") if count % 2 else refused(403, "AccessDenied")

    wire.answering = answering
    opened = open_bucket(moto, bucket, endpoint=wire.endpoint)
    for _ in range(12):
        with suppress(OpskitError):
            opened.head("a")
    assert len(wire.sent("HEAD")) == 12


def test_one_bucket_denied_leaves_the_others(moto: S3Server, wire: Wire, bucket: str) -> None:
    put(moto, bucket, "a")
    other = moto.make_bucket(f"{bucket}-other")
    wire.answering = lambda request, upstream: (
        refused(403, "AccessDenied") if request.path.startswith(f"/{other}") else upstream(request)
    )
    store = store_of(moto, endpoint=wire.endpoint)
    assert verdicts(store, f"s3://{bucket}/a", f"s3://{other}/a") == ["present", "denied"]


def test_path_that_may_not_be_listed_hides_no_other(moto: S3Server, wire: Wire, bucket: str) -> None:
    put(moto, bucket, "models/a/x")

    def answering(request: Request, upstream: Upstream) -> Answer:
        allowed = request.query.get("prefix", [""])[0].startswith("models/") or "/models/" in request.path
        return upstream(request) if allowed else refused(403, "AccessDenied")

    wire.answering = answering
    uris = [f"s3://{bucket}/{path}" for path in ("models/a", "models/gone", "other/x")]
    assert verdicts(store_of(moto, endpoint=wire.endpoint), *uris) == ["present", "missing", "denied"]


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "404"), (404, "NoSuchKey"), (507, "InsufficientStorage"), (409, "X"), (301, "PermanentRedirect"), (400, "")],
)
def test_strange_answer_to_a_listing_says_nothing(
    moto: S3Server, wire: Wire, bucket: str, status: int, code: str
) -> None:
    put(moto, bucket, "a")
    wire.answering = lambda request, upstream: upstream(request) if request.method == "HEAD" else refused(status, code)
    assert verdicts(store_of(moto, endpoint=wire.endpoint), f"s3://{bucket}/b") == ["unreachable"]


@pytest.mark.parametrize(
    ("what", "instead"),
    [
        ("<Size>1</Size>", "<Size>many</Size>"),
        ("<Size>1</Size>", ""),
        ("<LastModified>", "<LastModified>yesterday"),
        ("LastModified>", "Changed>"),
        ("<Key>a</Key>", ""),
        ("<ListBucketResult", "<html"),
        ("<KeyCount>1<", "<KeyCount>2<"),
    ],
)
def test_odd_listing_says_nothing(moto: S3Server, wire: Wire, bucket: str, what: str, instead: str) -> None:
    put(moto, bucket, "a")

    def answering(request: Request, upstream: Upstream) -> Answer:
        found = upstream(request)
        if request.method == "HEAD":
            return found
        assert what in found.body.decode()
        return answer(200, found.body.decode().replace(what, instead))

    wire.answering = answering
    assert verdicts(store_of(moto, endpoint=wire.endpoint), f"s3://{bucket}/b", f"s3://{bucket}/a") == [
        "unreachable",
        "unreachable",
    ]


def test_time_beyond_the_calendar_says_nothing(moto: S3Server, wire: Wire, bucket: str) -> None:
    put(moto, bucket, "a")
    wire.answering = lambda request, upstream: answer(
        200, re.sub("<LastModified>[^<]*", "<LastModified>0001-01-01T00:00:00+05:00", upstream(request).body.decode())
    )
    assert verdicts(store_of(moto, endpoint=wire.endpoint), f"s3://{bucket}/a") == ["unreachable"]


def test_throttling_is_waited_out(moto: S3Server, wire: Wire, bucket: str) -> None:
    put(moto, bucket, "a")
    left = [refused(503, "SlowDown"), refused(503, "SlowDown")]
    wire.answering = lambda request, upstream: left.pop() if left else upstream(request)
    store = store_of(moto, endpoint=wire.endpoint, max_attempts=4)
    assert verdicts(store, f"s3://{bucket}/a", f"s3://{bucket}/b") == ["present", "missing"]


@pytest.mark.parametrize("damage", ["503", "cut", "without its end", "empty"])
def test_listing_that_fails_in_the_middle_makes_nothing_missing(
    moto: S3Server, wire: Wire, bucket: str, damage: str
) -> None:
    put(moto, bucket, "a")
    put(moto, bucket, "c")

    def answering(request: Request, upstream: Upstream) -> Answer:
        if request.method == "HEAD":
            return upstream(request)
        if damage == "503":
            return refused(503, "InternalError")
        found = upstream(request)
        if damage == "empty":
            return answer(200, "")
        if damage == "without its end":
            return answer(200, found.body.decode().partition("<Contents>")[0])
        return found.cut(after=len(found.body) // 2)

    wire.answering = answering
    found = said(store_of(moto, endpoint=wire.endpoint), *(f"s3://{bucket}/{each}" for each in "abc"))
    assert {finding.verdict for finding in found.values()} == {"unreachable"}


def test_store_out_of_order_is_asked_for_each_location(moto: S3Server, wire: Wire, bucket: str) -> None:
    for key in "abc":
        put(moto, bucket, key)

    def answering(request: Request, upstream: Upstream) -> Answer:
        found = upstream(request)
        parts = found.body.decode().split("<Contents>")
        if request.method == "HEAD" or len(parts) < 3:
            return found
        # The last object first; what follows the last stays at the end.
        last, _, tail = parts[-1].rpartition("</Contents>")
        items = [*(part.rpartition("</Contents>")[0] for part in parts[1:-1]), last]
        mixed = "".join(f"<Contents>{item}</Contents>" for item in reversed(items))
        return answer(200, parts[0] + mixed + tail)

    wire.answering = answering
    uris = [f"s3://{bucket}/{key}" for key in ("a", "b", "c", "d")]
    assert verdicts(store_of(moto, endpoint=wire.endpoint), *uris) == ["present"] * 3 + ["missing"]
    assert len(wire.sent("HEAD")) == 4


def test_folder_that_a_listing_hides_is_present_all_the_same(moto: S3Server, wire: Wire, bucket: str) -> None:
    put(moto, bucket, "a/x")

    def answering(request: Request, upstream: Upstream) -> Answer:
        found = upstream(request)
        if request.query.get("max-keys") == ["1000"]:
            start, _, end = found.body.decode().partition("<Contents>")
            text = start + end.partition("</Contents>")[2]
            return answer(200, text.replace("<KeyCount>1<", "<KeyCount>0<"))
        return found

    wire.answering = answering
    assert verdicts(store_of(moto, endpoint=wire.endpoint), f"s3://{bucket}/a") == ["present"]
    assert len(wire.sent("HEAD")) == 1


def test_key_of_one_store_never_goes_to_another(moto: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment's key goes to the one store that has none of its own."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "KEYOFENVIRONMENT")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret-of-environment")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "token-of-environment")
    put(moto, bucket, "a")
    with ExitStack() as opened:
        wires = [opened.enter_context(recorded(moto.service.port)) for _ in range(3)]
        keys: list[tuple[str, str] | None] = [("KEYOFONE", "secret-one"), ("KEYOFOTHER", "secret-other"), None]
        stores = [
            store_of(moto, endpoint=wire.endpoint, access_key=lambda key=key: key)
            for wire, key in zip(wires, keys, strict=True)
        ]
        uris = [f"s3://{bucket}/{key}?endpoint={wire.endpoint}" for wire in wires for key in ("a", "b")]
        list(find_all([registered(1, uri) for uri in uris], Places(Stores(stores))))
        for wire, name, token in zip(
            wires,
            ("KEYOFONE", "KEYOFOTHER", "KEYOFENVIRONMENT"),
            (None, None, "token-of-environment"),
            strict=True,
        ):
            assert wire.requests
            for each in wire.requests:
                assert f"Credential={name}/" in each.headers["Authorization"]
                assert each.headers["X-Amz-Security-Token"] == token


def test_environment_says_neither_proxy_nor_endpoint(
    moto: S3Server, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(moto, bucket, "a")
    for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    assert verdicts(store_of(moto), f"s3://{bucket}/a") == ["present"]


# Reports


def verified(
    moto: S3Server, storage: DirectoryStorage, pointers: list[Pointer], *, day: int = 0, layout: bool = True
) -> tuple[Summary, dict[int, Record]]:
    told: list[Record] = []
    summary = verify(
        pointers,
        Places(Stores([store_of(moto)])),
        storage,
        Summary("registry", time_name(START + timedelta(days=day)), "database", layout=layout, live_only=False),
        Options(layout=layout),
        listeners=[told.append],
    )
    assert list(get_records(storage, report_key("registry", summary.time))) == told
    return summary, {record["artifact_id"]: record for record in told}


def test_report_tells_what_is_new_since_the_one_before(moto: S3Server, storage: DirectoryStorage, bucket: str) -> None:
    for name in ("stays", "goes", "swapped"):
        put(moto, bucket, f"models/{name}/x", name.encode())
    names = ["stays", "goes", "swapped", "comes"]
    pointers = [registered(number, f"s3://{bucket}/models/{name}") for number, name in enumerate(names)]
    summary, found = verified(moto, storage, pointers)
    assert (summary.newly_missing, summary.recovered, summary.changed) == (0, 0, 0)
    assert [found[number]["verdict"] for number in range(4)] == ["present", "present", "present", "missing"]

    moto.client().delete_object(Bucket=bucket, Key="models/goes/x")
    put(moto, bucket, "models/swapped/x", b"another")
    put(moto, bucket, "models/comes/x")
    summary, found = verified(moto, storage, pointers, day=1)
    assert (summary.newly_missing, summary.recovered, summary.changed) == (1, 1, 1)
    assert found[1]["newly_missing"]
    assert found[3]["recovered"]
    assert found[2]["changed"]
    assert summary.found_problems
    assert summary.compared_with == time_name(START)

    # What was replaced stays replaced, and what is missing is missing since the day on which that was seen.
    summary, found = verified(moto, storage, pointers, day=2)
    assert (summary.newly_missing, summary.recovered, summary.changed) == (0, 0, 1)
    assert found[1]["since"] == (START + timedelta(days=1)).isoformat()

    # Until somebody updates the artifact: then the new bytes are those that are meant.
    pointers[2] = registered(2, f"s3://{bucket}/models/swapped", updated=2)
    summary, found = verified(moto, storage, pointers, day=3)
    assert summary.changed == 0


def test_fingerprint_of_a_whole_folder_sees_every_object(
    moto: S3Server, storage: DirectoryStorage, bucket: str
) -> None:
    put(moto, bucket, "models/a/1", b"one")
    put(moto, bucket, "models/a/2", b"two")
    pointers = [registered(1, f"s3://{bucket}/models/a")]
    _, found = verified(moto, storage, pointers)
    assert found[1]["fingerprint"]["objects"] == 2
    put(moto, bucket, "models/a/2", b"owt")
    summary, _ = verified(moto, storage, pointers, day=1)
    assert summary.changed == 1
    # Without --layout only the first object is seen, and nothing is said of the rest.
    summary, _ = verified(moto, storage, pointers, day=2, layout=False)
    assert summary.changed == 0
    summary, _ = verified(moto, storage, pointers, day=3)
    assert summary.changed == 1


@pytest.mark.parametrize("layout", [False, True])
def test_object_that_became_a_folder_was_replaced(
    moto: S3Server, storage: DirectoryStorage, bucket: str, *, layout: bool
) -> None:
    put(moto, bucket, "models/a")
    pointers = [registered(1, f"s3://{bucket}/models/a")]
    verified(moto, storage, pointers, layout=layout)
    moto.client().delete_object(Bucket=bucket, Key="models/a")
    put(moto, bucket, "models/a/x")
    assert verified(moto, storage, pointers, day=1, layout=layout)[0].changed == 1
    assert verified(moto, storage, pointers, day=2, layout=layout)[0].changed == 1
    moto.client().delete_object(Bucket=bucket, Key="models/a/x")
    put(moto, bucket, "models/a")
    assert verified(moto, storage, pointers, day=3, layout=layout)[0].changed == 0


def test_summary_holds_the_numbers_and_the_report_is_one_json_document(
    moto: S3Server, storage: DirectoryStorage, bucket: str
) -> None:
    pointers = [registered(1, f's3://{bucket}/é\\"x'), registered(2, "hf://x", model_state="ARCHIVED")]
    summary, _ = verified(moto, storage, pointers)
    assert newest_summary(storage, "registry") == summary
    assert summary.verdicts["missing"] == 1
    assert summary.archived == 1
    document = json.loads(b"".join(decompressed(storage.get(report_key("registry", summary.time)))))
    assert [each["verdict"] for each in document["artifacts"]] == ["missing", "unsupported"]
    assert document["registry"] == "registry"


def test_run_that_breaks_off_leaves_neither_report_nor_summary(moto: S3Server, storage: DirectoryStorage) -> None:
    def pointers() -> Iterator[Pointer]:
        yield registered(1, "hf://x")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        verified(moto, storage, pointers())  # type: ignore[arg-type] # anything that can be gone through
    assert list(storage.list()) == []


def test_damaged_report_is_no_reason_to_stop_looking(
    moto: S3Server, storage: DirectoryStorage, caplog: pytest.LogCaptureFixture
) -> None:
    summary, _ = verified(moto, storage, [registered(1, "hf://x")])
    key = report_key("registry", summary.time)
    storage.delete([key])
    storage.put(key, [b"no report"])
    summary, _ = verified(moto, storage, [registered(1, "hf://x")], day=1)
    assert summary.compared_with is None
    assert "cannot be compared" in caplog.text


@pytest.mark.parametrize("damaged", ["report", "summary"])
def test_report_that_is_damaged_leaves_the_one_before_it_to_compare_with(
    moto: S3Server, storage: DirectoryStorage, caplog: pytest.LogCaptureFixture, damaged: str
) -> None:
    good, _ = verified(moto, storage, [registered(1, "hf://x")])
    newest, _ = verified(moto, storage, [registered(1, "hf://x")], day=1)
    key = (report_key if damaged == "report" else summary_key)("registry", newest.time)
    storage.delete([key])
    storage.put(key, [b"{}"])
    summary, found = verified(moto, storage, [registered(1, "hf://x")], day=2)
    assert summary.compared_with == good.time
    assert found[1]["since"] == START.isoformat()
    assert newest.time in caplog.text


def test_summary_without_end_is_not_read_to_its_end(storage: DirectoryStorage, tmp_path: Path) -> None:
    key = summary_key("registry", time_name(START))
    storage.put(key, [b" "])
    os.truncate(tmp_path / key, 2**30)
    # Whoever reads on is told that the store broke off.
    assert newest_summary(FaultyStorage(storage, cut_after=2**25), "registry") is None


READING = """
import sys
from opskit.artifacts.report import newest_summary
from opskit.probe.evidence import newest_artifact_reports
from opskit.storage.opening import open_storage
storage = open_storage(sys.argv[1])
assert newest_summary(storage, "registry") is None
assert [each.readable for each in newest_artifact_reports(storage, "registry")] == [False]
"""


@pytest.mark.parametrize("content", [b'{"findings":[%s1]}' % (b"1," * 1_000_000), b"[%s[]]" % (b"[]," * 4_000_000)])
def test_hostile_summary_fills_no_memory(storage: DirectoryStorage, content: bytes) -> None:
    storage.put(summary_key("registry", time_name(START)), [content])
    assert measured([sys.executable, "-c", READING, storage.url]).peak_bytes < 200 * 2**20


def test_summary_of_very_long_names_leaves_findings_out_and_can_be_read(storage: DirectoryStorage) -> None:
    pointers = [registered(number, f"hf://{'x' * 60_000}") for number in range(400)]
    summary = verify(
        pointers, Places(), storage, Summary("registry", time_name(START), "database", layout=False, live_only=False)
    )
    assert 0 < len(summary.findings) < 400
    assert len(summary.findings) + summary.findings_left_out == 400
    assert newest_summary(storage, "registry") == summary


def test_report_waits_for_a_second_that_names_no_other(storage: DirectoryStorage) -> None:
    now = datetime.now(UTC)
    taken = [time_name(now + timedelta(seconds=seconds)) for seconds in range(2)]
    storage.put(report_key("registry", taken[0]), [b"x"])
    storage.put(report_key("registry", taken[1], aside=True), [b"x"])
    assert unused_time(storage, "registry") > taken[1]
    assert unused_time(storage, "other") >= taken[1]
