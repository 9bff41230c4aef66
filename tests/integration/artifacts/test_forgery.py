"""Whatever a registry points to, no connection leaves but to what the configuration names."""

import socket
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from opskit.artifacts.addresses import forbidden
from opskit.artifacts.files import Mount
from opskit.artifacts.hosts import Host, Hosts
from opskit.artifacts.search import Places, find_all
from opskit.artifacts.stores import Store, Stores
from opskit.artifacts.verdict import Finding
from tests.integration.artifacts.registered import registered
from tests.wire import Wire, answer, recorded

Resolver = Callable[[str], list[str]]


@dataclass
class Outside:
    """Every look-up and every connection of this process while it is watched; connections outside are refused."""

    allowed_port: int = 0
    watching: bool = False
    looked_up: list[str] = field(default_factory=list)
    connected: list[object] = field(default_factory=list)

    def see(self, event: str, arguments: tuple[object, ...]) -> None:
        if not self.watching:
            return
        if event == "socket.getaddrinfo":
            self.looked_up.append(str(arguments[0]))
        if event in ("socket.connect", "socket.sendto", "socket.sendmsg"):
            self.connected.append(arguments[1])
            if arguments[1] != ("127.0.0.1", self.allowed_port):
                raise ConnectionRefusedError("a connection that must not leave")

    @property
    def leaks(self) -> list[object]:
        return [address for address in self.connected if address != ("127.0.0.1", self.allowed_port)]


OUTSIDE = Outside()
sys.addaudithook(OUTSIDE.see)


@pytest.fixture
def wire() -> Iterator[Wire]:
    """A server that is configured, and the only one that may be connected to."""
    with recorded(0) as wire:
        wire.answering = lambda _request, _upstream: answer(200, "bytes")
        yield wire


@pytest.fixture
def outside(wire: Wire, monkeypatch: pytest.MonkeyPatch) -> Iterator[Outside]:
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    OUTSIDE.allowed_port = int(wire.endpoint.rpartition(":")[2])
    OUTSIDE.looked_up.clear()
    OUTSIDE.connected.clear()
    OUTSIDE.watching = True
    yield OUTSIDE
    OUTSIDE.watching = False


def key() -> tuple[str, str]:
    return "KEY", "secret"


def places(wire: Wire, tmp_path: Path, *hosts: Host) -> Places:
    store = Store(endpoint=wire.endpoint, access_key=key, max_attempts=1, region="us-east-1")
    return Places(
        Stores([store]), Hosts([Host(wire.endpoint), *hosts], attempts=1), [Mount("file:///mnt/models", tmp_path)]
    )


def said(where: Places, uri: str) -> Finding:
    [(_, finding)] = find_all([registered(1, uri)], where)
    return finding


HOSTILE = [
    "s3://models/a?endpoint=http://169.254.169.254",
    "s3://models/a?endpoint=http%3A%2F%2F169.254.169.254%2Flatest",
    "s3://models/a?endpoint=http://evil.example",
    "s3://models/a?endpoint={configured}@evil.example",
    "s3://models/a?endpoint=http://user@127.0.0.1:{port}",
    "s3://models/a?endpoint={configured}/../..",
    "s3://models/a?endpoint={configured}%00.evil.example",
    "s3://models/a?endpoint=http://127.0.0.1:{port}%5c.evil.example",
    "s3://models/a?endpoint=http://2130706433:{port}",
    "s3://models/a?endpoint=http://0x7f000001:{port}",
    "s3://models/a?endpoint=http://localhost:{port}",
    "s3://models/a?endpoint=http://[::ffff:127.0.0.1]:{port}",
    "s3://models/a?endpoint=file:///etc/passwd",
    "s3://models/a?endpoint=https://s3.amazonaws.com",
    "s3://models/a?endpoint={configured}&endpoint=http://evil.example",
    "s3://user:pw@models/a",
    "s3://models/../../etc/passwd",
    "s3://169.254.169.254:80/a/..",
    "http://169.254.169.254/latest/meta-data/",
    "http://[fd00:ec2::254]/latest/meta-data/",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://2852039166/latest/meta-data/",
    "http://0xa9fea9fe/",
    "http://0251.0376.0251.0376/",
    "http://127.1:{port}/",
    "http://localhost:{port}/",
    "http://0.0.0.0:{port}/",
    "http://127.0.0.1:{port}@evil.example/",
    "http://evil.example#@127.0.0.1:{port}/",
    "http://evil.example\\@127.0.0.1:{port}/",
    "http://127.0.0.1:{port}\\.evil.example/",
    "http://127.0.0.1:{port}.evil.example/",
    "http://127.0.0.1.:1{port}/",
    "http://127.0.0.1%2eevil.example/",
    "http://evil.example/",
    "https://127.0.0.1:{port}1/",
    "oci://evil.example/model:v1",
    "oci://169.254.169.254/model:v1",
    "oci://127.0.0.1:{port}@evil.example/model",
    "oci://team/model",
    "file:///etc/passwd",
    "file:///mnt/models/../../etc/passwd",
    "file:///mnt/models-of-others/x",
    "file://evil.example/mnt/models/x",
    "pvc://models/../../etc/passwd",
    "gopher://127.0.0.1:{port}/",
    "hf://evil/model",
    "gs://evil/model",
    "jar:http://169.254.169.254/!/",
]


