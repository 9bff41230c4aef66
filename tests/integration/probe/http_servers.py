"""HTTP servers that answer as the releases of the registry and its proxies do (registry-facts, section 3)."""

import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import trustme

Reply = tuple[int, str, str]
Respond = Callable[[str, str | None], Reply]

API = "/api/model_registry"
LIST = json.dumps({"items": [], "nextPageToken": "", "pageSize": 1, "size": 0})
ABSENT: Reply = (404, "application/json", '{"code":"404","message":"not found"}')
FINE: Reply = (200, "text/plain", "OK")
MODELS: Reply = (200, "application/json", LIST)
NO_STORE: Reply = (
    503,
    "text/plain",
    "Datastore service is down or unavailable. Please check that the database is reachable and try again later.",
)
HEALTHY: Reply = (
    200,
    "application/json",
    json.dumps({"status": "pass", "checks": {"database": {"Name": "database", "Status": "pass", "Message": ""}}}),
)
UNHEALTHY: Reply = (
    503,
    "application/json",
    json.dumps(
        {
            "status": "fail",
            "checks": {
                "database": {"Name": "database", "Status": "pass", "Message": "fine"},
                "model-registry": {
                    "Name": "model-registry",
                    "Status": "fail",
                    "Message": "failed to list registered models: no connection",
                },
            },
        }
    ),
)
SIGN_IN: Reply = (403, "text/html", "<!DOCTYPE html><html><body>Log in with OpenShift</body></html>")
UNAUTHORIZED: Reply = (401, "text/plain", "Unauthorized")
FORBIDDEN: Reply = (403, "text/plain", "Forbidden (user=system:serviceaccount:x, verb=get, resource=services)")
BAD_GATEWAY: Reply = (502, "text/plain", "")

RELEASES: Mapping[str, Mapping[str, Reply]] = {
    "2.22": {f"{API}/v1alpha3/registered_models": MODELS},
    "2.23": {f"{API}/v1alpha3/registered_models": MODELS, "/readyz/isDirty": FINE},
    "2.24": {f"{API}/v1alpha3/registered_models": MODELS, "/readyz/isDirty": FINE, "/readyz/health": HEALTHY},
    "3.6": {
        f"{API}/v1alpha3/registered_models": MODELS,
        f"{API}/v1/registered_models": MODELS,
        "/readyz/isDirty": FINE,
        "/readyz/health": HEALTHY,
    },
}


def release(name: str, **changes: Reply) -> Respond:
    """Answer as a release does; `changes` are for `dirty`, `health` and `models`."""
    paths = {"dirty": "/readyz/isDirty", "health": "/readyz/health", "models": f"{API}/v1alpha3/registered_models"}
    replies = dict(RELEASES[name]) | {paths[key]: reply for key, reply in changes.items()}
    return lambda path, _token: replies.get(path.partition("?")[0], ABSENT)


def always(reply: Reply) -> Respond:
    return lambda _path, _token: reply


def behind_proxy(token: str, *, refusal: Reply, forbidden: Reply, upstream: Respond) -> Respond:
    """Answer as an authenticating proxy does: one token is good, another may not, none is refused."""

    def respond(path: str, given: str | None) -> Reply:
        if given is None:
            return refusal
        return upstream(path, given) if given == f"Bearer {token}" else forbidden

    return respond


@dataclass
class HttpServer:
    """A server that runs in a thread; `requests` are the paths and Authorization headers that it was sent."""

    url: str
    requests: list[tuple[str, str | None]] = field(default_factory=list)


@contextlib.contextmanager
def http_server(respond: Respond, tls: ssl.SSLContext | None = None, host: str = "127.0.0.1") -> Iterator[HttpServer]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            token = self.headers.get("Authorization")
            running.requests.append((self.path, token))
            status, content_type, body = respond(self.path, token)
            self.send_response(status)
            self.send_header("Content-Type", content_type)
            self.send_header("Content-Length", str(len(body.encode())))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def finish_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401 - socketserver's signature
            """Shake hands in the request's own thread; a client that does not trust us ends only that."""
            if tls is None:
                super().finish_request(request, client_address)
                return
            with contextlib.suppress(OSError), tls.wrap_socket(request, server_side=True) as encrypted:
                super().finish_request(encrypted, client_address)

    with Server(("127.0.0.1", 0), Handler) as server:
        running = HttpServer(f"{'https' if tls else 'http'}://{host}:{server.server_port}")
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield running
        finally:
            server.shutdown()
            thread.join()


@dataclass(frozen=True)
class Authority:
    """Issues certificates for servers; `file` is what clients trust."""

    authority: trustme.CA
    file: Path

    @classmethod
    def made_in(cls, folder: Path) -> "Authority":
        authority = trustme.CA()
        file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(file))
        return cls(authority, file)

    def issued(self, *names: str, days: float = 90) -> trustme.LeafCert:
        """A certificate for these names that is valid for so many days yet."""
        now = datetime.now(UTC)
        return self.authority.issue_cert(
            *(names or ("127.0.0.1",)), not_before=now - timedelta(days=400), not_after=now + timedelta(days=days)
        )

    def context(self, *names: str, days: float = 90) -> ssl.SSLContext:
        """A server's side of TLS with such a certificate."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.issued(*names, days=days).configure_cert(context)
        return context
