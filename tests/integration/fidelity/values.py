"""Tables with a column of every type, and the values that dumps get wrong; both products take them."""

import hashlib
import math
import struct
from collections.abc import Callable

Tables = dict[str, list[str]]

_INTEGERS = {"TINYINT": 8, "SMALLINT": 16, "MEDIUMINT": 24, "INT": 32, "BIGINT": 64}
_DOUBLES = (
    "0",
    "-0e0",
    "0.1",
    "16777216",
    "16777217",
    "9007199254740993",
    "123456789012345680000",
    "1e-7",
    "0.9876543210123456",
    "5e-324",
    "-5e-324",
    "2.2250738585072009e-308",
    "2.2250738585072014e-308",
    "1.7976931348623157e308",
    "-1.7976931348623157e308",
    "1e22",
    "1e23",
)
_FLOATS = (
    "0",
    "-0e0",
    "0.1",
    "16777216",
    "16777217",
    "1e-45",
    "-1e-45",
    "1.1754944e-38",
    "3.4028234663852886e38",
    "-3.4028234663852886e38",
    "0.3333333432674408",
    "1e10",
)
_PATTERNS = 400


def _row(values: list[str]) -> str:
    return "(" + ", ".join(values) + ")"


def _insert(table: str, rows: list[str]) -> str:
    return f"INSERT INTO `{table}` VALUES {', '.join(rows)}"


def _integers() -> list[str]:
    columns, lowest, highest = ["id INT PRIMARY KEY"], [], []
    for name, bits in _INTEGERS.items():
        columns += [f"s_{name} {name}", f"u_{name} {name} UNSIGNED", f"z_{name} {name} ZEROFILL"]
        lowest += [str(-(2 ** (bits - 1))), "0", "42"]
        highest += [str(2 ** (bits - 1) - 1), str(2**bits - 1), str(2**bits - 1)]
    columns += ["b BOOLEAN", "w INT(3) ZEROFILL"]
    return [
        f"CREATE TABLE integers ({', '.join(columns)})",
        _insert("integers", [_row(["0", *lowest, "0", "7"]), _row(["-1", *highest, "1", "12345"])]),
        "INSERT INTO integers (id) VALUES (2)",
    ]


def _decimals() -> list[str]:
    longest = "9" * 35 + "." + "9" * 30
    return [
        "CREATE TABLE decimals (a DECIMAL(65,30), b DECIMAL(65,0), c DECIMAL(10,2) UNSIGNED ZEROFILL, d DECIMAL(1,1))",
        _insert(
            "decimals",
            [
                _row([longest, "9" * 65, "0.01", "0.9"]),
                _row([f"-{longest}", "-" + "9" * 65, "12345678.90", "-0.9"]),
                _row(["0." + "0" * 29 + "1", "0", "0", "0"]),
                _row(["NULL"] * 4),
            ],
        ),
    ]


def _bits_of(width: int) -> list[float]:
    """Return numbers whose bits are arbitrary, the same ones every time."""
    form = {4: "<f", 8: "<d"}[width]
    numbers = [
        struct.unpack(form, hashlib.sha256(f"{width} {n}".encode()).digest()[:width])[0] for n in range(_PATTERNS)
    ]
    return [number for number in numbers if math.isfinite(number)]


def _literal(number: float) -> str:
    return format(number, ".17e")


def _floating() -> list[str]:
    pairs = zip(_bits_of(8), _bits_of(4), strict=False)
    return [
        "CREATE TABLE floating (id INT AUTO_INCREMENT PRIMARY KEY, d DOUBLE, f FLOAT)",
        *(f"INSERT INTO floating (d) VALUES ({value})" for value in _DOUBLES),
        *(f"INSERT INTO floating (f) VALUES ({value})" for value in _FLOATS),
        "INSERT INTO floating (d, f) VALUES "
        + ", ".join(f"({_literal(double)}, {_literal(single)})" for double, single in pairs),
    ]


