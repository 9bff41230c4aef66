"""HTTP servers of the configuration: asked without proxies, and redirected only to one another."""

import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urljoin

from urllib3 import BaseHTTPResponse, PoolManager, Timeout
from urllib3.exceptions import HTTPError, SSLError

from opskit import __version__
from opskit.artifacts.addresses import ForbiddenAddressError, judged_pools
from opskit.artifacts.breaker import Breaker
from opskit.artifacts.origin import Origin, make_origin, origin_of
from opskit.artifacts.uri import HttpLocation, parse
from opskit.artifacts.watched import HttpPool, HttpsPool, all_within
from opskit.errors import ConfigurationError, UnavailableError

_TIMEOUT = Timeout(connect=10, read=30)
_ATTEMPTS = 3
# Three attempts at a server that says nothing end before: this is for one that sends a byte now and then.
_WHOLE_SECONDS = 120.0
_REDIRECTS = 5
_MOVED = (301, 302, 303, 307, 308)
# What a server that is busy or broken answers: nothing that is said of the document.
_BUSY = (408, 425, 429, 500, 502, 503, 504)
# An answer to a token or a one-byte request is small; a hostile one is not read to its end.
_LONGEST_BODY = 1024 * 1024


@dataclass(frozen=True)
class Host:
    """A server that may be asked: `https://host[:port]`, or `https://*.domain` for all below a domain.

    `token` is sent as a bearer token, `login` (user and password) as basic authentication; neither to any other host.
    Only a host that is named in full may be at a private address.
    """

    url: str
    ca_file: Path | None = None
    token: Callable[[], str | None] = lambda: None
    login: Callable[[], tuple[str, str] | None] = lambda: None


class NotConfiguredError(ForbiddenAddressError):
    """A request, or a redirect, would leave the configured hosts."""


@dataclass(frozen=True, slots=True)
class _Known:
    origin: Origin
    host: Host
    pool: PoolManager
    breaker: Breaker


class Hosts:
    """All configured hosts; each keeps its connections, its certificate authority and its credentials to itself."""

    def __init__(
        self, hosts: Sequence[Host], *, attempts: int = _ATTEMPTS, whole_seconds: float = _WHOLE_SECONDS
    ) -> None:
        self._attempts = attempts
        self._whole_seconds = whole_seconds
        self._known = [self._make(host) for host in hosts]
        self._counting = threading.Lock()
        self.requests = 0

    @staticmethod
    def _make(host: Host) -> _Known:
        origin = origin_of(host.url)
        if origin is None:
            raise ConfigurationError(f"artifacts.hosts: {host.url} is not https://host[:port]")
        pool = PoolManager(
            timeout=_TIMEOUT,
            retries=False,
            maxsize=16,
            cert_reqs="CERT_REQUIRED",
            ca_certs=str(host.ca_file) if host.ca_file else None,
            headers={"User-Agent": f"opskit/{__version__}"},
        )
        private = () if origin.host.startswith("*.") else (origin.host.strip("[]"),)
        pool.pool_classes_by_scheme = dict(judged_pools(private, HttpPool, HttpsPool))
        return _Known(origin, host, pool, Breaker())

    def origin(self, host: str, port: int) -> Origin | None:
        """Return the configured server at this host and port, https before http; None if there is none."""
        for scheme in ("https", "http"):
            origin = make_origin(scheme, host, port)
            if origin and self._find(origin):
                return origin
        return None

    def login(self, origin: Origin) -> Mapping[str, str]:
        """Return the header by which this host knows us, if it has a login or a token."""
        known = self._find(origin)
        if known is None:
            return {}
        if login := known.host.login():
            return {"authorization": f"Basic {b64encode(':'.join(login).encode()).decode()}"}
        token = known.host.token()
        return {"authorization": f"Bearer {token}"} if token else {}

    @contextmanager
    def ask(
        self, method: str, origin: Origin, target: str, headers: Mapping[str, str], *, login: bool = False
    ) -> Iterator[BaseHTTPResponse]:
        """Send one request, follow its redirects, and hand over the answer; `login` sends each host its own header.

        `NotConfiguredError` where the configuration has no such host, `UnavailableError` where there is no whole answer
        in time. Headers that are given go to `origin` alone.
        """
        try:
            with (
                all_within(self._whole_seconds),
                closing(self._answer(method, origin, target, headers, login=login)) as answer,
            ):
                yield answer
        except TimeoutError as error:
            if known := self._find(origin):
                known.breaker.count_late()
            raise UnavailableError(f"{origin}: {error}") from error

    def _answer(
        self, method: str, origin: Origin, target: str, headers: Mapping[str, str], *, login: bool
    ) -> BaseHTTPResponse:
        place, sent = origin, dict(headers)
        for _ in range(_REDIRECTS + 1):
            answer = self._send(method, place, target, {**sent, **(self.login(place) if login else {})})
            to = answer.headers.get("Location")
            if answer.status not in _MOVED or not to:
                return answer
            answer.close()
            place, target = _next(place, target, to)
            if place != origin:
                sent.pop("Authorization", None)
        raise UnavailableError(f"{origin} redirects without end")

    def _send(self, method: str, origin: Origin, target: str, headers: Mapping[str, str]) -> BaseHTTPResponse:
        known = self._find(origin)
        if known is None:
            raise NotConfiguredError(f"{origin} is not among the configured hosts")
        url, problem = f"{origin}{target}", ""
        with known.breaker.watch():
            for _ in range(self._attempts):
                with self._counting:
                    self.requests += 1
                try:
                    answer = known.pool.request(
                        method, url, headers=headers, redirect=False, preload_content=False, decode_content=False
                    )
                except SSLError as error:
                    raise ConfigurationError(f"{origin}: TLS failed: {error}", hint="set its ca_file") from error
                except (HTTPError, OSError) as error:
                    problem = str(error)
                else:
                    if answer.status not in _BUSY:
                        return answer
                    problem = f"it answered {answer.status}"
                    answer.close()
            raise UnavailableError(f"{origin} does not answer: {' '.join(problem.split())[:200]}")

    def _find(self, origin: Origin) -> _Known | None:
        return next((known for known in self._known if known.origin.covers(origin)), None)


def _next(place: Origin, target: str, to: str) -> tuple[Origin, str]:
    """Return where a redirect leads; a URL that is not plain leads nowhere."""
    try:
        location = parse(urljoin(f"{place}{target}", to))
    except ValueError:  # such as half an IPv6 address
        raise NotConfiguredError(f"{place} redirects to what is no URL") from None
    origin = make_origin(location.scheme, location.host, location.port) if isinstance(location, HttpLocation) else None
    if origin is None or not isinstance(location, HttpLocation):
        raise NotConfiguredError(f"{place} redirects to what is no plain URL")
    if place.scheme == "https" and origin.scheme == "http":
        raise NotConfiguredError(f"{place} redirects to a connection without TLS")
    return origin, location.target


def body_of(answer: BaseHTTPResponse) -> bytes:
    """Return the body of a small answer; `UnavailableError` for one that is not."""
    try:
        body = answer.read(_LONGEST_BODY + 1)
    except (HTTPError, OSError) as error:
        raise UnavailableError(f"an answer broke off: {error}") from error
    if len(body) > _LONGEST_BODY:
        raise UnavailableError("an answer was too long to be one")
    return body
