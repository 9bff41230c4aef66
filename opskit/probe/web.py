"""One HTTP GET: no redirect is followed, no proxy used, every wait has a deadline, and TLS is always verified."""

import contextlib
import http.client
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import SplitResult, urlsplit

from opskit import __version__
from opskit.errors import ConfigurationError, UnavailableError

# A page of one model may carry a read-me and a logo of 16 MiB each.
_LARGEST_BODY = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Web:
    """A server, the token that it wants, and how long to wait for it; the token is read at each request."""

    url: str
    timeout: float
    ca_file: Path | None = None
    read_token: Callable[[], str | None] = lambda: None

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
        with contextlib.closing(connection):
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


def _connection(web: Web) -> http.client.HTTPConnection:
    host, port = web.address
    if not web.encrypted:
        return http.client.HTTPConnection(host, port, timeout=web.timeout)
    try:
        context = ssl.create_default_context(cafile=str(web.ca_file) if web.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the CA file {web.ca_file} cannot be used: {error}") from error
    return http.client.HTTPSConnection(host, port, timeout=web.timeout, context=context)
