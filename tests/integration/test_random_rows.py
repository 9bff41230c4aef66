"""Random values of every kind of type: whatever goes in comes back, by the server's own checksum and by value."""

import json
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from opskit.backup.create import Options as BackupOptions
from opskit.backup.create import create_backup
from opskit.restore.run import Options, restore
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Server
from tests.conftest import fresh_database
from tests.endpoints import endpoint
from tests.integration.fidelity import witness

Literals = st.SearchStrategy[str]


def octets(most: int, charset: str = "binary") -> Literals:
    return st.binary(max_size=most).map(lambda value: f"_{charset} x'{value.hex()}'")


def texts(most: int, charset: str = "utf8mb4", codec: str = "utf-8") -> Literals:
    """Any text that the character set can hold, special characters more often than others."""
    alphabet = st.one_of(st.sampled_from("'\"\\\0\n\r\x1a;%_`"), st.characters(codec=codec))
    encoded = st.text(alphabet, max_size=most).map(lambda text: text.encode(codec).hex())
    return encoded.map(lambda digits: f"_{charset} x'{digits}'")


def integers(bits: int) -> Literals:
    return st.integers(-(2 ** (bits - 1)), 2 ** (bits - 1) - 1).map(str)


def decimals(whole: int, places: int) -> Literals:
    return st.integers(-(10 ** (whole + places)) + 1, 10 ** (whole + places) - 1).map(
        lambda number: (
            f"{number // 10**places}.{number % 10**places:0{places}d}" if number >= 0 else f"{number}e-{places}"
        )
    )


def floats(width: int) -> Literals:
    numbers = st.floats(width=width, allow_nan=False, allow_infinity=False)  # type: ignore[arg-type] # 32 or 64
    return numbers.map(lambda number: format(number, ".17e"))


def moments(form: str) -> Literals:
    """Digits that may or may not be a day or an hour: what the server does not take, it takes for zero."""
    digits = st.tuples(*(st.integers(0, most) for most in (9999, 12, 31, 23, 59, 59, 999999)))
    return digits.map(lambda parts: "'" + form.format(*parts) + "'")


def documents() -> Literals:
    leaves = (
        st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    )
    nested = st.recursive(
        leaves | st.text(st.characters(codec="utf-8"), max_size=20),
        lambda inner: (
            st.lists(inner, max_size=3) | st.dictionaries(st.text("aé'\"\\\0😀", max_size=3), inner, max_size=3)
        ),
        max_leaves=8,
    )
    return nested.map(lambda value: f"CONVERT(x'{json.dumps(value).encode().hex()}' USING utf8mb4)")


def points() -> Literals:
    pair = st.tuples(*[st.floats(allow_nan=False, allow_infinity=False)] * 2)
    return pair.map(
        lambda numbers: f"ST_GeomFromWKB(x'01{(1).to_bytes(4, 'little').hex()}{struct.pack('<2d', *numbers).hex()}')"
    )


COLUMNS = {
    "TINYINT": integers(8),
    "BIGINT": integers(64),
    "BIGINT UNSIGNED ZEROFILL": st.integers(0, 2**64 - 1).map(str),
    "DECIMAL(65,30)": decimals(35, 30),
    "FLOAT": floats(32),
    "DOUBLE": floats(64),
    "BIT(64)": st.integers(0, 2**64 - 1).map(str),
    "BIT(9)": st.integers(0, 2**9 - 1).map(str),
    "CHAR(9)": texts(9),
    "VARCHAR(30) CHARACTER SET latin1": octets(30, "latin1"),
    "VARCHAR(30) CHARACTER SET cp1251": octets(30, "cp1251"),
    "VARCHAR(30) CHARACTER SET gbk": texts(15, "gbk", "gbk"),
    "VARCHAR(30) CHARACTER SET utf16": texts(15, "utf16", "utf-16-be"),
    "TEXT": texts(300),
    "BINARY(5)": octets(5),
    "VARBINARY(300)": octets(300),
    "BLOB": octets(2000),
    "ENUM('a','','b')": st.integers(0, 3).map(str),
    "SET('a','','b')": st.integers(0, 7).map(str),
    "DATE": moments("{0:04}-{1:02}-{2:02}"),
    "TIME(6)": moments("{3:03}:{4:02}:{5:02}.{6:06}"),
    "DATETIME(6)": moments("{0:04}-{1:02}-{2:02} {3:02}:{4:02}:{5:02}.{6:06}"),
    "TIMESTAMP(6)": moments("20{4:02}-{1:02}-{2:02} {3:02}:{4:02}:{5:02}.{6:06}"),
    "YEAR": st.sampled_from(["0", "1901", "2155"]),
    "JSON": documents(),
    "POINT": points(),
}
ROWS = st.lists(st.tuples(*(st.just("NULL") | literals for literals in COLUMNS.values())), max_size=12)


@pytest.fixture(scope="module")
def source(mysql: Server) -> Iterator[str]:
    columns = ", ".join(f"c{number} {kind} NULL" for number, kind in enumerate(COLUMNS))
    with fresh_database(mysql) as name:
        mysql.execute(f"CREATE TABLE `{name}`.t ({columns})")
        yield name


@settings(
    max_examples=20,
    phases=[Phase.generate],  # a failing example shows its rows; shrinking it would take an hour
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(rows=ROWS)
def test_any_row_comes_back(mysql: Server, source: str, tmp_path: Path, rows: list[tuple[str, ...]]) -> None:
    mysql.execute(
        f"USE `{source}`",
        "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'",
        "TRUNCATE t",
        *(f"INSERT IGNORE INTO t VALUES ({', '.join(row)})" for row in rows),
    )
    storage = DirectoryStorage(tmp_path)
    manifest = create_backup(endpoint(mysql), source, storage, "registry", BackupOptions(workers=1))
    with fresh_database(mysql) as target:
        restore(endpoint(mysql), storage, manifest, Options(into=target, workers=1))
        exact = [
            f"CAST(c{number} AS DOUBLE)"
            if kind in ("FLOAT", "DOUBLE")
            else f"c{number}"
            if kind == "JSON"
            else f"HEX(c{number})"
            for number, kind in enumerate(COLUMNS)
        ]
        found = witness.rows(mysql, target, "t", *exact)
        assert found == witness.rows(mysql, source, "t", *exact)
        assert len(found) == len(rows)
        assert witness.checksums(mysql, target) == witness.checksums(mysql, source)
