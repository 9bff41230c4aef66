"""Row packets of the text protocol, turned into SQL text and a row digest.

The packets are laid out as the manual of the client/server protocol says (Protocol::Packet,
Protocol::LengthEncodedInteger, ProtocolText::ResultsetRow): a header of three bytes of length and one of
sequence, a payload of up to 16,777,215 bytes that continues in the next packet when it is exactly that long,
and in it one length-encoded string per column, 0xFB standing for NULL.
"""

import re
import struct
from typing import TYPE_CHECKING, Final

import xxhash

# How a column's bytes become SQL, one letter a column.
NUMBER: Final = "n"  # as it is
DOUBLE: Final = "d"  # as it is, but for a negative zero
TEXT: Final = "t"  # quoted; the bytes are UTF-8
BYTES: Final = "x"  # hexadecimal; quoted behind _binary when large

DIGEST_ALGORITHM: Final = "xxh64-sum"

# A statement is closed by the first row that finds it this long: 8 to 32 KB were measured to load fastest.
STATEMENT_BYTES: Final = 16 * 1024
# Hexadecimal doubles a value, so beyond this size it is quoted instead.
HEX_LIMIT: Final = 1024 * 1024
_HEADER_BYTES: Final = 4
_CONTINUED: Final = 0xFFFFFF
_DIGEST_MASK: Final = 2**64 - 1

_NULL: Final = 0xFB
_TWO_BYTES: Final = 0xFC
_THREE_BYTES: Final = 0xFD
_EIGHT_BYTES: Final = 0xFE
_ERROR: Final = 0xFF
_EOF_MAXIMUM: Final = 9  # a row may start with 0xFE too, but is then longer

_SPECIAL = re.compile(rb"[\0\n\r\\'\x1a]")
_ESCAPES = {
    b"\0": rb"\0",
    b"\n": rb"\n",
    b"\r": rb"\r",
    b"\\": rb"\\",
    b"'": rb"\'",
    b"\x1a": rb"\Z",
}


try:
    from opskit.mysql._encode import PacketError as PacketError  # noqa: PLC0414 - handed on
    from opskit.mysql._encode import RowEncoder as _RowEncoder
except ImportError:  # no compiler where it was installed: slower, the same bytes
    ACCELERATED = False

    class PacketError(ValueError):  # type: ignore[no-redef]
        """The bytes are not row packets of as many columns as were asked for."""
else:
    ACCELERATED = True


def quoted(value: bytes) -> bytes:
    """Return the bytes as an SQL string: one line, whatever they hold."""
    if _SPECIAL.search(value):
        value = _SPECIAL.sub(lambda match: _ESCAPES[match[0]], value)
    return b"'" + value + b"'"


def _hexadecimal(value: bytes) -> bytes:
    if not value:
        return b"''"  # a bare 0x is a syntax error
    if len(value) > HEX_LIMIT:
        return b"_binary " + quoted(value)
    return b"0x" + value.hex().upper().encode()


