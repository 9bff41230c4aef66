"""What `opskit.mysql.wire` relies upon in PyMySQL, which keeps it private: on a server of the true protocol."""

import inspect
import io
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib.metadata import requires, version
from typing import Any

import pymysql
import pytest
from pymysql.constants import CLIENT

from opskit.errors import DeniedError, OpskitError, UnavailableError
from opskit.memory import OVERSIZED_BYTES
from opskit.mysql import wire
from opskit.mysql.connection import Connection, execute
from opskit.mysql.encode import RowEncoder
from tests.fuzz.encoder_program import CONTINUED, packets

OK = b"\0\0\0\2\0\0\0"
EOF = b"\xfe\0\0\2\0"
KILLED = b"\xff\x25\x05#70100Query execution was interrupted"
DENIED = b"\xff\x76\x04#42000SELECT command denied"
HANG_UP = b"(and nothing more)"
GREETING = (
    b"\x0a9.7.4\0" + (1).to_bytes(4, "little") + b"saltsalt\0" + b"\xff\xff\xff\2\0\xff\xdf\x15" + b"\0" * 10
    + b"saltsaltsalt\0mysql_native_password\0"
)  # fmt: skip
SELECT = "SELECT a, b FROM t"


def definition(name: bytes) -> bytes:
    """Protocol::ColumnDefinition41 of a text column."""
    texts = b"".join(bytes([len(each)]) + each for each in (b"def", b"db", b"t", b"t", name, name))
    return texts + b"\x0c\xff\0\xff\0\0\0\xfd\0\0\0\0\0"


HEAD = [b"\2", definition(b"a"), definition(b"b"), EOF]


class Server:
    """One conversation: each reading of rows is answered by the next of the answers, all else by OK."""

    def __init__(self, end: socket.socket, answers: list[list[bytes]]) -> None:
        self.end = end
        self.stream = end.makefile("rb")
        self.answers = iter(answers)
        self.login = b""
        self.longest = b""
        self.sequence = 0

    def say(self, *payloads: bytes) -> None:
        for number, payload in enumerate(payloads, self.sequence):
            if payload is HANG_UP:
                self.end.shutdown(socket.SHUT_RDWR)
                return
            whole = packets(payload)
            self.end.sendall(whole[:3] + bytes([number % 256]) + whole[4:])

    def heard(self) -> bytes:
        header = self.stream.read(4)
        length, self.sequence = int.from_bytes(header[:3], "little"), int.from_bytes(header[3:], "little") + 1
        payload = self.stream.read(length)
        return payload + self.heard() if length == CONTINUED else payload

    def serve(self) -> None:
        with self.end, self.stream, suppress(OSError):
            self.say(GREETING)
            self.login = self.heard()
            self.say(OK)
            while asked := self.heard():
                self.longest = max(self.longest, asked, key=len)
                if asked == b"\x03" + SELECT.encode():
                    self.say(*next(self.answers))
                else:
                    self.say(OK)


@contextmanager
def talking(*answers: list[bytes]) -> Iterator[tuple[Connection, Server]]:
    ours, theirs = socket.socketpair()
    server = Server(theirs, list(answers))
    thread = threading.Thread(target=server.serve)
    thread.start()
    connection = Connection(user="u", password="p", charset="utf8mb4", ssl_disabled=True, defer_connect=True)
    connection.connect(ours)
    try:
        yield connection, server
    finally:
        with suppress(pymysql.err.Error):
            connection.close()
        ours.close()
        thread.join()


def read(connection: Connection) -> tuple[bytes, RowEncoder]:
    encoder = RowEncoder("nt", b"INSERT INTO `t` (`a`,`b`) VALUES ")
    return b"".join(wire.stream(connection, SELECT, encoder)) + encoder.cut(), encoder


def test_rows_are_read_to_the_end_and_the_connection_serves_on() -> None:
    rows = [b"\x011\x01x", b"\x012\xfb"]
    with talking([*HEAD, *rows, EOF], [*HEAD, EOF]) as (connection, _):
        text, encoder = read(connection)
        assert text == b"INSERT INTO `t` (`a`,`b`) VALUES (1,'x'),(2,NULL);\n"
        assert encoder.rows == 2
        assert execute(connection, "SET @a = 1") == []
        assert read(connection)[0] == b""


