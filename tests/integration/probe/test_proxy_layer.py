"""The authenticating proxies, their certificates, and what is behind them."""

import ssl
from pathlib import Path

import pytest
import trustme

from opskit.probe.proxy import check
from opskit.probe.result import CheckResult, State
from opskit.probe.web import Web
from opskit.redaction import conceal
from opskit.settings.endpoints import HttpEndpoint
from tests.integration.probe.conftest import MARGIN_SECONDS, result_of
from tests.integration.probe.http_servers import (
    ABSENT,
    BAD_GATEWAY,
    FORBIDDEN,
    SIGN_IN,
    UNAUTHORIZED,
    Authority,
    Respond,
    always,
    behind_proxy,
    http_server,
    release,
)

TOKEN = "a-good-token"
OAUTH = behind_proxy(TOKEN, refusal=SIGN_IN, forbidden=SIGN_IN, upstream=release("2.22"))
KUBE_RBAC = behind_proxy(TOKEN, refusal=UNAUTHORIZED, forbidden=FORBIDDEN, upstream=release("2.24"))


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority.made_in(tmp_path)


def probed(url: str, ca_file: Path | None = None, token: str | None = TOKEN) -> CheckResult:
    web = Web(url, MARGIN_SECONDS, ca_file, lambda: token)
    return result_of(lambda: check(web, certificate_min_days=14), layer="proxy")


@pytest.mark.parametrize(
    ("respond", "name"), [(OAUTH, "oauth-proxy refuses strangers (403)"), (KUBE_RBAC, "kube-rbac-proxy refuses")]
)
def test_whole_chain_is_ok(authority: Authority, respond: Respond, name: str) -> None:
    with http_server(respond, authority.context()) as server:
        result = probed(server.url, authority.file)
    assert result.state is State.OK
    assert name in result.detail
    assert "through the proxy: models can be read" in result.detail
    assert result.values["certificate_expiry_timestamp_seconds"] > 0


def test_without_a_token_only_the_proxy_is_proved() -> None:
    with http_server(OAUTH) as server:
        result = probed(server.url, token=None)
    assert result.state is State.OK
    assert [each.state for each in result.findings] == [State.OK, State.NOT_APPLICABLE]


def test_token_that_cannot_be_read_is_unknown_though_the_proxy_is_alive(tmp_path: Path) -> None:
    endpoint = HttpEndpoint.model_validate({"url": "http://127.0.0.1", "token_file": tmp_path / "absent"})
    with http_server(OAUTH) as server:
        web = Web(server.url, MARGIN_SECONDS, None, endpoint.read_token)
        result = result_of(lambda: check(web, certificate_min_days=14), layer="proxy")
    assert [each.state for each in result.findings] == [State.OK, State.UNKNOWN]


@pytest.mark.parametrize(
    ("respond", "words"),
    [
        (always(BAD_GATEWAY), "the registry behind it is not (502)"),
        (behind_proxy(TOKEN, refusal=SIGN_IN, forbidden=SIGN_IN, upstream=always(BAD_GATEWAY)), "behind it is not"),
        (behind_proxy("another", refusal=UNAUTHORIZED, forbidden=FORBIDDEN, upstream=always(ABSENT)), "token may not"),
        (behind_proxy("another", refusal=SIGN_IN, forbidden=SIGN_IN, upstream=always(ABSENT)), "token may not get"),
        (release("2.22"), "the registry is open to everybody"),
        (always(ABSENT), "no proxy of a registry"),
    ],
)
def test_broken_chain_is_critical(respond: Respond, words: str) -> None:
    with http_server(respond) as server:
        result = probed(server.url)
    assert result.state is State.CRITICAL
    assert words in result.detail


def test_certificate_that_expires_soon_is_a_warning(authority: Authority) -> None:
    with http_server(OAUTH, authority.context(days=9.5)) as server:
        result = probed(server.url, authority.file)
    assert (result.state, result.detail) == (State.WARNING, "the certificate is valid for 9 days")
    assert result.runbook == "certificate-expiring"


def self_signed() -> ssl.SSLContext:
    """A certificate that nobody but itself vouches for."""
    authority = trustme.CA()
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with authority.private_key_pem.tempfile() as key, authority.cert_pem.tempfile() as certificate:
        context.load_cert_chain(certificate, key)
    return context


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("expired", "the certificate expired on 20"),
        ("self-signed", "the certificate cannot be verified: self-signed certificate"),
        ("wrong name", "the certificate cannot be verified: IP address mismatch"),
        ("another authority", "cannot be verified: unable to get local issuer"),
    ],
)
def test_certificate_that_cannot_be_trusted_is_critical_and_gets_no_token(
    authority: Authority, tmp_path: Path, kind: str, words: str
) -> None:
    (tmp_path / "another").mkdir()
    contexts = {
        "expired": authority.context(days=-1),
        "self-signed": self_signed(),
        "wrong name": authority.context("registry.example.com"),
        "another authority": Authority.made_in(tmp_path / "another").context(),
    }
    with http_server(OAUTH, contexts[kind]) as server:
        result = probed(server.url, authority.file)
        assert server.requests == []
    assert result.state is State.CRITICAL
    assert words in result.detail
    assert result.runbook == "certificate-expiring"


def test_token_is_never_shown(authority: Authority) -> None:
    echo = behind_proxy(
        TOKEN, refusal=SIGN_IN, forbidden=SIGN_IN, upstream=lambda _, token: (500, "text/plain", str(token))
    )
    with http_server(echo, authority.context()) as server:
        conceal(TOKEN)
        result = probed(server.url, authority.file)
    assert result.state is State.CRITICAL
    assert TOKEN not in repr(result)
