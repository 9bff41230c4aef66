"""One HTTP GET: no redirect is followed, no proxy used, the whole has a deadline, and TLS is always verified."""

import contextlib
import http.client
import socket
import ssl
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from opskit import __version__
from opskit.deadline import Deadline
from opskit.errors import ConfigurationError, UnavailableError

# A page of one model may carry a read-me and a logo of 16 MiB each.
_LARGEST_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Web:
    """A server, the seconds that an answer may take, and the token that it wants, which is read at each request.

    Its certificate is verified by `ca_file`, else by the system's authorities; by those of `extra_ca_file` in any case.
    """

    url: str
    timeout: float
    ca_file: Path | None = None
    read_token: Callable[[], str | None] = lambda: None
    extra_ca_file: Path | None = None

    @property
    def parts(self) -> SplitResult:
        """The URL, taken apart."""
        return urlsplit(self.url)

    @property
    def encrypted(self) -> bool:
        """Whether the server is asked by https."""
        return self.parts.scheme == "https"

    @property
    def address(self) -> tuple[str, int]:
        """Host and port."""
        return self.parts.hostname or "", self.parts.port or (443 if self.encrypted else 80)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a server answered."""

    status: int
    content_type: str
    body: bytes

    @property
    def text(self) -> str:
        """The body as text, whatever it is."""
        return self.body.decode(errors="replace")


def get(web: Web, path: str, *, token: str | None = None) -> Answer:
    """Ask for a path below the server's URL.

    Raises `UnavailableError` if there is no whole answer in time, `ConfigurationError` if TLS cannot be verified.
    """
    headers = {"User-Agent": f"opskit/{__version__}", "Accept": "application/json"}
    if token is not None:
        headers["Authorization"] = f"Bearer {token}"
    connection = _connection(web)
    try:
        with _dialled(web) as plain, contextlib.closing(connection):
            connection.sock = _encrypted(web, plain)
            connection.request("GET", web.parts.path.rstrip("/") + path, headers=headers)
            response = connection.getresponse()
            body = response.read(_LARGEST_BODY)
            return Answer(response.status, response.headers.get_content_type(), body)
    except ssl.SSLCertVerificationError as error:
        raise ConfigurationError(
            f"the certificate cannot be verified: {error.verify_message}",
            hint="set ca_file to the CA that signed it, and connect by the name in the certificate",
        ) from error
    except (OSError, http.client.HTTPException, ValueError) as error:
        # ValueError: a token that is no header. Its text is not quoted.
        reason = type(error).__name__ if isinstance(error, ValueError) else str(error) or type(error).__name__
        raise UnavailableError(f"no answer from {web.parts.scheme}://{web.parts.netloc}: {reason}") from error


def peer_certificate(web: Web) -> bytes:
    """Return the certificate that the server shows, in DER, whoever signed it.

    Nothing is sent over this connection: the server's name is not verified. Raises `UnavailableError`.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    host, port = web.address
    try:
        with _dialled(web) as plain, context.wrap_socket(plain, server_hostname=host) as encrypted:
            return encrypted.getpeercert(binary_form=True) or b""
    except (OSError, ValueError) as error:
        raise UnavailableError(f"no certificate from {host}:{port}: {error or type(error).__name__}") from error


@contextlib.contextmanager
def _dialled(web: Web) -> Iterator[socket.socket]:
    """Connect, and hang up when the time is over."""
    with socket.create_connection(web.address, web.timeout) as plain, Deadline(web.timeout) as deadline:
        plain.settimeout(None)
        deadline.watch(plain)
        yield plain


def _encrypted(web: Web, plain: socket.socket) -> socket.socket:
    if not web.encrypted:
        return plain
    try:
        context = ssl.create_default_context(cafile=str(web.ca_file) if web.ca_file else None)
        if web.extra_ca_file:
            context.load_verify_locations(web.extra_ca_file)
    except (OSError, ssl.SSLError) as error:
        used = ", ".join(str(file) for file in (web.ca_file, web.extra_ca_file) if file)
        raise ConfigurationError(f"the CA file {used} cannot be used: {error}") from error
    return context.wrap_socket(plain, server_hostname=web.address[0])


def _connection(web: Web) -> http.client.HTTPConnection:
    kind = http.client.HTTPSConnection if web.encrypted else http.client.HTTPConnection
    return kind(*web.address)
