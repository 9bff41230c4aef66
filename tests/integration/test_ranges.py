"""Whatever a table's key is, its ranges have every row once, and none has far too many."""

from dataclasses import replace

import pytest

from opskit.mysql.connection import Connection, connect
from opskit.mysql.ranges import RANGE_BYTES, Range, split
from opskit.mysql.schema import read_table
from sandbox.server import Server
from tests.endpoints import endpoint

ROWS = 6000
PER_RANGE = 1000
NUMBERS = (
    "WITH RECURSIVE d AS (SELECT 0 AS n UNION ALL SELECT n + 1 FROM d WHERE n < 99)"
    f" SELECT a.n * 100 + b.n AS n FROM d a JOIN d b HAVING n < {ROWS}"
)

# The key's columns, and what they are for row number n: no two rows alike.
CUTTABLE = {
    "dense": ("a INT", "n"),
    "negative": ("a INT", "n - 3000"),
    "sparse": ("a BIGINT", "n * n * 1000003"),
    "clustered at both ends": ("a BIGINT UNSIGNED", "IF(n < 3000, n, 18446744073709551615 - n)"),
    "skewed": ("a INT", "IF(n = 0, -2000000000, IF(n = 1, 2000000000, n))"),
    "text": ("a VARCHAR(40)", "CONCAT('Name é ', n)"),
    "text that ignores case": ("a VARCHAR(40) COLLATE utf8mb4_0900_ai_ci", "CONCAT(IF(n % 2, 'KEY', 'key'), n)"),
    "latin1": ("a VARCHAR(40) CHARACTER SET latin1", "CONCAT(CHAR(n % 200 + 40 USING latin1), '\\'', n)"),
    "utf16": ("a VARCHAR(40) CHARACTER SET utf16", "CONCAT('😀', n)"),
    "text with an empty one": ("a CHAR(40)", "IF(n = 0, '', n)"),
    "bytes": ("a VARBINARY(40)", "IF(n = 0, '', UNHEX(SHA2(n, 256)))"),
    "date": ("a DATE", "IF(n = 0, '0000-00-00', '1990-01-01' + INTERVAL n DAY)"),
    "moment": ("a TIMESTAMP(6)", "'2020-01-01' + INTERVAL n * 1000003 MICROSECOND"),
    "decimal": ("a DECIMAL(30,10)", "n / 7"),
    "composite of texts": ("a VARCHAR(20), b VARCHAR(20)", "CONCAT('x', n % 7), n"),
    "composite, one value first": ("a INT, b VARCHAR(20)", "5, CONCAT('name ', n)"),
    "composite, few values first": ("a INT, b INT", "n % 3, n"),
    "composite of three, skewed twice": ("a INT, b INT, c DATE", "1, n % 2, '1990-01-01' + INTERVAL n DAY"),
}
NOT_CUTTABLE = {
    "ENUM sorts by number": ("a ENUM('b','a'), b INT", "1 + n % 2, n", "a, b"),
    "descending": ("a VARCHAR(20)", "n", "a DESC"),
    "only indexed in part": ("a VARCHAR(20)", "LPAD(n, 8, '0')", "a(8)"),
    "no comparable literal": ("a DOUBLE", "n / 3", "a"),
    "no key": ("a INT", "n", ""),
}


@pytest.fixture
def connection(mysql: Server, database: str) -> Connection:
    return connect(endpoint(mysql), database)


def ranges(mysql: Server, connection: Connection, database: str, columns: str, values: str, key: str) -> list[Range]:
    primary = f", PRIMARY KEY ({key})" if key else ""
    mysql.execute(
        f"USE `{database}`",
        "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00'",
        f"CREATE TABLE t ({columns}, number INT{primary})",
        f"INSERT INTO t SELECT {values}, n FROM ({NUMBERS}) AS numbers",
        "ANALYZE TABLE t",
    )
    table = read_table(connection, database, "t")
    large = replace(table, size=ROWS // PER_RANGE * RANGE_BYTES, estimated_rows=ROWS)
    found = split(connection, large)
    counted = []
    for each in found:
        rows = mysql.execute(f"USE `{database}`", f"SELECT number FROM t{each.where(table.range_column)}")
        counted.append([number for (number,) in rows])
    assert sorted(number for rows in counted for number in rows) == list(range(ROWS))
    # Estimates of the index may be off by half, no more.
    assert len(found) == 1 or max(map(len, counted)) <= 2 * PER_RANGE
    return found


@pytest.mark.parametrize("kind", CUTTABLE)
def test_ranges_have_every_row_once(kind: str, mysql: Server, connection: Connection, database: str) -> None:
    columns, values = CUTTABLE[kind]
    key = ", ".join(column.split()[0] for column in columns.split(", "))
    assert len(ranges(mysql, connection, database, columns, values, key)) >= 3


@pytest.mark.parametrize("kind", NOT_CUTTABLE)
def test_table_that_cannot_be_cut_is_one_range(kind: str, mysql: Server, connection: Connection, database: str) -> None:
    assert ranges(mysql, connection, database, *NOT_CUTTABLE[kind]) == [Range()]


def test_small_table_is_one_range(mysql: Server, connection: Connection, database: str) -> None:
    mysql.execute(f"CREATE TABLE `{database}`.t (id INT PRIMARY KEY)", f"INSERT INTO `{database}`.t VALUES (1), (2)")
    assert split(connection, read_table(connection, database, "t")) == [Range()]


def test_empty_table_that_was_large_is_one_range(mysql: Server, connection: Connection, database: str) -> None:
    mysql.execute(f"CREATE TABLE `{database}`.t (id INT PRIMARY KEY)")
    table = replace(read_table(connection, database, "t"), size=100 * RANGE_BYTES, estimated_rows=10**6)
    assert split(connection, table) == [Range()]