@pytest.mark.parametrize("uri", HOSTILE)
def test_nothing_leaves_for_a_hostile_uri(uri: str, wire: Wire, outside: Outside, tmp_path: Path) -> None:
    where = places(wire, tmp_path)
    finding = said(where, uri.format(configured=wire.endpoint, port=outside.allowed_port))
    assert finding.verdict in ("endpoint-not-allowed", "malformed", "unsupported")
    assert outside.connected == []
    assert outside.looked_up == []


REDIRECTS = [
    "http://169.254.169.254/latest/meta-data/",
    "http://localhost/",
    "//evil.example/x",
    "http://127.0.0.1:1/",
    "file:///etc/passwd",
    "http://user@{host}/",
    "http://[::1/",
    "http://[::1]:99999999/",
]


@pytest.mark.parametrize("to", REDIRECTS)
@pytest.mark.parametrize("scheme", ["http", "oci"])
def test_redirect_to_where_nothing_is_configured_is_not_followed(
    scheme: str, to: str, wire: Wire, outside: Outside, tmp_path: Path
) -> None:
    location = to.format(host=wire.endpoint.removeprefix("http://"))
    wire.answering = lambda _request, _upstream: answer(302, Location=location)
    uri = f"{scheme}://{wire.endpoint.removeprefix('http://')}/model"
    assert said(places(wire, tmp_path), uri).verdict == "endpoint-not-allowed"
    assert outside.leaks == []
    assert len(wire.requests) == 1


REALMS = [
    "http://169.254.169.254/token",
    "https://evil.example/token",
    "http://localhost/token",
    "file:///etc/passwd",
    "http://user:pw@127.0.0.1/token",
    "",
]


@pytest.mark.parametrize("realm", REALMS)
def test_token_is_not_asked_for_where_nothing_is_configured(
    realm: str, wire: Wire, outside: Outside, tmp_path: Path
) -> None:
    challenge = f'Bearer realm="{realm}",service="registry"'
    wire.answering = lambda _request, _upstream: answer(401, **{"WWW-Authenticate": challenge})
    finding = said(places(wire, tmp_path), f"oci://{wire.endpoint.removeprefix('http://')}/model")
    assert finding.verdict == "endpoint-not-allowed"
    assert outside.leaks == []
    assert [each.path for each in wire.requests] == ["/v2/model/manifests/latest"]


def resolving(monkeypatch: pytest.MonkeyPatch, resolve: Resolver) -> None:
    """Have names below .test mean what a test wants, as somebody's DNS server may."""
    ask = socket.getaddrinfo

    def getaddrinfo(host: str, port: int | None, *rest: object, **options: object) -> object:
        if not str(host).endswith(".test"):
            return ask(host, port, *rest, **options)  # type: ignore[arg-type] # handed on
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port or 0)) for address in resolve(host)]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)


@pytest.mark.parametrize("address", ["169.254.169.254", "100.100.100.200", "168.63.129.16", "0.0.0.1"])
def test_configured_name_that_leads_to_a_metadata_service_is_not_connected_to(
    address: str, wire: Wire, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, lambda _: ["93.184.216.34", address])
    assert said(places(wire, tmp_path, Host("http://models.test")), "http://models.test/x").verdict == (
        "endpoint-not-allowed"
    )
    store = Store(endpoint="http://s3.test", access_key=key, max_attempts=1, region="us-east-1")
    assert said(Places(Stores([store])), "s3://models/a").verdict == "endpoint-not-allowed"
    assert outside.connected == []


