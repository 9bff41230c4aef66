"""Text in every character set that the server knows, with every character of it, and what SQL finds special."""

from tests.integration.fidelity.values import Tables

# What breaks files of SQL that were written, or split, without care.
SPECIAL = (
    "",
    "NULL",
    "'",
    "''",
    '"',
    "`",
    "\\",
    "\\'",
    "\\\\",
    "\\0",
    "\0",
    "a\0b",
    "\n",
    "\r\n",
    "\t",
    "\b",
    "\x1a",
    ";\n",
    ";;\n",
    "*/",
    "/*!50000 x */",
    "-- x\n",
    "# x",
    "DELIMITER //\n",
    "%",
    "_",
    "\u00e9",
    "\u20ac",
    "\u65e5\u672c",
    "\U0001f600",
    "\U0010ffff",
    "e\u0301",
    "\ufeff",
    "\u2028",
    # UTF-8 that went through latin1 once too often: it stays as it is.
    "\u00c3\u00a9",
    "  both ends  ",
    "x" * 300,
)
# Multi-byte character sets whose two-byte sequences are tried one and all.
_WIDE = ("big5", "ujis", "sjis", "gbk", "euckr", "gb2312", "gb18030", "cp932", "eucjpms", "ucs2", "utf16", "utf16le")
_SEVEN_BITS = ("ascii", "swe7")
# Characters of three or four bytes.
_LONG = {
    "ujis": ("8FA2AF", "8FEDE3"),
    "eucjpms": ("8FA2AF", "8FF3F3"),
    "gb18030": ("81308130", "9439DA33", "E3329A35"),
    "utf16": ("D83DDE00", "DBFFDFFF"),
    "utf16le": ("3DD800DE", "FFDBFFDF"),
    "utf32": ("00000041", "000000E9", "0001F600", "0010FFFF"),
    "utf8mb3": ("C3A9", "E282AC", "EFBFBD"),
    "utf8mb4": ("C3A9", "E282AC", "F09F9880", "F48FBFBF"),
}
CHARACTER_SETS = (
    *_WIDE, "utf32", "utf8mb3", "utf8mb4", "armscii8", "ascii", "binary", "cp1250", "cp1251", "cp1256", "cp1257", "cp850",
    "cp852", "cp866", "dec8", "geostd8", "greek", "hebrew", "hp8", "keybcs2", "koi8r", "koi8u", "latin1", "latin2",
    "latin5", "latin7", "macce", "macroman", "swe7", "tis620",
)  # fmt: skip


def _literal(text: str) -> str:
    return f"_utf8mb4 0x{text.encode().hex()}" if text else "''"


def charset_table(charset: str) -> list[str]:
    """Return a table with every character of one or two bytes, one row for each first byte."""
    text = f"CHARACTER SET {charset}"
    numbers = 65536 if charset in _WIDE else 128 if charset in _SEVEN_BITS else 256
    digits = 4 if charset in _WIDE else 2
    # What is no character of the set becomes NULL, and GROUP_CONCAT leaves it out.
    character = f"CONVERT(UNHEX(LPAD(HEX(n), {digits}, '0')) USING {charset})"
    table = f"text_{charset}"
    return [
        f"CREATE TABLE {table} (c CHAR(5) {text}, v VARCHAR(600) {text}, t TEXT {text}, l LONGTEXT {text})",
        f"INSERT INTO {table} (v, t) SELECT CONVERT(UNHEX(LPAD(HEX(n), 2, '0')) USING {charset}), NULL"
        f" FROM {NUMBERS} WHERE n < {min(numbers, 256)} AND CONVERT(UNHEX(LPAD(HEX(n), 2, '0')) USING {charset}) IS NOT NULL",
        f"INSERT INTO {table} (t) SELECT GROUP_CONCAT({character} ORDER BY n SEPARATOR '')"
        f" FROM {NUMBERS} WHERE n < {numbers} AND {character} IS NOT NULL GROUP BY n DIV 256",
        f"INSERT INTO {table} VALUES ('', '', '', ''), (NULL, NULL, NULL, NULL), ('a  ', 'a  ', 'a\\n', 'a\\\\')",
        *(
            f"INSERT INTO {table} (v, l) VALUES (_{charset} 0x{each}, _{charset} 0x{each})"
            for each in _LONG.get(charset, ())
        ),
    ]


NUMBERS = "_numbers"
PREPARE = [
    f"CREATE TABLE {NUMBERS} (n INT PRIMARY KEY)",
    f"INSERT INTO {NUMBERS} SELECT a.d + 16 * b.d + 256 * c.d + 4096 * e.d FROM"
    + " JOIN".join(
        f" (SELECT 0 AS d{''.join(f' UNION SELECT {n}' for n in range(1, 16))}) AS {name}" for name in "abce"
    ),
    "SET SESSION group_concat_max_len = 1000000",
]

TABLES: Tables = {
    NUMBERS: PREPARE,
    **{f"text_{charset}": charset_table(charset) for charset in CHARACTER_SETS},
    "special": [
        "CREATE TABLE special (id INT PRIMARY KEY, t TEXT, l VARCHAR(400) CHARACTER SET latin1, b BLOB,"
        " bin VARCHAR(400) COLLATE utf8mb4_bin, u VARCHAR(400) CHARACTER SET utf16)",
        *(
            f"INSERT INTO special VALUES ({n}, {_literal(text)}, IFNULL(CONVERT({_literal(text)} USING latin1), ''),"
            f" {_literal(text)}, {_literal(text)}, {_literal(text)})"
            for n, text in enumerate(SPECIAL)
        ),
        f"INSERT INTO special (id) VALUES ({len(SPECIAL)})",
    ],
}
