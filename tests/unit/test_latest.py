"""Which backup `latest` means, where a clock was wrong or somebody forged an id."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opskit.backup.catalog import newest_complete, resolve
from opskit.errors import NotFoundError
from opskit.storage.directory import DirectoryStorage
from tests.backups import write_backup

FUTURE = datetime(2999, 1, 1, tzinfo=UTC)


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path)


def test_backup_from_the_future_is_passed_over_and_named(
    storage: DirectoryStorage, caplog: pytest.LogCaptureFixture
) -> None:
    newest = write_backup(storage, "reg", datetime.now(UTC) - timedelta(days=3))
    future = write_backup(storage, "reg", FUTURE)
    assert resolve(storage, "reg", "latest") == newest
    manifest = newest_complete(storage, "reg")
    assert manifest
    assert manifest.id == newest
    assert [record.args for record in caplog.records] == [(future,)] * 2
    assert resolve(storage, "reg", "2999") == resolve(storage, "reg", future) == future


def test_backup_of_a_clock_that_is_a_little_ahead_is_the_latest(storage: DirectoryStorage) -> None:
    write_backup(storage, "reg", datetime.now(UTC) - timedelta(days=3))
    ahead = write_backup(storage, "reg", datetime.now(UTC) + timedelta(minutes=30))
    assert resolve(storage, "reg", "latest") == ahead


def test_nothing_but_the_future_is_no_latest(storage: DirectoryStorage) -> None:
    write_backup(storage, "reg", FUTURE)
    assert newest_complete(storage, "reg") is None
    with pytest.raises(NotFoundError):
        resolve(storage, "reg", "latest")
