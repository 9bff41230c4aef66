"""Documents, images and files: what each answer means."""

import json
import os
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from opskit.artifacts.files import Mount
from opskit.artifacts.folder import LARGEST
from opskit.artifacts.hosts import Host, Hosts, body_of
from opskit.artifacts.origin import origin_of
from opskit.artifacts.search import Options, Places, find_all
from opskit.artifacts.verdict import Finding
from opskit.artifacts.watched import HttpPool, all_within
from opskit.errors import UnavailableError
from tests.dripping import HANDSHAKE, HEAD, WHOLE, dripping
from tests.integration.artifacts.registered import registered
from tests.wire import Answer, Request, Upstream, Wire, answer, recorded

DIGEST = "sha256:" + "a" * 64


@pytest.fixture
def wire() -> Iterator[Wire]:
    with recorded(0) as wire:
        yield wire


def said(where: Places, uri: str, *, layout: bool = False, format_name: str = "") -> Finding:
    [(_, finding)] = find_all([registered(1, uri, format_name=format_name)], where, Options(layout=layout))
    return finding


def at(wire: Wire, **options: object) -> Places:
    return Places(hosts=Hosts([Host(wire.endpoint, **options)], attempts=2))  # type: ignore[arg-type] # as the test wants it


STATUSES = {
    200: "present",
    204: "present",
    404: "missing",
    410: "missing",
    401: "denied",
    403: "denied",
    400: "unreachable",
    418: "unreachable",
    429: "unreachable",
    500: "unreachable",
    502: "unreachable",
    503: "unreachable",
}


@pytest.mark.parametrize("status", STATUSES)
def test_status_of_a_document(wire: Wire, status: int) -> None:
    wire.answering = lambda _request, _upstream: answer(status, "" if status == 204 else "bytes").without_length()
    assert said(at(wire), f"{wire.endpoint}/a/b.onnx?v=1").verdict == STATUSES[status]
    assert {each.target for each in wire.requests} == {"/a/b.onnx?v=1"}


@pytest.mark.parametrize("refusal", [405, 501])
def test_server_without_head_is_asked_for_one_byte(wire: Wire, refusal: int) -> None:
    def answering(request: Request, _: Upstream) -> Answer:
        if request.method == "HEAD":
            return answer(refusal)
        assert request.headers["Range"] == "bytes=0-0"
        return answer(206, "b", **{"Content-Range": "bytes 0-0/700"})

    wire.answering = answering
    finding = said(at(wire), f"{wire.endpoint}/x")
    assert finding.verdict == "present"
    assert finding.fingerprint is not None
    assert finding.fingerprint.size == 700


def test_document_without_a_byte_is_empty(wire: Wire) -> None:
    wire.answering = lambda _request, _upstream: answer(200)
    assert said(at(wire), f"{wire.endpoint}/x").verdict == "empty"


def test_length_of_thousands_of_digits_stops_nothing(wire: Wire) -> None:
    wire.answering = lambda _request, _upstream: answer(200, **{"Content-Length": "9" * 5000}).without_length()
    assert said(at(wire), f"{wire.endpoint}/x").verdict == "present"


def test_document_that_only_head_calls_empty_is_present(wire: Wire) -> None:
    wire.answering = lambda request, _upstream: answer(200, "" if request.method == "HEAD" else "bytes")
    assert said(at(wire), f"{wire.endpoint}/x").verdict == "present"


def test_redirects_between_configured_hosts_are_followed_but_not_without_end(wire: Wire) -> None:
    wire.answering = lambda request, _upstream: (
        answer(200, "bytes") if request.path == "/there" else answer(307, Location="/there")
    )
    assert said(at(wire), f"{wire.endpoint}/x").verdict == "present"
    wire.answering = lambda _request, _upstream: answer(307, Location="/again")
    assert said(at(wire), f"{wire.endpoint}/x").verdict == "unreachable"


def test_server_that_does_not_answer_is_unreachable() -> None:
    hosts = Hosts([Host("http://127.0.0.1:1")], attempts=1)
    assert said(Places(hosts=hosts), "http://127.0.0.1:1/x").verdict == "unreachable"


@pytest.mark.parametrize(("scheme", "beginning"), [("http", b""), ("https", HANDSHAKE)], ids=["headers", "handshake"])
def test_server_that_drips_is_given_up(scheme: str, beginning: bytes) -> None:
    with dripping(beginning) as port:
        url = f"{scheme}://127.0.0.1:{port}"
        finding = said(Places(hosts=Hosts([Host(url)], whole_seconds=0.5)), f"{url}/x")
    assert (finding.verdict, finding.detail) == ("unreachable", f"{url}: no whole answer within 0.5 s")


