"""The REST API: which release answers, and whether it reaches its database.

What each release answers is in the sources of kubeflow/model-registry: up to RHOAI 2.22 the only health is a real
request; `/readyz/isDirty` came with 2.23, `/readyz/health` with 2.24, `/api/model_registry/v1` beside v1alpha3 in 2026.
"""

import json
from collections.abc import Iterator
from typing import Any

from opskit.errors import ConfigurationError
from opskit.probe.certificate import judged_certificate
from opskit.probe.result import Finding, State
from opskit.probe.web import Answer, Web, get, peer_certificate

API = "/api/model_registry"
MODELS = "registered_models?pageSize=1&orderBy=ID"
DIRTY = "/readyz/isDirty"
HEALTH = "/readyz/health?format=json"

_FORBIDDEN = (401, 403)
_OK = 200
_NOT_FOUND = 404
_UNAVAILABLE = 503
_TOKEN_HINT = "bind opskit's ServiceAccount to the Role registry-user-<name>, and set token_file"  # noqa: S105 - no token


def check(web: Web, *, certificate_min_days: int) -> Iterator[Finding]:
    """Ask for readiness where the release knows it, and for the first model."""
    if web.encrypted:
        yield judged_certificate(peer_certificate(web), certificate_min_days)
    token = web.read_token()
    try:
        ready = get(web, DIRTY, token=token)
    except ConfigurationError as error:  # TLS: the server answered, and is not what it should be
        yield Finding(State.CRITICAL, error.message, error.hint)
        return
    if ready.status in _FORBIDDEN:
        yield Finding(State.UNKNOWN, f"asks for another token than this ({ready.status})", _TOKEN_HINT)
        return
    if ready.status not in (_OK, _NOT_FOUND):
        yield _refusal(ready, "not ready")
        return
    release = "RHOAI up to 2.22"
    if ready.status == _OK:
        health = get(web, HEALTH, token=token)
        release = "RHOAI 2.23" if health.status == _NOT_FOUND else "RHOAI from 2.24 on"
        if health.status != _NOT_FOUND:
            yield judged_health(health)
    yield from _models(web, token, release)


def _models(web: Web, token: str | None, release: str) -> Iterator[Finding]:
    answers = {version: get(web, f"{API}/{version}/{MODELS}", token=token) for version in ("v1alpha3", "v1")}
    known = {version: answer for version, answer in answers.items() if answer.status != _NOT_FOUND}
    if not known:
        yield Finding(State.CRITICAL, "no Model Registry answers here (404)", "look at the configured url")
    for version, answer in known.items():
        finding = judged_models(answer)
        yield Finding(finding.state, f"{release}, {version}: {finding.detail}", finding.hint, finding.runbook)


def judged_models(answer: Answer) -> Finding:
    """Judge the answer to a request for the first model."""
    if answer.status != _OK:
        return _refusal(answer, "a model cannot be read")
    document = _json(answer)
    if not isinstance(document, dict) or not isinstance(document.get("items"), list):
        return Finding(
            State.CRITICAL,
            f"answers with {answer.content_type}, not with a list of models",
            "this is another server, or a login page: look at the configured url",
        )
    return Finding(State.OK, "models can be read")


def judged_health(answer: Answer) -> Finding:
    """Judge what `/readyz/health` says: JSON where the release can, else plain text."""
    document = _json(answer)
    if isinstance(document, dict) and str(document.get("status")).lower() == "fail":
        return Finding(State.CRITICAL, f"not healthy: {_complaints(document)}", "look at the registry's log")
    if answer.status != _OK:
        return _refusal(answer, "not healthy")
    return Finding(State.OK, "ready and healthy")


def _complaints(document: dict[str, Any]) -> str:
    """Return the messages of the checks that failed; the server writes their keys with capitals."""
    checks = document.get("checks")
    said = []
    for name, each in checks.items() if isinstance(checks, dict) else ():
        lowered = {str(key).lower(): value for key, value in each.items()} if isinstance(each, dict) else {}
        if str(lowered.get("status", "")).lower() == "fail":
            said.append(f"{name}: {lowered.get('message') or 'no reason given'}")
    return "; ".join(said) or "no reason given"


def _refusal(answer: Answer, doing: str) -> Finding:
    document = _json(answer)
    text = str(document.get("message", "")) if isinstance(document, dict) else ""
    if not text and answer.content_type != "text/html":
        text = answer.text
    dirty = "dirty" in text
    hint = "the registry has lost its database" if answer.status == _UNAVAILABLE else "look at the registry's log"
    return Finding(
        State.CRITICAL,
        f"{doing} ({answer.status}{': ' if text else ''}{text.strip()})",
        "a migration was left half done" if dirty else hint,
        runbook="schema-dirty" if dirty else None,
    )


def _json(answer: Answer) -> object:
    try:
        return json.loads(answer.body)
    except (ValueError, RecursionError):
        return None
