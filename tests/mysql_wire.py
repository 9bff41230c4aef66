"""What goes over the wire between opskit and MySQL: noted, and held up or replaced where a test says."""

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

COM_QUERY = b"\x03"
# So little that the server has not sent a table of some megabytes before the client reads it.
_BUFFER_BYTES = 64 * 1024
# A test that takes longer than this has failed.
PATIENCE_SECONDS = 60.0


@dataclass(eq=False)
class Hold:
    """A place where one connection stops: before a statement, or in the answer to it."""

    pattern: re.Pattern[str]
    answer_bytes: int | None
    times: int
    _reached: threading.Event = field(default_factory=threading.Event)
    _released: threading.Event = field(default_factory=threading.Event)
    _dropped: bool = False

    @property
    def reached(self) -> bool:
        """Whether a connection stands here, or has stood."""
        return self._reached.is_set()

    def wait(self) -> None:
        """Return when a connection stands here."""
        assert self._reached.wait(PATIENCE_SECONDS), f"nobody came to {self.pattern.pattern}"

    def release(self) -> None:
        """Let it go on."""
        self._released.set()

    def drop(self) -> None:
        """Lose what stands here, and close its connection on both sides."""
        self._dropped = True
        self._released.set()

    def stand(self) -> None:
        self._reached.set()
        self._released.wait(PATIENCE_SECONDS)
        if self._dropped:
            raise ConnectionAbortedError


class MySQLWire:
    """A port on which the server is reached; connections must not use TLS."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.statements: list[str] = []
        self._holds: list[Hold] = []
        self._replaced: dict[str, str] = {}
        self._lock = threading.Lock()
        self._frozen = threading.Event()

    def hold(self, pattern: str, *, answer_bytes: int | None = None, at: int = 1) -> Hold:
        """Stop the connection that is the first to send such a statement, or the one that is number `at`.

        The statement does not reach the server; with `answer_bytes` it does, and so much of the answer comes back.
        """
        hold = Hold(re.compile(pattern), answer_bytes, at)
        self._holds.append(hold)
        return hold

    def replace(self, statement: str, other: str) -> None:
        """Send the server another statement in place of this one: it answers as it never would by itself."""
        self._replaced[statement] = other

    def freeze(self) -> None:
        """Pass nothing on any more, and keep the connections open: a network that swallows packets."""
        self._frozen.set()

    def release(self) -> None:
        """Let everything that stands go on."""
        for hold in self._holds:
            hold.release()

    def _held(self, statement: str) -> Hold | None:
        with self._lock:
            self.statements.append(statement)
            matching = [hold for hold in self._holds if hold.times and hold.pattern.search(statement)]
            for hold in matching:
                hold.times -= 1
        return next((hold for hold in matching if not hold.times), None)

    def _passed_on(self, packet: bytes) -> bytes:
        other = self._replaced.get(packet[5:].decode(errors="replace")) if packet[4:5] == COM_QUERY else None
        if other is None:
            return packet
        payload = COM_QUERY + other.encode()
        return len(payload).to_bytes(3, "little") + packet[3:4] + payload

    def serve(self, client: socket.socket, server: socket.socket) -> None:
        limit = _Limit()

        def answers() -> None:
            while data := server.recv(_BUFFER_BYTES):
                limit.pass_by(len(data))
                if not self._frozen.is_set():
                    client.sendall(data)

        def requests() -> None:
            while packet := _packet(client):
                if packet[3:5] == b"\0" + COM_QUERY and (hold := self._held(packet[5:].decode(errors="replace"))):
                    if hold.answer_bytes is None:
                        hold.stand()
                    else:
                        limit.set(hold)
                packet = self._passed_on(packet)
                if not self._frozen.is_set():
                    server.sendall(packet)

        back = threading.Thread(target=_pump, args=(answers, client, server), daemon=True)
        back.start()
        _pump(requests, client, server)
        # A server that is in the middle of an answer learns it from the reset that closing sends.
        server.close()


class _Limit:
    """How much of an answer may pass before its connection stands still."""

    def __init__(self) -> None:
        self._hold: Hold | None = None
        self._left = 0

    def set(self, hold: Hold) -> None:
        self._left = hold.answer_bytes or 0
        self._hold = hold

    def pass_by(self, size: int) -> None:
        self._left -= size
        if self._hold is not None and self._left < 0:
            self._hold.stand()
            self._hold = None


def _pump(loop: Callable[[], None], *sockets: socket.socket) -> None:
    with contextlib.suppress(OSError):
        loop()
    for each in sockets:
        with contextlib.suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


def _hang_up(connection: socket.socket) -> None:
    """Close a socket even while another thread reads from it, which would keep it open."""
    with contextlib.suppress(OSError):
        connection.shutdown(socket.SHUT_RDWR)
    connection.close()


def _packet(source: socket.socket) -> bytes:
    head = _exactly(source, 4)
    return head + _exactly(source, int.from_bytes(head[:3], "little")) if head else b""


def _exactly(source: socket.socket, size: int) -> bytes:
    data = bytearray()
    while len(data) < size:
        piece = source.recv(size - len(data))
        if not piece:
            return b""
        data += piece
    return bytes(data)


def _connected(port: int) -> socket.socket:
    upstream = socket.socket()
    # Set before connecting: it decides the window that is offered to the server.
    upstream.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER_BYTES)
    upstream.connect(("127.0.0.1", port))
    return upstream


@contextmanager
def mysql_wire(server_port: int) -> Iterator[MySQLWire]:
    """Listen on a local port and pass everything on to the server at another one."""
    with socket.create_server(("127.0.0.1", 0)) as listener, contextlib.ExitStack() as stack:
        wire = MySQLWire(listener.getsockname()[1])

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    client, _ = listener.accept()
                    upstream = _connected(server_port)
                    stack.callback(_hang_up, client)
                    stack.callback(_hang_up, upstream)
                    threading.Thread(target=wire.serve, args=(client, upstream), daemon=True).start()

        thread = threading.Thread(target=accept, daemon=True)
        thread.start()
        try:
            yield wire
        finally:
            wire.release()
            # Closing alone does not wake a blocked accept.
            listener.shutdown(socket.SHUT_RDWR)
            thread.join(PATIENCE_SECONDS)
