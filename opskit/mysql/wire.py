"""The one place that reads PyMySQL's private stream.

PyMySQL turns every row into Python objects; a dump needs the bytes. What is relied upon, and pinned by
`tests/unit/test_wire.py`: `_execute_command` sends a query and sets the sequence number, `_read_packet` reads
the answer's head, `_rfile` is a buffered reader over the socket (or TLS socket) that holds nothing else once
a result is read to its end, and the client asks for no DEPRECATE_EOF, so that a result ends with an EOF packet.
"""

import contextlib
import os
import socket
import struct
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pymysql
from pymysql.constants import COMMAND
from pymysql.protocol import MysqlPacket

from opskit.errors import OpskitError, UnavailableError
from opskit.memory import OVERSIZED_BYTES, Oversized
from opskit.mysql.connection import Connection, translate, translated
from opskit.mysql.encode import PacketError, RowEncoder

READ_BYTES = 256 * 1024


def stream(connection: Connection, select: str, encoder: RowEncoder) -> Generator[bytes]:
    """Yield the rows of `select` as SQL text, as the encoder makes it; the last statement is left open.

    Ends only when the server said that the result is complete: a killed query, a lost connection and a short
    read raise (`UnavailableError`). Close it where it may not be read to its end: see `Oversized`.
    """
    private: Any = connection
    with translated("reading rows"):
        private._execute_command(COMMAND.COM_QUERY, select)
        columns = private._read_packet().read_length_encoded_integer()
        for _ in range(columns + 1):  # one definition a column, then an EOF packet
            private._read_packet()
    reader = private._rfile
    with Oversized() as oversized:
        while not encoder.finished:
            with translated("reading rows"):
                data = reader.read1(READ_BYTES)
            if not data:
                raise UnavailableError("reading rows: the server closed the connection in the middle of a table")
            try:
                text = encoder.feed(data)
            except PacketError as error:
                raise OpskitError(f"reading rows: {error}") from error
            if encoder.error is not None:
                raise _server_error(encoder.error)
            if text:
                yield text
            if oversized.has_turn and encoder.pending <= OVERSIZED_BYTES and encoder.is_open:
                yield encoder.cut()  # it holds the row as SQL
            oversized.holds(encoder.pending)


def _server_error(payload: bytes) -> OpskitError:
    try:
        MysqlPacket(payload, "utf8").raise_for_error()
    except pymysql.err.Error as error:
        return translate(error, "reading rows")
    return OpskitError("reading rows: the server reported an error without a number")


def send(connection: Connection, statement: bytes) -> int:
    """Send one statement as bytes and return how many rows it changed."""
    with translated("loading rows"):
        # Through a view, since PyMySQL cuts what is longer than a packet, and copies the rest each time.
        return connection.query(memoryview(statement))


def sever(connection: Connection) -> None:
    """Cut the connection whatever another thread is doing with it: that thread's read raises at once.

    The server learns it at once too, even in the middle of a long answer, and gives back every lock.
    """
    private: Any = connection
    held = private._sock
    if held is not None:
        with contextlib.suppress(OSError), Path(os.devnull).open("rb") as nothing:
            # Closing alone does not wake a blocked recv; and SSLSocket.shutdown would first change its state.
            socket.socket.shutdown(held, socket.SHUT_RDWR)
            # Only a reset stops a server that is sending, and only closing sends one. The number stays taken, so that
            # the other thread cannot meet a stranger's file under it.
            held.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            os.dup2(nothing.fileno(), held.fileno())