def test_name_below_a_wildcard_may_not_lead_inwards(
    wire: Wire, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    resolving(monkeypatch, lambda _: ["127.0.0.1"])
    port = outside.allowed_port
    below = places(wire, tmp_path, Host(f"http://*.models.test:{port}"))
    assert said(below, f"http://cdn.models.test:{port}/x").verdict == "endpoint-not-allowed"
    assert outside.connected == []
    by_name = places(wire, tmp_path, Host(f"http://cdn.models.test:{port}"))
    assert said(by_name, f"http://cdn.models.test:{port}/x").verdict == "present"


def test_name_that_changes_between_two_look_ups_is_looked_up_once(
    wire: Wire, outside: Outside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [["93.184.216.34"], ["127.0.0.1"], ["169.254.169.254"]]
    resolving(monkeypatch, lambda _: answers.pop(0))
    port = outside.allowed_port
    finding = said(places(wire, tmp_path, Host(f"http://*.test:{port}")), f"http://models.test:{port}/x")
    assert finding.verdict == "unreachable"
    assert outside.connected == [("93.184.216.34", port)]
    assert len(answers) == 2


def test_name_of_a_store_that_changes_is_looked_up_for_each_connection_and_judged_each_time(
    outside: Outside, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = [["93.184.216.34"], ["169.254.169.254"], ["93.184.216.34"]]
    resolving(monkeypatch, lambda _: answers.pop(0))
    port = outside.allowed_port
    where = Places(
        Stores([Store(endpoint=f"http://s3.test:{port}", access_key=key, max_attempts=1, region="us-east-1")])
    )
    assert said(where, "s3://models/a").verdict == "unreachable"
    assert outside.connected == [("93.184.216.34", port)]
    assert len(answers) == 2
    assert said(where, "s3://models/a").verdict == "endpoint-not-allowed"
    assert outside.connected == [("93.184.216.34", port)]


S3_REDIRECTS = [
    (301, {"Location": "http://169.254.169.254/"}),
    (302, {"Location": "http://evil.example/"}),
    (307, {"Location": "http://127.0.0.1:1/models/a"}),
    (307, {"Location": "http://169.254.169.254/", "x-amz-bucket-region": "eu-west-1"}),
    (301, {"x-amz-bucket-region": "eu-west-1"}),
    (301, {"x-amz-bucket-region": "x.evil.example/#"}),
    (400, {"x-amz-bucket-region": "evil.example"}),
]


@pytest.mark.parametrize(("status", "headers"), S3_REDIRECTS)
@pytest.mark.parametrize("code", ["PermanentRedirect", "TemporaryRedirect", "AuthorizationHeaderMalformed"])
def test_store_that_redirects_is_not_followed(
    code: str, status: int, headers: dict[str, str], wire: Wire, outside: Outside, tmp_path: Path
) -> None:
    said_of_it = (
        f"<Error><Code>{code}</Code><Message>go on</Message><Region>evil.example</Region>"
        "<Endpoint>evil.example</Endpoint><Bucket>models</Bucket></Error>"
    )
    wire.answering = lambda _request, _upstream: answer(status, said_of_it, **headers)
    assert said(places(wire, tmp_path), "s3://models/a").verdict == "unreachable"
    assert wire.requests
    assert outside.leaks == []
    assert set(outside.looked_up) <= {"127.0.0.1"}


def test_amazon_s_own_endpoint_may_not_be_private(outside: Outside, monkeypatch: pytest.MonkeyPatch) -> None:
    ask = socket.getaddrinfo

    def inwards(_host: str, port: int | None, *rest: object, **options: object) -> object:
        return ask("127.0.0.1", port, *rest, **options)  # type: ignore[arg-type] # handed on

    monkeypatch.setattr(socket, "getaddrinfo", inwards)
    store = Store(access_key=key, max_attempts=1, region="us-east-1")
    assert said(Places(Stores([store])), "s3://models/a").verdict == "endpoint-not-allowed"
    assert outside.connected == []


def test_login_of_one_host_is_not_sent_to_another(wire: Wire) -> None:
    with recorded(0) as other:
        other.answering = lambda _request, _upstream: answer(200, "bytes")
        wire.answering = lambda _request, _upstream: answer(302, Location=f"{other.endpoint}/x")
        hosts = Hosts(
            [Host(wire.endpoint, token=lambda: "token-of-one"), Host(other.endpoint, login=lambda: ("user", "pw"))]
        )
        assert said(Places(hosts=hosts), f"{wire.endpoint}/x").verdict == "present"
        assert [each.headers["Authorization"] for each in wire.requests] == ["Bearer token-of-one"]
        assert [each.headers["Authorization"] for each in other.requests] == ["Basic dXNlcjpwdw=="]


@pytest.mark.parametrize(
    "address",
    [
        "169.254.169.254",
        "169.254.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "0.0.0.0",  # noqa: S104 - judged, not bound to
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::ffff:127.0.0.1",
        "::ffff:8.8.8.8",
        "::127.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b:1::1",
        "2002:7f00:1::",
        "2001:0:1::1",
        "fd00:ec2::254",
        "fe80::1",
        "ff02::1",
    ],
)
def test_address_is_refused_whatever_is_configured(address: str) -> None:
    assert forbidden(address, private=True)
    assert forbidden(address, private=False)


@pytest.mark.parametrize(
    "address", ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "::1", "fc00::1", "fec0::1"]
)
def test_private_address_is_allowed_by_name_only(address: str) -> None:
    assert not forbidden(address, private=True)
    assert forbidden(address, private=False)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1"])
def test_public_address_is_allowed(address: str) -> None:
    assert not forbidden(address, private=False)
