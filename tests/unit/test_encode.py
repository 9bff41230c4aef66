"""Row packets to SQL: the encoder in C and the one in plain Python say the same, byte for byte."""

import random
from itertools import pairwise

import pytest
import xxhash
from hypothesis import example, given
from hypothesis import strategies as st

from opskit.mysql.encode import ACCELERATED, HEX_LIMIT, STATEMENT_BYTES, PacketError, PythonRowEncoder, RowEncoder
from tests.fuzz.encoder_program import CONTINUED, HEAD, length_encoded, packets, play

END = packets(b"\xfe\0\0\2\0")
ENCODERS = [PythonRowEncoder, RowEncoder]
Row = tuple[bytes | None, ...]

values = (
    st.none() | st.binary(max_size=300) | st.sampled_from([b"-0", b"0", b"", b"'", b"\\", b"\0\n\r\x1a", b"x" * 70_000])
)


def payload(row: Row) -> bytes:
    """Lay a row out as a server does: each length in the shortest form."""
    fields = []
    for value in row:
        if value is None:
            fields.append(b"\xfb")
            continue
        size = len(value)
        width, mark = (
            (0, b"")
            if size < 0xFB
            else (2, b"\xfc")
            if size < 1 << 16
            else (3, b"\xfd")
            if size < 1 << 24
            else (8, b"\xfe")
        )
        fields.append((mark + size.to_bytes(width, "little") if width else bytes([size])) + value)
    return b"".join(fields)


def encoded(encoder: RowEncoder, *pieces: bytes) -> bytes:
    return b"".join(encoder.feed(piece) for piece in pieces) + encoder.cut()


def split(content: bytes, places: list[int]) -> list[bytes]:
    cuts = [0, *sorted(place % (len(content) + 1) for place in places), len(content)]
    return [content[first:before] for first, before in pairwise(cuts)]


def test_the_extension_is_built_where_a_compiler_is() -> None:
    assert ACCELERATED
    assert RowEncoder is not PythonRowEncoder


@given(
    rows=st.lists(st.tuples(values, values, values, values), max_size=20),
    kinds=st.text("ndtx", min_size=4, max_size=4),
    places=st.lists(st.integers(0, 2**20), max_size=30),
)
def test_packets_split_anywhere_give_the_same_statements(rows: list[Row], kinds: str, places: list[int]) -> None:
    content = b"".join(packets(payload(row)) for row in rows) + END
    expected = play(PythonRowEncoder(kinds, HEAD), [content], (PacketError,))
    for encoder in ENCODERS:
        one = encoder(kinds, HEAD)
        assert play(one, [content], (PacketError,)) == expected
        in_pieces = encoder(kinds, HEAD)
        assert encoded(in_pieces, *split(content, places)) == encoded(encoder(kinds, HEAD), content)
        assert (in_pieces.rows, in_pieces.digest) == (
            len(rows),
            sum(xxhash.xxh64_intdigest(payload(row)) for row in rows) % 2**64,
        )
        assert in_pieces.finished
        assert in_pieces.error is None


@given(
    content=st.binary(max_size=400),
    places=st.lists(st.integers(0, 400), max_size=5),
    kinds=st.none() | st.text("ndtx", max_size=3),
)
@example(content=b"\1\0\0\1\xfc", places=[], kinds="t")
@example(content=b"\0\0\0\1", places=[], kinds="")
def test_any_bytes_at_all_give_the_same_answer(content: bytes, places: list[int], kinds: str | None) -> None:
    pieces = split(content, places)
    told = [play(encoder(kinds, HEAD), pieces, (PacketError,)) for encoder in ENCODERS]
    assert told[0] == told[1]


@given(row=st.tuples(values, values), cut=st.integers(0, 2**20))
def test_a_truncated_stream_is_never_finished(row: Row, cut: int) -> None:
    content = packets(payload(row)) + END
    cut %= len(content)
    for encoder in ENCODERS:
        one = encoder("tx", HEAD)
        one.feed(content[:cut])
        assert not one.finished
        assert one.error is None
        assert one.pending == (cut if one.rows == 0 else cut - (len(content) - len(END)))


