"""Connections of urllib3 that are hung up when the time of the request that uses them is over."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from opskit.deadline import Deadline

_deadline: ContextVar[Deadline | None] = ContextVar("deadline", default=None)


@contextmanager
def all_within(seconds: float) -> Iterator[None]:
    """Give what this thread asks over watched connections in the block so many seconds in all, else `TimeoutError`."""
    with Deadline(seconds) as deadline:
        before = _deadline.set(deadline)
        try:
            yield
        finally:
            _deadline.reset(before)


class _Watched:
    """What both kinds of connection have in common: a new one is watched from its handshake on."""

    sock: socket.socket | None

    def _new_conn(self) -> socket.socket:
        connected: socket.socket = super()._new_conn()  # type: ignore[misc] # of whatever this is mixed into
        _watch(connected)
        return connected

    def request(self, *arguments: object, **options: object) -> None:
        """Send a request, over a connection that an earlier one may have left open."""
        if self.sock is not None:
            _watch(self.sock)
        super().request(*arguments, **options)  # type: ignore[misc] # as above


def _watch(connection: socket.socket) -> None:
    if deadline := _deadline.get():
        deadline.watch(connection)


class _HttpConnection(_Watched, HTTPConnection):
    pass


class _HttpsConnection(_Watched, HTTPSConnection):
    pass


class HttpPool(HTTPConnectionPool):
    """Watched connections without TLS."""

    ConnectionCls = _HttpConnection


class HttpsPool(HTTPSConnectionPool):
    """Watched connections with TLS."""

    ConnectionCls = _HttpsConnection
