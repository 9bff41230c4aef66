from contextlib import suppress
from pathlib import Path

import pytest

from opskit.cli.artifact_files import COLUMNS, record_files
from opskit.errors import NoSpaceError, UsageError

RECORD = dict.fromkeys(COLUMNS[1:], "x" * 10_000)


@pytest.mark.parametrize("number", [0, 1], ids=["jsonl", "csv"])
def test_full_disk_is_no_bug_while_records_are_told(number: int) -> None:
    """Each registry's error is caught by itself: it must be translated where it arises."""
    files = [Path("/dev/full") if number == each else None for each in (0, 1)]
    with (
        suppress(NoSpaceError),  # at the end, of what is still buffered
        record_files(*files) as (tell,),
        pytest.raises(NoSpaceError, match="cannot write /dev/full: No space left"),
    ):
        tell("a", RECORD)


@pytest.mark.parametrize("number", [0, 1], ids=["jsonl", "csv"])
def test_full_disk_shows_at_the_end_at_the_latest(number: int) -> None:
    files = [Path("/dev/full") if number == each else None for each in (0, 1)]
    with pytest.raises(NoSpaceError, match="cannot write /dev/full: No space left"), record_files(*files) as (tell,):
        tell("a", dict.fromkeys(COLUMNS[1:], "x"))


def test_what_else_fails_is_not_blamed_on_the_files(tmp_path: Path) -> None:
    with pytest.raises(ConnectionResetError), record_files(tmp_path / "all.jsonl", None):
        raise ConnectionResetError


def test_file_that_cannot_be_opened_is_a_usage_error(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"), record_files(tmp_path / "none" / "all.jsonl", None):
        pass
