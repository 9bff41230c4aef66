"""A process that feeds one encoder, built with sanitizers, what a broken or hostile server might send.

    python encoder_program.py EXTENSION SEED ROUNDS

Every answer must be that of the encoder in plain Python, errors included; and every statement, written by it or
broken, must be judged as plain Python judges it. The sanitizers end the process.
"""

import importlib.machinery
import importlib.util
import random
import struct
import sys
from types import ModuleType
from typing import Any

from opskit.mysql.encode import PacketError, PythonRowEncoder
from opskit.mysql.rows_text import python_are_rows

KINDS = "ndtx"
HEAD = b"INSERT INTO `t` (`a`) VALUES "
# Values around each limit that the format or the encoder has.
LENGTHS = (0, 1, 7, 8, 9, 250, 251, 252, 255, 256, 4000, 16_384, 65_535, 65_536)
CONTINUED = 0xFFFFFF


def load(path: str) -> ModuleType:
    loader = importlib.machinery.ExtensionFileLoader("_encode", path)
    spec = importlib.util.spec_from_file_location("_encode", path, loader=loader)
    assert spec is not None
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def length_encoded(value: bytes, random_: random.Random) -> bytes:
    """Write a value behind its length, in any of the forms that are wide enough."""
    forms = [(8, b"\xfe")]
    forms += [(3, b"\xfd")] * (len(value) < 1 << 24) + [(2, b"\xfc")] * (len(value) < 1 << 16)
    if len(value) < 0xFB and random_.random() < 0.5:
        return bytes([len(value)]) + value
    width, mark = random_.choice(forms)
    return mark + len(value).to_bytes(width, "little") + value


def row(columns: int, random_: random.Random) -> bytes:
    values = []
    for _ in range(columns):
        size = random_.choice(LENGTHS) if random_.random() < 0.9 else random_.randrange(300_000)
        choices = (random_.randbytes(size), b"'\\\0\n\r\x1a" * (size // 6), b"-0", b"x" * size)
        values.append(b"\xfb" if random_.random() < 0.1 else length_encoded(random_.choice(choices), random_))
    return b"".join(values)


def packets(payload: bytes) -> bytes:
    pieces, rest = [], payload
    while True:
        piece, rest = rest[:CONTINUED], rest[CONTINUED:]
        pieces.append(struct.pack("<I", len(piece)) + piece)
        if len(piece) < CONTINUED:
            return b"".join(pieces)


def stream(columns: int, random_: random.Random) -> bytes:
    payloads = [row(columns, random_) for _ in range(random_.randrange(8))]
    if random_.random() < 0.02:
        payloads.append(
            length_encoded(b"y" * (CONTINUED + random_.randrange(-20, 20)), random_) + row(columns - 1, random_)
        )
    ends = (b"\xfe\0\0\2\0", b"\xff\x15\x04#42000no", b"\xfe" * 9, b"", b"\xff")
    content = bytearray(b"".join(map(packets, [*payloads, random_.choice(ends)])))
    for _ in range(random_.choice((0, 0, 1, 3))):
        if content:
            content[random_.randrange(min(len(content), 4000))] = random_.randrange(256)
    if random_.random() < 0.3:
        del content[random_.randrange(len(content) + 1) :]
    return bytes(content)


def play(encoder: Any, pieces: list[bytes], errors: tuple[type[Exception], ...]) -> list[object]:  # noqa: ANN401 - either of two
    told: list[object] = []
    try:
        for piece in pieces:
            told.append(encoder.feed(piece))
            if encoder.finished or encoder.error is not None:
                break
        told.append(encoder.cut())
    except errors as error:
        # Where a broken row was begun, only the error is promised.
        return [*told, str(error)]
    state = (encoder.rows, encoder.digest, encoder.largest, encoder.sql_bytes, encoder.finished, encoder.error)
    return [*told, *state]


def broken(text: bytes, random_: random.Random) -> bytes:
    """Change a few bytes of a statement, or cut it off."""
    content = bytearray(text)
    for _ in range(random_.choice((0, 1, 3))):
        if content:
            content[random_.randrange(min(len(content), 4000))] = random_.choice(b"'\\,();0x-.eN_ \0\n")
    return bytes(content[: random_.randrange(len(content) + 1)] if random_.random() < 0.2 else content)


def main(path: str, seed: str, rounds: str) -> None:
    extension = load(path)
    random_ = random.Random(int(seed))
    for number in range(int(rounds)):
        columns = random_.randrange(1, 6)
        kinds = "".join(random_.choice(KINDS) for _ in range(columns)) if random_.random() < 0.9 else None
        content = stream(columns, random_)
        pieces, position = [], 0
        while position < len(content):
            size = random_.choice((1, 3, 4, 5, 100, 4096, 262_144, len(content)))
            pieces.append(content[position : position + size])
            position += size
            if len(pieces) > 2000:
                pieces.append(content[position:])
                break
        expected = play(PythonRowEncoder(kinds, HEAD), pieces, (PacketError,))
        found = play(extension.RowEncoder(kinds, HEAD), pieces, (extension.PacketError,))
        if found != expected:
            sys.exit(f"round {number} of seed {seed}: {str(found)[:300]} is not {str(expected)[:300]}")
        for line in b"".join(each for each in expected if isinstance(each, bytes)).splitlines():
            text, start = broken(line, random_), random_.choice((len(HEAD), len(HEAD), 0, len(line)))
            if extension.are_rows(text, start, columns) != python_are_rows(text, start, columns):
                sys.exit(f"round {number} of seed {seed}: {text[:300]!r} is not judged alike")
    sys.stdout.write(f"{rounds} rounds\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