def test_token_that_drips_is_given_up() -> None:
    with dripping(HEAD) as port:
        url = f"http://127.0.0.1:{port}"
        hosts = Hosts([Host(url)], whole_seconds=0.5)
        origin = origin_of(url)
        assert origin
        with pytest.raises(UnavailableError, match="no whole answer"), hosts.ask("GET", origin, "/token", {}) as reply:
            body_of(reply)


def test_connection_that_was_left_open_has_a_deadline_for_each_request() -> None:
    with dripping(b"", first=WHOLE) as port, HttpPool("127.0.0.1", port, retries=False) as pool:
        assert pool.request("GET", "/").status == 200
        with pytest.raises(TimeoutError, match="no whole answer"), all_within(0.5):
            pool.request("GET", "/")
        assert pool.num_connections == 1


def test_server_that_drips_is_not_asked_for_ever() -> None:
    with dripping(HEAD) as port:
        url = f"http://127.0.0.1:{port}"
        hosts = Hosts([Host(url)], whole_seconds=0.1)
        origin = origin_of(url)
        assert origin
        for _ in range(5):
            with pytest.raises(UnavailableError, match="no whole answer"), hosts.ask("GET", origin, "/", {}) as reply:
                body_of(reply)
        with pytest.raises(UnavailableError, match="not asked any more"), hosts.ask("GET", origin, "/", {}):
            pass


def test_image_is_asked_for_by_its_manifest_with_a_token(wire: Wire) -> None:
    def answering(request: Request, _: Upstream) -> Answer:
        if request.path == "/token":
            assert request.query == {"service": ["registry"], "scope": ["repository:team/model:pull"]}
            return answer(200, json.dumps({"token": "a-token"}))
        if request.headers["Authorization"] != "Bearer a-token":
            realm = f'Bearer realm="{wire.endpoint}/token",service="registry",scope="registry:catalog:*"'
            return answer(401, **{"WWW-Authenticate": realm})
        if request.path == "/v2/team/model/manifests/v1":
            return answer(200, "{}", **{"Docker-Content-Digest": DIGEST})
        return answer(404)

    wire.answering = answering
    where = at(wire, login=lambda: ("robot", "secret"))
    host = wire.endpoint.removeprefix("http://")
    finding = said(where, f"oci://{host}/team/model:v1")
    assert finding.verdict == "present"
    assert finding.fingerprint is not None
    assert finding.fingerprint.tag == DIGEST
    first, token, second = wire.requests
    assert first.method == second.method == "HEAD"
    assert first.headers["Authorization"] is None
    assert token.headers["Authorization"] == "Basic cm9ib3Q6c2VjcmV0"
    assert set(first.headers["Accept"].split(", ")) == {
        "application/vnd.oci.image.manifest.v1+json",
        "application/vnd.oci.image.index.v1+json",
        "application/vnd.docker.distribution.manifest.v2+json",
        "application/vnd.docker.distribution.manifest.list.v2+json",
    }
    assert said(where, f"oci://{host}/team/model:v2").verdict == "missing"


def test_token_of_one_registry_is_not_sent_to_where_it_redirects(wire: Wire) -> None:
    with recorded(0) as other:

        def answering(request: Request, _: Upstream) -> Answer:
            if request.path == "/token":
                return answer(200, json.dumps({"token": "a-token"}))
            if request.headers["Authorization"] is None:
                return answer(401, **{"WWW-Authenticate": f'Bearer realm="{wire.endpoint}/token"'})
            return answer(307, Location=f"{other.endpoint}/blob")

        wire.answering = answering
        other.answering = lambda _request, _upstream: answer(200, "{}")
        where = Places(hosts=Hosts([Host(wire.endpoint), Host(other.endpoint)], attempts=1))
        assert said(where, f"oci://{wire.endpoint.removeprefix('http://')}/m").verdict == "present"
        assert [each.headers["Authorization"] for each in other.requests] == [None]


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"token": 1}', '{"token": "a b"}', "[" * 5000])
def test_token_service_that_gives_no_token_says_nothing_of_the_image(wire: Wire, body: str) -> None:
    realm = f'Bearer realm="{wire.endpoint}/token"'
    wire.answering = lambda request, _upstream: (
        answer(200, body) if request.path == "/token" else answer(401, **{"WWW-Authenticate": realm})
    )
    host = wire.endpoint.removeprefix("http://")
    assert said(at(wire), f"oci://{host}/team/model").verdict == "unreachable"


