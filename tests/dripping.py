"""A server that answers byte by byte, for as long as somebody listens."""

import contextlib
import socket
import threading
from collections.abc import Iterator

# A record of TLS that promises 16 KiB, and an answer that says nothing of its length.
HANDSHAKE = b"\x16\x03\x03\x40\x00"
HEAD = b"HTTP/1.1 200 OK\r\n\r\n"
# One that is whole, after which the connection stays open.
WHOLE = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
_PAUSE_SECONDS = 0.025


@contextlib.contextmanager
def dripping(beginning: bytes, *, first: bytes = b"") -> Iterator[int]:
    """A server that begins to answer, and goes on with a byte now and then until the client hangs up.

    With a `first` answer only the second request over a connection is answered so.
    """
    over = threading.Event()

    def drip(client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            if first:
                receive(client)
                client.sendall(first)
                receive(client)
            client.sendall(beginning)
            while not over.wait(_PAUSE_SECONDS):
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


def receive(client: socket.socket) -> None:
    """Read one request without a body; `OSError` if the client hangs up."""
    received = b""
    while not received.endswith(b"\r\n\r\n"):
        if not (piece := client.recv(4096)):
            raise ConnectionResetError
        received += piece
