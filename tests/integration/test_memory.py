"""Memory is bounded: workers times a chunk, and one oversized row at a time."""

from pathlib import Path

import pytest

from benchmarks.databases import OVERSIZED_BYTES
from benchmarks.measure import measured
from opskit.backup.create import create_backup
from opskit.errors import UnavailableError
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Server
from tests.endpoints import endpoint
from tests.faulty import FaultyStorage
from tests.unit.command_line import environment, opskit_command

LIMIT_BYTES = 200 * 1024 * 1024
ROWS = 6


@pytest.fixture
def oversized(mysql: Server, database: str) -> str:
    """A table of a few rows, each larger than any chunk; some are bytes that SQL text has to escape."""
    mysql.execute(f"CREATE TABLE `{database}`.rows_ (id INT PRIMARY KEY, b LONGBLOB)")
    for number in range(ROWS):
        value = "X'00FF27'" if number % 3 else "X'41424344'"
        repeated = f"REPEAT({value}, {OVERSIZED_BYTES // (3 if number % 3 else 4)})"
        mysql.execute(f"INSERT INTO `{database}`.rows_ VALUES ({number}, {repeated})")
    mysql.execute(f"ANALYZE TABLE `{database}`.rows_")
    return database


def test_rows_of_20_mib_take_no_more_than_200_mib(mysql: Server, oversized: str, tmp_path: Path) -> None:
    variables = environment(
        OPSKIT_MYSQL_URL=f"{mysql.url}/{oversized}",
        OPSKIT_MYSQL_PASSWORD=mysql.password,
        OPSKIT_STORAGE_URL=(tmp_path / "backups").as_uri(),
    )
    for arguments in (["backup", "create"], ["backup", "check"], ["restore", "run", "latest"]):
        cost = measured(opskit_command(*arguments, "--quiet"), environment=variables)
        assert cost.peak_bytes < LIMIT_BYTES, arguments


def test_worker_that_fails_with_an_oversized_row_keeps_no_other_waiting(
    mysql: Server, oversized: str, tmp_path: Path
) -> None:
    # The first two files are definitions; the third is of rows.
    storage = FaultyStorage(DirectoryStorage(tmp_path), fail={"put": range(3, 100)})
    with pytest.raises(UnavailableError, match="a fault"):
        create_backup(endpoint(mysql), oversized, storage, "r")
