"""The authenticating proxy before the REST API: its certificate, its refusal, and the whole chain with a token.

oauth-proxy (RHOAI 2.x) refuses with 403 and a sign-in page, kube-rbac-proxy (3.x) with 401. `/oauth/healthz` is not
asked: the proxy answers it whatever is behind it.
"""

from collections.abc import Iterator

from opskit.errors import ConfigurationError
from opskit.probe.certificate import RUNBOOK, judged_certificate
from opskit.probe.rest import API, MODELS, judged_models
from opskit.probe.result import Finding, State
from opskit.probe.web import Answer, Web, get, peer_certificate

_PATH = f"{API}/v1alpha3/{MODELS}"
_BAD_GATEWAY = (502, 503, 504)
_LOGIN = (301, 302, 303, 307, 401, 403)
_FORBIDDEN = (401, 403)


def check(web: Web, *, certificate_min_days: int) -> Iterator[Finding]:
    """Ask without a token, which must be refused, then with it."""
    if web.encrypted:
        yield judged_certificate(peer_certificate(web), certificate_min_days)
    try:
        refusal = get(web, _PATH)
    except ConfigurationError as error:
        # The token is not sent to a server that cannot be verified.
        yield Finding(State.CRITICAL, error.message, error.hint, RUNBOOK)
        return
    yield _without_token(refusal)
    token = web.read_token()
    if token is None:
        yield Finding(State.NOT_APPLICABLE, "no token is configured: what is behind the proxy was not asked")
        return
    yield _with_token(get(web, _PATH, token=token))


def _without_token(answer: Answer) -> Finding:
    if answer.status in _LOGIN:
        name = "kube-rbac-proxy" if answer.status == 401 else "oauth-proxy"  # noqa: PLR2004 - Unauthorized
        return Finding(State.OK, f"{name} refuses strangers ({answer.status})")
    if answer.status in _BAD_GATEWAY:
        return _nothing_behind(answer)
    if answer.status < 300:  # noqa: PLR2004 - a success
        return Finding(
            State.CRITICAL,
            f"answers without a token ({answer.status}): the registry is open to everybody",
            "put the proxy back before the REST API",
        )
    return Finding(State.CRITICAL, f"answers {answer.status}: no proxy of a registry", "look at the configured url")


def _with_token(answer: Answer) -> Finding:
    if answer.status in _BAD_GATEWAY:
        return _nothing_behind(answer)
    if answer.status in _LOGIN:
        reason = "may not get the Service of the registry" if answer.status in _FORBIDDEN else "is not taken"
        return Finding(
            State.CRITICAL,
            f"opskit's token {reason} ({answer.status})",
            "bind opskit's ServiceAccount to the Role registry-user-<name>",
        )
    finding = judged_models(answer)
    return Finding(finding.state, f"through the proxy: {finding.detail}", finding.hint, finding.runbook)


def _nothing_behind(answer: Answer) -> Finding:
    return Finding(
        State.CRITICAL,
        f"the proxy is alive, the registry behind it is not ({answer.status})",
        "look at the container rest-container of the registry's pod",
    )
