"""Every release of the REST API, well and broken, over a true socket."""

import threading
from pathlib import Path

import pytest

from opskit.probe.rest import check
from opskit.probe.result import CheckResult, State
from opskit.probe.web import Web
from tests.integration.probe.conftest import MARGIN_SECONDS, result_of
from tests.integration.probe.http_servers import (
    ABSENT,
    FORBIDDEN,
    NO_STORE,
    SIGN_IN,
    UNHEALTHY,
    Authority,
    Reply,
    Respond,
    always,
    behind_proxy,
    http_server,
    release,
)

FAILED: Reply = (500, "application/json", '{"code":"500","message":"mysql_real_connect failed"}')
DIRTY: Reply = (503, "text/plain", "database schema is in dirty state")


def probed(url: str, token: str | None = None, ca_file: Path | None = None, deadline: float = 30) -> CheckResult:
    web = Web(url, MARGIN_SECONDS, ca_file, lambda: token)
    return result_of(lambda: check(web, certificate_min_days=14), layer="rest", deadline=deadline)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("2.22", "RHOAI up to 2.22, v1alpha3: models can be read"),
        ("2.23", "RHOAI 2.23, v1alpha3: models can be read"),
        ("2.24", "ready and healthy; RHOAI from 2.24 on, v1alpha3: models can be read"),
        ("3.6", "v1alpha3: models can be read; RHOAI from 2.24 on, v1: models can be read"),
    ],
)
def test_release_is_recognised(name: str, words: str) -> None:
    with http_server(release(name)) as server:
        result = probed(server.url)
    assert result.state is State.OK
    assert words in result.detail


@pytest.mark.parametrize(
    ("respond", "words"),
    [
        (always(NO_STORE), "not ready (503: Datastore service is down or unavailable."),
        (release("2.22", models=FAILED), "v1alpha3: a model cannot be read (500: mysql_real_connect failed)"),
        (release("2.23", dirty=DIRTY), "not ready (503: database schema is in dirty state)"),
        (release("2.24", health=UNHEALTHY), "not healthy: model-registry: failed to list registered models"),
        (release("2.24", health=(503, "text/plain", "model registry service not yet initialized")), "not yet init"),
        (release("2.22", models=(200, "text/html", "<p>hello")), "answers with text/html, not with a list of models"),
        (release("2.22", models=(200, "application/json", "[]")), "not with a list of models"),
        (always(ABSENT), "no Model Registry answers here (404)"),
    ],
)
def test_broken_registry_is_critical(respond: Respond, words: str) -> None:
    with http_server(respond) as server:
        result = probed(server.url)
    assert result.state is State.CRITICAL
    assert words in result.detail


def test_dirty_schema_names_its_runbook() -> None:
    with http_server(release("2.23", dirty=DIRTY)) as server:
        assert probed(server.url).runbook == "schema-dirty"


@pytest.mark.parametrize("reply", [SIGN_IN, FORBIDDEN])
def test_refused_token_is_unknown(reply: Reply) -> None:
    with http_server(always(reply)) as server:
        result = probed(server.url, token="old")
    assert result.state is State.UNKNOWN
    assert "registry-user-" in str(result.hint)


def test_nobody_there_is_critical() -> None:
    with http_server(release("2.22")) as server:
        pass
    result = probed(server.url)
    assert result.state is State.CRITICAL
    assert "no answer from http://127.0.0.1" in result.detail


def test_hang_is_critical_at_the_deadline() -> None:
    release_it = threading.Event()

    def hang(_path: str, _token: str | None) -> Reply:
        release_it.wait()
        return ABSENT

    with http_server(hang) as server:
        result = probed(server.url, deadline=0.3)
        release_it.set()
    assert (result.state, result.detail) == (State.CRITICAL, "no answer within 0.3 s")


def test_token_file_is_read_again_at_each_probe(tmp_path: Path) -> None:
    token = tmp_path / "token"
    respond = behind_proxy("second-token", refusal=SIGN_IN, forbidden=SIGN_IN, upstream=release("2.22"))
    with http_server(respond) as server:
        web = Web(server.url, MARGIN_SECONDS, None, token.read_text)
        token.write_text("first-token")
        first = result_of(lambda: check(web, certificate_min_days=14))
        token.write_text("second-token")
        second = result_of(lambda: check(web, certificate_min_days=14))
    assert [first.state, second.state] == [State.UNKNOWN, State.OK]


def test_certificate_is_verified_and_its_days_are_counted(tmp_path: Path) -> None:
    authority = Authority.made_in(tmp_path)
    with http_server(release("2.24"), authority.context()) as server:
        trusted = probed(server.url, ca_file=authority.file)
        beside = Web(server.url, MARGIN_SECONDS, extra_ca_file=authority.file)
        trusted_beside = result_of(lambda: check(beside, certificate_min_days=14))
        untrusted = probed(server.url)
    assert (trusted.state, trusted_beside.state) == (State.OK, State.OK)
    assert "the certificate is valid for 89 days" in trusted.detail
    assert untrusted.state is State.CRITICAL
    assert "cannot be verified" in untrusted.detail


@pytest.mark.parametrize(
    ("days", "state", "words"),
    [
        (9.5, State.WARNING, "the certificate is valid for 9 days"),
        (-1, State.CRITICAL, "the certificate expired on 20"),
    ],
)
def test_certificate_that_ends_is_told(tmp_path: Path, days: float, state: State, words: str) -> None:
    authority = Authority.made_in(tmp_path)
    with http_server(release("2.24"), authority.context(days=days)) as server:
        result = probed(server.url, ca_file=authority.file)
    assert (result.state, result.runbook) == (state, "certificate-expiring")
    assert words in result.detail


def test_redirect_is_not_followed() -> None:
    with http_server(release("2.22")) as elsewhere:

        def respond(path: str, _token: str | None) -> Reply:
            return (302, "text/html", elsewhere.url + path)

        with http_server(respond) as server:
            assert probed(server.url, token="secret-token").state is State.CRITICAL
        assert elsewhere.requests == []