class PythonRowEncoder:
    """Turns the row packets of one SELECT into INSERT statements, one a line.

    `feed` takes the packets in pieces of any size and returns the statements that are complete; `cut` closes
    the statement that is open. `rows`, `digest` (the sum, modulo 2^64, of XXH64 over each row's payload) and
    `largest` (the longest statement in bytes) and `sql_bytes` count what was read so far. `finished` tells that the
    server said the result is complete, `error` holds its ERR packet if it said otherwise. Without `kinds` the rows are
    counted and digested, and no SQL is made of them.
    """

    def __init__(self, kinds: str | None = None, insert_into: bytes = b"") -> None:
        self.rows = 0
        self.digest = 0
        self.largest = 0
        self.sql_bytes = 0
        self.finished = False
        self.error: bytes | None = None
        self._kinds = kinds
        self._head = insert_into
        self._statement: list[bytes] = []
        self._length = 0
        self._rest = bytearray()
        self._needed = 4
        self._continued: list[bytes] = []

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished row are held."""
        return len(self._rest) + sum(map(len, self._continued))

    @property
    def is_open(self) -> bool:
        """Whether `cut` would return a statement."""
        return bool(self._statement)

    def feed(self, data: bytes) -> bytes:
        """Take the next bytes of the stream; raises `PacketError` when they cannot be row packets."""
        self._rest += data
        if len(self._rest) < self._needed:
            return b""
        buffer = bytes(self._rest)
        position, end = 0, len(buffer)
        statements: list[bytes] = []
        while end - position >= _HEADER_BYTES and not self.finished and self.error is None:
            length = int.from_bytes(buffer[position : position + 3], "little")
            if end - position - 4 < length:
                self._needed = length + 4
                break
            position += 4
            payload = buffer[position : position + length]
            position += length
            self._needed = 4
            if length == _CONTINUED or self._continued:
                self._continued.append(payload)
                if length == _CONTINUED:
                    continue
                payload = b"".join(self._continued)
                self._continued = []
            self._packet(payload, statements)
        self.digest &= _DIGEST_MASK
        if self.finished and position < end:
            raise PacketError("bytes follow the end of the result")
        self._rest = bytearray(buffer[position:])
        return b"".join(statements)

    def cut(self) -> bytes:
        """Return the open statement, closed; nothing if none is open."""
        if not self._statement:
            return b""
        statement = self._head + b",".join(self._statement) + b";\n"
        self.largest = max(self.largest, len(statement) - 2)
        self.sql_bytes += len(statement)
        self._statement = []
        self._length = 0
        return statement

    def _packet(self, payload: bytes, statements: list[bytes]) -> None:
        if payload[:1] == b"\xff":
            self.error = payload
            return
        if payload[:1] == b"\xfe" and len(payload) < _EOF_MAXIMUM:
            self.finished = True
            return
        self.rows += 1
        self.digest += xxhash.xxh64_intdigest(payload)
        if self._kinds is None:
            return
        if self._length >= STATEMENT_BYTES:
            statements.append(self.cut())
        row = b"(" + b",".join(self._fields(payload, self._kinds)) + b")"
        if not self._statement:
            self._length = len(self._head)
        self._statement.append(row)
        self._length += len(row) + 1

    @staticmethod
    def _fields(payload: bytes, kinds: str) -> list[bytes]:
        fields: list[bytes] = []
        position = 0
        try:
            for kind in kinds:
                length = payload[position]
                position += 1
                if length == _NULL:
                    fields.append(b"NULL")
                    continue
                if length > _NULL:
                    length, position = _long_length(payload, length, position)
                value = _taken(payload, position, length)
                position += length
                if kind == NUMBER:
                    fields.append(value)
                elif kind == TEXT:
                    fields.append(quoted(value))
                elif kind == DOUBLE:
                    fields.append(b"-0e0" if value == b"-0" else value)
                else:
                    fields.append(_hexadecimal(value))
        except (IndexError, struct.error):
            raise PacketError("a row ends in the middle of a column") from None
        if position != len(payload):
            raise PacketError("a row has more or fewer columns than were asked for")
        return fields


def _taken(payload: bytes, position: int, length: int) -> bytes:
    value = payload[position : position + length]
    if len(value) < length:
        raise IndexError("the payload ends before the value does")
    return value


def _long_length(payload: bytes, first: int, position: int) -> tuple[int, int]:
    if first == _TWO_BYTES:
        return struct.unpack_from("<H", payload, position)[0], position + 2
    if first == _THREE_BYTES:
        low, high = struct.unpack_from("<HB", payload, position)
        return low | high << 16, position + 3
    if first == _EIGHT_BYTES:
        return struct.unpack_from("<Q", payload, position)[0], position + 8
    raise PacketError("a column starts with 0xFF")


if TYPE_CHECKING or not ACCELERATED:  # noqa: SIM108 - mypy takes an assignment for an alias only in this form
    RowEncoder = PythonRowEncoder
else:
    RowEncoder = _RowEncoder
