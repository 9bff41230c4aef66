import struct

from hypothesis import given
from hypothesis import strategies as st

from opskit.backup.reading import Values, rows_of
from opskit.mysql.encode import BYTES, NUMBER, TEXT, RowEncoder
from opskit.mysql.schema import insert_into

NUMBERS = st.sampled_from([b"0", b"-1", b"18446744073709551615", b"0.10", b"-1.5e-300", b"5e-324"])
TEXTS = st.text(st.characters(exclude_categories=["Cs"])).map(str.encode)
ROWS = st.lists(st.tuples(st.none() | NUMBERS, st.none() | TEXTS, st.none() | st.binary()), min_size=1, max_size=20)
HEAD = insert_into("odd ` VALUES (1", ["a", "b, ' VALUES (", "c"])


def packet(values: Values, number: int) -> bytes:
    payload = b"".join(
        b"\xfb" if value is None else b"\xfd" + len(value).to_bytes(3, "little") + value for value in values
    )
    return struct.pack("<I", len(payload) | number % 256 << 24) + payload


@given(ROWS)
def test_rows_are_read_as_they_were_encoded(rows: list[Values]) -> None:
    encoder = RowEncoder(NUMBER + TEXT + BYTES, HEAD)
    text = encoder.feed(b"".join(packet(row, number) for number, row in enumerate(rows))) + encoder.cut()
    read = [row for line in text.splitlines() for row in rows_of(line, len(HEAD), 3, [0, 1, 2])]
    assert read == rows


def test_large_bytes_are_read_as_they_were_encoded() -> None:
    value = bytes(range(256)) * 8192
    encoder = RowEncoder(BYTES, HEAD)
    text = encoder.feed(packet((value,), 0)) + encoder.cut()
    assert b"_binary '" in text
    assert list(rows_of(text.rstrip(b"\n"), len(HEAD), 1, [0])) == [(value,)]


def test_columns_come_in_the_order_asked_for() -> None:
    line = HEAD + b"(1,'x',0xFF),(2,NULL,''),(NULL,'NULL',0x00);"
    assert list(rows_of(line, len(HEAD), 3, [2, 0])) == [(b"\xff", b"1"), (b"", b"2"), (b"\0", None)]