def _floating_forms() -> list[str]:
    return [
        "CREATE TABLE floating_forms (fu FLOAT UNSIGNED, fz FLOAT ZEROFILL, fd FLOAT(10,3), du DOUBLE UNSIGNED,"
        " dz DOUBLE ZEROFILL, dd DOUBLE(20,5), ddz DOUBLE(12,4) ZEROFILL, p FLOAT(53))",
        "INSERT INTO floating_forms VALUES (0.1, 0.1, -0.1, 0.1, 0.1, -0.1, 0.1, 0.1),"
        " (16777216, 16777216, 9999999.999, 1e300, 1e300, 123456789012345.12345, 99999999.9999, -5e-324),"
        " (-0e0, -0e0, -0e0, -0e0, -0e0, -0e0, -0e0, -0e0), (1e-45, 1e-45, -0.001, 5e-324, 5e-324, -1e-5, 1e-4, 1),"
        " (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    ]


def _bits() -> list[str]:
    columns = ", ".join(f"b{n} BIT({n})" for n in range(1, 65))
    rows = [[f"b'{digits(n)}'" for n in range(1, 65)] for digits in _BIT_PATTERNS]
    return [
        f"CREATE TABLE bits ({columns})",
        _insert("bits", [_row(row) for row in rows]),
        f"INSERT INTO bits VALUES {_row(['NULL'] * 64)}",
    ]


_BIT_PATTERNS: tuple[Callable[[int], str], ...] = (
    lambda n: "0" * n,
    lambda n: "1" * n,
    lambda n: "1" + "0" * (n - 1),
    lambda n: ("01" * n)[-n:],
)


def _bytes() -> list[str]:
    every = bytes(range(256)).hex()
    return [
        "CREATE TABLE octets (b BINARY(4), bb BINARY(255), v VARBINARY(300), t TINYBLOB, bl BLOB, m MEDIUMBLOB,"
        " l LONGBLOB)",
        f"INSERT INTO octets VALUES (0x61000000, 0x{every[:510]}, 0x{every}, 0x{every[2:]}, 0x{every}, 0x{every},"
        f" 0x{every}), (0x00, '', '', '', '', '', ''), (NULL, NULL, NULL, NULL, NULL, NULL, NULL),"
        " (0x20202020, 0x5C, 0x27, 0x3B0A, 0x2A2F, 0x00, 0x1A)",
        *(f"INSERT INTO octets (v, bl) VALUES (0x{n:02x}, 0x{n:02x}{n:02x}{n:02x})" for n in range(256)),
    ]


def _moments() -> list[str]:
    return [
        "CREATE TABLE moments (d DATE, t TIME, t6 TIME(6), dt DATETIME, dt6 DATETIME(6), dt1 DATETIME(1),"
        " ts TIMESTAMP NULL DEFAULT NULL, ts6 TIMESTAMP(6) NULL DEFAULT NULL, y YEAR)",
        "SET SESSION sql_mode = 'ALLOW_INVALID_DATES'",
        "INSERT INTO moments VALUES"
        " ('0000-00-00', '00:00:00', '00:00:00.000001', '0000-00-00 00:00:00', '0000-00-00 00:00:00.000000', 0, '0000-00-00 00:00:00',"
        " '0000-00-00 00:00:00.000000', 0),"
        " ('2023-02-31', '-838:59:59', '-838:59:59.000000', '2023-02-31 10:00:00', '2023-04-31 00:00:00.123456',"
        " '1000-01-01 00:00:00.9', '1970-01-01 00:00:01', '1970-01-01 00:00:01.000001', 1901),"
        " ('2023-00-00', '838:59:59', '838:59:59.000000', '2023-01-00 00:00:00', '9999-12-31 23:59:59.999999',"
        " '0001-01-01', '2038-01-19 03:14:07', '2038-01-19 03:14:07.999999', 2155),"
        " ('9999-12-31', '-00:00:01', '-00:00:00.000001', '1000-01-01', '0000-01-01 00:00:00.5',"
        # An hour that there is twice, and one that there is not, in many zones.
        " NULL, '2023-10-29 01:30:00', '2023-03-26 02:30:00.5', 1970),"
        " (NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL)",
    ]


def _members() -> list[str]:
    return [
        "CREATE TABLE members (id INT PRIMARY KEY, plain ENUM('a','b','1','0',' x'),"
        " hollow ENUM('a','','b'), quoted ENUM('it''s','a\\\\b','c,d','(','\\n',';\\n','*/'),"
        " latin ENUM('é','ß') CHARACTER SET latin1, wide ENUM('é','日') CHARACTER SET ucs2,"
        " many SET('a','b','c'), blank SET('x','','y'), latins SET('é','ß') CHARACTER SET latin1, solely ENUM(''))",
        "INSERT INTO members VALUES (1, 'a', '', 'it''s', 'é', '日', 'a,c', '', 'é,ß', ''),"
        " (2, '0', 'a', 'a\\\\b', 'ß', 'é', '', 2, '', ''), (3, '1', 'b', 'c,d', 'é', '日', 'b', 3, 'ß', ''),"
        " (4, ' x', NULL, '(', NULL, NULL, 'a,b,c', 7, NULL, NULL),"
        " (5, NULL, NULL, '\\n', NULL, NULL, NULL, NULL, NULL, NULL), (6, 3, 2, 6, 1, 1, 0, 0, 0, 1), (7, 4, 2, 7, 1, 1, 0, 5, 0, 1)",
        # Number 0 is the error value: it reads as '', and is not the member ''.
        "INSERT INTO members VALUES (8, 'no', 'no', 'no', 'no', 'no', 'no', 'no', 'no', 'no')",
    ]


def _widest_set() -> list[str]:
    return [
        "CREATE TABLE widest_set (s SET(" + ", ".join(f"'m{n}'" for n in range(64)) + "))",
        "INSERT INTO widest_set VALUES (18446744073709551615), (9223372036854775808), (0), (NULL)",
    ]


def _widest_set_empty() -> list[str]:
    return [
        "CREATE TABLE widest_set_empty (s SET('', " + ", ".join(f"'m{n}'" for n in range(63)) + "))",
        "INSERT INTO widest_set_empty VALUES (18446744073709551615), (9223372036854775808), (1), (0), (NULL)",
    ]


TABLES: Tables = {
    "integers": _integers(),
    "decimals": _decimals(),
    "floating": _floating(),
    "floating_forms": _floating_forms(),
    "bits": _bits(),
    "octets": _bytes(),
    "moments": _moments(),
    "members": _members(),
    "widest_set": _widest_set(),
    "widest_set_empty": _widest_set_empty(),
}
