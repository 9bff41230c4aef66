"""One answer over HTTP has a deadline as a whole, however lively the server seems."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest

from opskit.errors import UnavailableError
from opskit.probe.web import Web, get, peer_certificate

# A record of TLS that promises 16 KiB, and an answer that says nothing of its length.
HANDSHAKE = b"\x16\x03\x03\x40\x00"
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
TIMEOUT = 0.5


@contextlib.contextmanager
def dripping(beginning: bytes) -> Iterator[int]:
    """A server that begins to answer, and goes on with a byte now and then until the client hangs up."""
    over = threading.Event()

    def drip(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.sendall(beginning)
            while not over.wait(TIMEOUT / 20):
                client.sendall(b"x")

    def serve() -> None:
        with contextlib.suppress(OSError):
            while True:
                drip(listener.accept()[0])

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=serve)
        thread.start()
        yield listener.getsockname()[1]
        over.set()
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


@pytest.mark.parametrize(
    ("scheme", "beginning"), [("http", b""), ("http", HEAD), ("https", HANDSHAKE)], ids=["head", "body", "handshake"]
)
def test_answer_that_drips_is_given_up_at_the_deadline(scheme: str, beginning: bytes) -> None:
    with dripping(beginning) as port, pytest.raises(UnavailableError, match=r"no whole answer within 0\.5 s"):
        get(Web(f"{scheme}://127.0.0.1:{port}", TIMEOUT), "/")


def test_certificate_that_drips_is_given_up_at_the_deadline() -> None:
    with dripping(HANDSHAKE) as port, pytest.raises(UnavailableError, match=r"no whole answer within 0\.5 s"):
        peer_certificate(Web(f"https://127.0.0.1:{port}", TIMEOUT))
