"""A time for all of an exchange over sockets: a timeout of the socket begins anew with each byte."""

import contextlib
import os
import socket
import threading
from typing import Self


class Deadline:
    """Hangs up when the time is over: then whoever reads from or writes to what is watched is woken by an error.

    The block ends with `TimeoutError` if that came, even where nothing else was raised: what was read may be the half
    of it.
    """

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self._lines: list[socket.socket] = []
        self._lock = threading.Lock()
        self._is_over = False
        self._timer = threading.Timer(seconds, self._hang_up)
        self._timer.daemon = True

    def watch(self, connection: socket.socket) -> None:
        """Hang up this connection too when the time is over, at once if it is; it may be encrypted by then."""
        # A descriptor of its own: by then the connection's may be closed, and mean another one.
        line = socket.socket(fileno=os.dup(connection.fileno()))
        with self._lock:
            self._lines.append(line)
            if self._is_over:
                _shut(line)

    def _hang_up(self) -> None:
        with self._lock:
            self._is_over = True
            for line in self._lines:
                _shut(line)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()
        with self._lock:
            is_over = self._is_over
            for line in self._lines:
                line.close()
            self._lines.clear()
        if is_over:
            raise TimeoutError(f"no whole answer within {self._seconds:g} s")


def _shut(line: socket.socket) -> None:
    with contextlib.suppress(OSError):
        line.shutdown(socket.SHUT_RDWR)
