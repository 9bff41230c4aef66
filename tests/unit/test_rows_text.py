"""Rows of an INSERT statement: what `RowEncoder` writes is taken, all else is not, in C as in plain Python."""

from itertools import chain

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from opskit.mysql.encode import PythonRowEncoder
from opskit.mysql.rows_text import are_rows, python_are_rows
from tests.fuzz.encoder_program import packets
from tests.unit.test_encode import payload

TOKENS = (
    b"NULL",
    b"0x",
    b"AF",
    b"'",
    b"\\",
    b"n",
    b"0",
    b"12",
    b".",
    b"e",
    b"-",
    b"+",
    b",",
    b"(",
    b")",
    b";",
    b"_binary ",
)
# Each has a byte, or a word, that a server would read otherwise than as one value.
NO_ROWS = (
    b"",
    b"(1,2)",
    b"(1,2);;",
    b"(1,2),;",
    b"(1);",
    b"(1,2,3);",
    b"(1,2);\n",
    b"(1, 2);",
    b"(1,2) ;",
    b"(1,'a'b');",
    b"(1,'\\');",
    b"(1,'\\x');",
    b"(1,'a\0');",
    b"(1,'a\n');",
    b"(1,'a\r');",
    b"(1,'a\x1a');",
    b"(1,_binary 'a);",
    b"(1,_binary  'a');",
    b"(1,0x);",
    b"(1,0xaf);",
    b"(1,0xG);",
    b"(1,1.);",
    b"(1,.5);",
    b"(1,1e);",
    b"(1,1E5);",
    b"(1,--1);",
    b"(1,NULLS);",
    b"(1,null);",
    b"(1,SLEEP(9));",
    b"(1,2)/**/;",
    b"(1,2) ON DUPLICATE KEY UPDATE a=1;",
    b"(1,2),(SELECT 1,2);",
)


def test_the_extension_judges_where_a_compiler_is() -> None:
    assert are_rows is not python_are_rows


@pytest.mark.parametrize("judge", [are_rows, python_are_rows])
@pytest.mark.parametrize("text", NO_ROWS)
def test_what_the_encoder_does_not_write_is_refused(judge: type(are_rows), text: bytes) -> None:  # type: ignore[valid-type]
    assert judge(b"(1,2);", 0, 2)
    assert not judge(text, 0, 2)


@given(
    rows=st.lists(
        st.tuples(*[st.binary(max_size=40)] * 2, *[st.integers().map(lambda it: b"%d" % it)] * 2), min_size=1
    ),
    null=st.booleans(),
)
def test_what_the_encoder_writes_is_taken(rows: list[tuple[bytes, bytes, bytes, bytes]], *, null: bool) -> None:
    encoder = PythonRowEncoder("txnd", b"INSERT INTO `t` (`a`) VALUES ")
    text = (
        encoder.feed(b"".join(packets(payload((*row[:3], None if null else row[3]))) for row in rows)) + encoder.cut()
    )
    for line in text.splitlines():
        assert are_rows(line, 29, 4)
        assert python_are_rows(line, 29, 4)
        assert not are_rows(line, 29, 3)


@given(
    text=st.lists(st.sampled_from(TOKENS) | st.binary(max_size=1), max_size=20).map(b"".join),
    start=st.integers(0, 3),
    columns=st.integers(0, 4),
)
@example(text=b"),);", start=0, columns=0)
@example(text=b"();", start=0, columns=0)
@example(text=b"(1);", start=9, columns=1)
def test_both_judge_alike(text: bytes, start: int, columns: int) -> None:
    for judged in chain(
        [text], (b"(" + text + b");", b"('" + text + b"',NULL);", b"(1,-1.5e-3),(" + text + b",0x0F);")
    ):
        assert are_rows(judged, start, columns) == python_are_rows(judged, start, columns)