def test_registry_that_wants_a_login_gets_it(wire: Wire) -> None:
    wire.answering = lambda request, _upstream: (
        answer(200, "{}")
        if request.headers["Authorization"] == "Basic cm9ib3Q6c2VjcmV0"
        else answer(401, **{"WWW-Authenticate": 'Basic realm="x"'})
    )
    host = wire.endpoint.removeprefix("http://")
    assert said(at(wire, login=lambda: ("robot", "secret")), f"oci://{host}/m").verdict == "present"
    assert said(at(wire), f"oci://{host}/m").verdict == "denied"


# Files


@pytest.fixture
def mounted(tmp_path: Path) -> Places:
    root = tmp_path / "mount"
    (root / "model" / "1").mkdir(parents=True)
    (root / "model" / "1" / "model.xml").write_text("<net/>")
    (root / "model" / "1" / "model.bin").write_text("weights")
    (root / "empty").mkdir()
    (root / "zero").write_text("")
    (root / "file.onnx").write_text("x")
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside" / "secret").write_text("secret")
    (root / "link").symlink_to(tmp_path / "outside")
    (root / "link-to-file").symlink_to(tmp_path / "outside" / "secret")
    (root / "model" / "inner").symlink_to(root / "file.onnx")
    os.mkfifo(root / "pipe")
    return Places(
        mounts=[Mount("pvc://models", root), Mount("file:///mnt/models/", root), Mount("pvc://gone", tmp_path / "gone")]
    )


FILES = {
    "pvc://models/model": "present",
    "pvc://models/model/1/model.xml": "present",
    "file:///mnt/models/file.onnx": "present",
    "file:///mnt/models": "present",
    "pvc://models": "present",
    "pvc://models/empty": "empty",
    "pvc://models/zero": "empty",
    "pvc://models/nothing": "missing",
    "pvc://models/file.onnx/below": "missing",
    "pvc://models/link": "unsupported",
    "pvc://models/link/secret": "unsupported",
    "pvc://models/link-to-file": "unsupported",
    "pvc://models/model/inner": "unsupported",
    "pvc://models/pipe": "unsupported",
    "pvc://models/../outside/secret": "malformed",
    "file:///mnt/models/../../outside/secret": "malformed",
    "pvc://other/model": "endpoint-not-allowed",
    "pvc://models-2/model": "endpoint-not-allowed",
    "file:///mnt/models2/model": "endpoint-not-allowed",
    "file:///etc/passwd": "endpoint-not-allowed",
    "pvc://gone/model": "unreachable",
}


@pytest.mark.parametrize("uri", FILES)
def test_files_under_mounts_and_no_others(mounted: Places, uri: str) -> None:
    assert said(mounted, uri).verdict == FILES[uri]


def test_links_within_a_folder_are_not_followed_either(mounted: Places) -> None:
    finding = said(mounted, "pvc://models/model", layout=True, format_name="openvino_ir")
    assert finding.failures == ()
    assert finding.fingerprint is not None
    assert finding.fingerprint.objects == 2


def test_name_that_is_no_text_stops_nothing(mounted: Places, tmp_path: Path) -> None:
    (tmp_path / "mount" / "model" / os.fsdecode(b"\xff.txt")).write_text("x")
    finding = said(mounted, "pvc://models/model", layout=True, format_name="openvino_ir")
    assert finding.verdict == "present"
    assert finding.fingerprint is not None
    assert finding.fingerprint.objects == 3


def test_folder_with_too_many_files_says_that_its_layout_was_not_judged(mounted: Places, tmp_path: Path) -> None:
    model = tmp_path / "mount" / "model" / "1"
    for number in range(LARGEST):
        (model / f"{number}.txt").hardlink_to(model / "model.bin")
    finding = said(mounted, "pvc://models/model", layout=True, format_name="openvino_ir")
    assert finding.verdict == "present"
    assert finding.failures == ()
    assert finding.warnings == ("10,000 objects and more: the layout was not judged",)


@pytest.mark.parametrize("seconds", [-1e12, 1e12])
def test_time_beyond_the_calendar_stops_nothing(seconds: float) -> None:
    # A file system in memory keeps any time; others shorten it.
    with TemporaryDirectory(dir="/dev/shm") as folder:
        model = Path(folder) / "model.onnx"
        model.write_text("x")
        os.utime(model, (seconds, seconds))
        assert (
            said(Places(mounts=[Mount("pvc://models", Path(folder))]), "pvc://models/model.onnx").verdict == "present"
        )


def test_no_file_stays_open(mounted: Places) -> None:
    opened = Path("/proc/self/fd")
    before = len(list(opened.iterdir()))
    for uri in FILES:
        said(mounted, uri)
    assert len(list(opened.iterdir())) == before
