"""What goes over the wire between opskit and an HTTP server: recorded, and answered otherwise where a test wants."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from email.message import Message
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

_NOT_PASSED_ON = ("connection", "expect", "transfer-encoding", "server", "content-length")


@dataclass(frozen=True)
class Request:
    """One request as it was sent."""

    method: str
    target: str
    headers: Message
    body: bytes

    @property
    def path(self) -> str:
        return urlsplit(self.target).path

    @property
    def query(self) -> dict[str, list[str]]:
        return parse_qs(urlsplit(self.target).query, keep_blank_values=True)


@dataclass(frozen=True)
class Answer:
    """What is answered; without a length there is no Content-Length, and the body ends where the connection does."""

    status: int
    body: bytes
    headers: dict[str, str]
    length: int | None
    cut_after: int | None = None

    def cut(self, after: int) -> "Answer":
        """Return the same answer over a connection that is closed after that many bytes of the body."""
        return replace(self, cut_after=after)

    def without_length(self) -> "Answer":
        return replace(self, length=None)


def answer(status: int, body: str = "", **headers: str) -> Answer:
    content = body.encode()
    return Answer(status, content, headers, len(content))


def refused(status: int, code: str) -> Answer:
    """Return an error as S3 stores say it."""
    return answer(status, f"<Error><Code>{code}</Code><Message>as a test wants</Message></Error>")


Upstream = Callable[[Request], Answer]


def pass_on(request: Request, upstream: Upstream) -> Answer:
    return upstream(request)


class Wire:
    """A recording HTTP server; `answering` gets each request, and a function that asks the real server.

    What it returns is the answer; without one the connection is closed.
    """

    def __init__(self, port: int) -> None:
        self.endpoint = f"http://127.0.0.1:{port}"
        self.requests: list[Request] = []
        self.answering: Callable[[Request, Upstream], Answer | None] = pass_on

    def sent(self, method: str, *query: str) -> list[Request]:
        """Return the recorded requests of a method whose query has these names."""
        return [each for each in self.requests if each.method == method and set(query) <= set(each.query)]


@contextmanager
def recorded(upstream_port: int) -> Iterator[Wire]:
    """Listen on a local port and pass everything on to another one, unless `answering` says otherwise."""

    def upstream(request: Request) -> Answer:
        return _asked(request, upstream_port)

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def handle_any(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            request = Request(self.command, self.path, self.headers, body)
            wire.requests.append(request)
            answered = wire.answering(request, upstream)
            if answered is None:
                self.close_connection = True
            else:
                self.send(request, answered)

        def send(self, request: Request, answered: Answer) -> None:
            self.close_connection = answered.cut_after is not None or answered.length is None
            self.send_response_only(answered.status)
            for name, value in answered.headers.items():
                self.send_header(name, value)
            if answered.length is not None:
                self.send_header("Content-Length", str(answered.length))
            self.end_headers()
            if request.method != "HEAD":
                self.wfile.write(answered.body[: answered.cut_after])

        do_GET = do_HEAD = do_PUT = do_POST = do_PATCH = do_DELETE = handle_any  # noqa: N815 - names that the base class calls

        def log_message(self, *_: object) -> None:
            """Say nothing: pytest shows what failed."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        wire = Wire(server.server_port)
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        thread.start()
        yield wire
        server.shutdown()
        thread.join()


def _asked(request: Request, port: int) -> Answer:
    connection = HTTPConnection("127.0.0.1", port, timeout=60)
    try:
        connection.putrequest(request.method, request.target, skip_host=True, skip_accept_encoding=True)
        for name, value in request.headers.items():
            if name.lower() not in _NOT_PASSED_ON:
                connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(request.body)))
        connection.endheaders(request.body)
        response = connection.getresponse()
        body = response.read()
        headers = {name: value for name, value in response.getheaders() if name.lower() not in _NOT_PASSED_ON}
        length = int(response.headers.get("Content-Length") or 0) if request.method == "HEAD" else len(body)
        return Answer(response.status, body, headers, length)
    finally:
        connection.close()
