"""The rows of an INSERT statement as `RowEncoder` writes them, told from everything else.

A backup is hostile input: what a restore executes must be rows, and nothing that a server could read otherwise.
"""

import re
from functools import lru_cache

try:
    from opskit.mysql._encode import are_rows as _in_c
except ImportError:  # no compiler where it was installed: slower, the same answers
    _in_c = None  # type: ignore[assignment] # to mypy a function is never None

# Possessive quantifiers: a hostile line must not cost more than one pass.
_VALUE = (
    rb"(?:NULL|0x[0-9A-F]++|-?\d++(?:\.\d++)?(?:e[-+]?\d++)?"
    rb"|(?:_binary )?'(?:[^'\\\x00\n\r\x1a]++|\\[0nr\\'Z])*+')"
)


def python_are_rows(statement: bytes, start: int, columns: int, /) -> bool:
    """Tell whether, from `start` on, the statement is rows of so many columns with commas between them, and a `;`."""
    return columns > 0 and _rows(columns).fullmatch(statement, start) is not None


@lru_cache
def _rows(columns: int) -> re.Pattern[bytes]:
    row = rb"\(" + _VALUE + (rb"(?:,%b){%d}+" % (_VALUE, columns - 1)) + rb"\)"
    return re.compile(rb"%b(?:,%b)*+;" % (row, row))


# The same in C: a tenth of the time, and other threads run meanwhile (measured).
are_rows = python_are_rows if _in_c is None else _in_c
