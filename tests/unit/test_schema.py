"""How each type of column is read, and how its bytes become SQL."""

import pytest

from opskit.errors import ConfigurationError
from opskit.mysql.columns import column_as_saved, column_expressions
from opskit.mysql.encode import BYTES, DOUBLE, NUMBER, TEXT

PLAIN = "`c`"


@pytest.mark.parametrize(
    ("column_type", "charset", "expression", "kind"),
    [
        ("bigint unsigned", None, PLAIN, NUMBER),
        ("tinyint(1)", None, PLAIN, NUMBER),
        ("decimal(65,30)", None, PLAIN, NUMBER),
        ("year", None, PLAIN, NUMBER),
        ("double", None, PLAIN, DOUBLE),
        # As text a FLOAT has six digits, and a negative zero of a ZEROFILL column is 000-0.
        ("float", None, "CAST(`c` AS DOUBLE)", DOUBLE),
        ("float(10,3) unsigned", None, "CAST(`c` AS DOUBLE)", DOUBLE),
        ("double(12,4) unsigned zerofill", None, "CAST(`c` AS DOUBLE)", DOUBLE),
        *((f"{kind}", charset, PLAIN, TEXT) for kind in ("varchar(9)", "char(9)", "longtext", "tinytext")
          for charset in ("utf8mb4", "utf8mb3", "utf8", "ascii")),
        *(("text", charset, PLAIN, BYTES) for charset in ("latin1", "sjis", "ucs2", "utf16", "binary", "cp1251")),
        ("enum('a','b')", "utf8mb4", PLAIN, TEXT),
        ("enum('a','b')", "latin1", PLAIN, BYTES),
        # By its text the member '' cannot be told from the error value.
        ("enum('a','','b')", "utf8mb4", "`c`+0", NUMBER),
        ("enum('')", "latin1", "`c`+0", NUMBER),
        ("enum('a','')", "utf8mb4", "`c`+0", NUMBER),
        ("set('','a')", "utf8mb4", "CAST(`c` AS UNSIGNED)", NUMBER),
        ("enum('''','it''s')", "utf8mb4", PLAIN, TEXT),
        ("set('a''','b')", "utf8mb4", PLAIN, TEXT),
        ("json", None, PLAIN, TEXT),
        *((kind, None, PLAIN, TEXT) for kind in ("date", "time(6)", "datetime(6)", "timestamp", "uuid", "inet6")),
        *((kind, None, PLAIN, BYTES) for kind in ("bit(1)", "binary(3)", "varbinary(9)", "longblob", "tinyblob",
          "vector(3)", "geometry", "point", "multipolygon", "geomcollection", "geometrycollection")),
    ],
)  # fmt: skip
def test_columns_are_read_so_that_nothing_is_lost(
    column_type: str, charset: str | None, expression: str, kind: str
) -> None:
    data_type = column_type.partition("(")[0].partition(" ")[0]
    column = column_as_saved("t", "c", data_type, column_type, charset)
    assert (column.name, column.expression, column.kind) == ("c", expression, kind)
    assert column.expression in column_expressions("c")  # or a restore would take it for a forgery


def test_names_are_quoted() -> None:
    assert column_as_saved("t", "a`b", "float", "float", None).expression == "CAST(`a``b` AS DOUBLE)"


def test_a_type_that_opskit_does_not_know_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"column t\.c has type hypercube\(3\)"):
        column_as_saved("t", "c", "hypercube", "hypercube(3)", None)