@given(st.binary(max_size=200))
def test_digest_of_a_row_is_xxh64_of_its_payload(value: bytes) -> None:
    for encoder in ENCODERS:
        one = encoder()
        one.feed(packets(payload((value,))) + END)
        assert one.digest == xxhash.xxh64_intdigest(payload((value,)))


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("size", [0, 250, 251, 252, 255, 256, 65_535, 65_536, 65_537, 2**24 - 1, 2**24, 2**24 + 1])
def test_lengths_of_every_form_are_read(encoder: type[RowEncoder], size: int) -> None:
    value = b"a" * size
    row = payload((value, b"z"))
    one = encoder("tt", HEAD)
    assert encoded(one, packets(row) + END) == HEAD + b"('" + value + b"','z');\n"
    assert one.digest == xxhash.xxh64_intdigest(row)


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    "size", [CONTINUED - 1, CONTINUED, CONTINUED + 1, 2 * CONTINUED - 1, 2 * CONTINUED, 2 * CONTINUED + 1]
)
def test_rows_continue_over_packets_of_sixteen_megabytes(encoder: type[RowEncoder], size: int) -> None:
    first = payload((b"1", b"x" * (size - 6 if size < 2**24 + 6 else size - 11)))
    assert len(first) == size
    content = packets(first) + packets(payload((b"2", None))) + END
    one = encoder("nt", HEAD)
    pieces = [content[start : start + 4_000_003] for start in range(0, len(content), 4_000_003)]
    out = encoded(one, *pieces)
    assert out.endswith(b"xxx');\n" + HEAD + b"(2,NULL);\n")
    assert one.rows == 2
    assert one.finished
    assert one.pending == 0
    assert one.digest == (xxhash.xxh64_intdigest(first) + xxhash.xxh64_intdigest(payload((b"2", None)))) % 2**64


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("n", b"-12.50", b"-12.50"),
        ("n", b"-0", b"-0"),
        ("d", b"-0", b"-0e0"),
        ("d", b"-0.5", b"-0.5"),
        ("t", b"", b"''"),
        ("t", b"NULL", b"'NULL'"),
        ("t", b"it's \\ \0 \n \r \x1a \" ; \t", rb"""'it\'s \\ \0 \n \r \Z " ; """ + b"\t'"),
        ("t", "é😀".encode(), "'é😀'".encode()),
        ("x", b"", b"''"),
        ("x", b"\0\xff'", b"0x00FF27"),
        ("x", b"a" * HEX_LIMIT, b"0x" + b"61" * HEX_LIMIT),
        ("x", b"'" + b"a" * HEX_LIMIT, rb"_binary '\'" + b"a" * HEX_LIMIT + b"'"),
        *((kind, None, b"NULL") for kind in "ndtx"),
    ],
)
def test_values_become_the_sql_that_gives_them_back(
    encoder: type[RowEncoder], kind: str, value: bytes | None, expected: bytes
) -> None:
    one = encoder(kind, HEAD)
    assert encoded(one, packets(payload((value,))) + END) == HEAD + b"(" + expected + b");\n"
    assert one.largest == len(HEAD) + len(expected) + 2
    assert one.sql_bytes == one.largest + 2


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize("value", [b"", b"abc"])
def test_a_row_that_begins_like_the_end_of_a_result_is_a_row(encoder: type[RowEncoder], value: bytes) -> None:
    long_form = b"\xfe" + len(value).to_bytes(8, "little") + value
    one = encoder("t", HEAD)
    assert encoded(one, packets(long_form) + END) == HEAD + b"('" + value + b"');\n"


@pytest.mark.parametrize("encoder", ENCODERS)
def test_statements_are_closed_when_they_are_long_enough(encoder: type[RowEncoder]) -> None:
    rows = [payload((b"x" * 1000,))] * 40
    statements = encoded(encoder("t", HEAD), b"".join(map(packets, rows)) + END).splitlines()
    assert [statement.count(b"('") for statement in statements] == [17, 17, 6]
    assert all(len(statement) < STATEMENT_BYTES + 1100 for statement in statements)


@pytest.mark.parametrize("encoder", ENCODERS)
def test_an_error_in_the_middle_is_kept_and_ends_nothing(encoder: type[RowEncoder]) -> None:
    killed = b"\xff\x25\x05#70100Query execution was interrupted"
    one = encoder("t", HEAD)
    one.feed(packets(payload((b"a",))) + packets(killed))
    assert one.error == killed
    assert not one.finished


@pytest.mark.parametrize("encoder", ENCODERS)
@pytest.mark.parametrize(
    ("content", "message"),
    [
        (packets(payload((b"a",))) + END, "ends in the middle"),
        (packets(payload((b"a", b"b", b"c"))) + END, "more or fewer columns"),
        (packets(payload((b"a", b"b"))) + END + b"\0", "bytes follow"),
        (packets(b"\1a\xff") + END, "0xFF"),
        (packets(b"\1a\xfc\1") + END, "ends in the middle"),
        (packets(b"\1a\xfe" + b"\xff" * 8) + END, "ends in the middle"),
    ],
)
def test_what_is_no_row_of_two_columns_raises(encoder: type[RowEncoder], content: bytes, message: str) -> None:
    with pytest.raises(PacketError, match=message):
        encoder("tt", HEAD).feed(content)


@given(chosen=st.randoms(use_true_random=False))
def test_lengths_in_wider_forms_than_needed_are_read_alike(chosen: random.Random) -> None:
    row = b"".join(length_encoded(bytes(chosen.randrange(400)), chosen) for _ in range(3))
    told = [play(encoder("ntx", HEAD), [packets(row) + END], (PacketError,)) for encoder in ENCODERS]
    assert told[0] == told[1]