def test_a_result_of_more_packets_than_a_sequence_number_can_count() -> None:
    with talking([*HEAD, *[b"\x011\x01x"] * 1000, EOF]) as (connection, _):
        assert read(connection)[1].rows == 1000


def test_the_client_asks_for_no_deprecate_eof() -> None:
    with talking() as (_, server):
        capabilities = int.from_bytes(server.login[:4], "little")
        assert not capabilities & 1 << 24  # CLIENT_DEPRECATE_EOF: a result would end with another packet
        assert not capabilities & CLIENT.MULTI_STATEMENTS
        assert not capabilities & CLIENT.COMPRESS


def test_what_is_private_has_the_shape_that_is_relied_upon() -> None:
    with talking() as (connection, _):
        private: Any = connection
        assert isinstance(private._rfile, io.BufferedReader)
        assert isinstance(private._sock, socket.socket)
        assert list(inspect.signature(private._execute_command).parameters) == ["command", "sql"]
        assert not [
            each
            for each in inspect.signature(private._read_packet).parameters.values()
            if each.default is inspect.Parameter.empty
        ]


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ([*HEAD, b"\x011\x01x", KILLED], UnavailableError),
        ([*HEAD, KILLED], UnavailableError),
        ([DENIED], DeniedError),
        ([*HEAD[:2], KILLED], UnavailableError),
    ],
)
def test_an_error_at_any_place_of_a_result_raises(answer: list[bytes], error: type[Exception]) -> None:
    with talking(answer) as (connection, _), pytest.raises(error, match="reading rows"):
        read(connection)


def test_a_connection_that_ends_in_the_middle_raises() -> None:
    with talking([*HEAD, b"\x011\x01x", HANG_UP]) as (connection, _), pytest.raises(UnavailableError):
        read(connection)


HUGE = b"\x011\xfe" + (3 * OVERSIZED_BYTES).to_bytes(8, "little") + b"x" * (3 * OVERSIZED_BYTES)


def in_threads(*connections: Connection) -> list[int]:
    """Read from all of them at once; return how much SQL each gave."""
    lengths: list[int] = []
    threads = [threading.Thread(target=lambda of=each: lengths.append(len(read(of)[0]))) for each in connections]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return sorted(lengths)


def test_two_readers_of_huge_rows_take_turns_and_both_end() -> None:
    with talking([*HEAD, HUGE, EOF]) as (one, _), talking([*HEAD, HUGE, HUGE, EOF]) as (other, _):
        lengths = in_threads(one, other)
    assert [length // len(HUGE) for length in lengths] == [1, 2]


def test_a_reader_that_fails_within_a_huge_row_lets_others_have_theirs() -> None:
    with talking([*HEAD, HUGE[:-1]]) as (broken, _), talking([*HEAD, HUGE, EOF]) as (other, _):
        with pytest.raises(OpskitError, match="in the middle"):
            read(broken)
        assert [length // len(HUGE) for length in in_threads(other)] == [1]


@pytest.mark.parametrize("size", [CONTINUED - 1, CONTINUED, 2 * CONTINUED + 10])
def test_statements_of_any_length_are_sent_whole(size: int) -> None:
    statement = b"INSERT" + b"x" * (size - 7)  # and the byte that says that it is a query
    with talking() as (connection, server):
        wire.send(connection, statement)
        execute(connection, "SET @a = 1")
        assert server.longest == b"\x03" + statement


def test_severing_wakes_a_reader_that_waits() -> None:
    with talking([*HEAD, b"\x011\x01x"]) as (connection, _):
        severing = threading.Thread(target=wire.sever, args=[connection])
        severing.start()
        with pytest.raises(UnavailableError):
            read(connection)
        severing.join()


def test_pymysql_has_an_upper_bound_and_is_within_it() -> None:
    (requirement,) = (each for each in requires("opskit") or () if each.lower().startswith("pymysql"))
    assert "<" in requirement, requirement
    upper = requirement.split("<")[1].split(",")[0].strip()
    assert tuple(map(int, version("PyMySQL").split(".")[:2])) < tuple(map(int, upper.split(".")))
