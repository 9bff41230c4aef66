"""Ids of backups."""

from datetime import UTC, datetime, timedelta

from opskit.backup.layout import is_backup_id, new_backup_id

MOMENT = datetime(2026, 11, 23, 2, 15, tzinfo=UTC)


def test_ids_sort_by_time_within_a_second_too() -> None:
    ids = [new_backup_id(MOMENT + timedelta(microseconds=250 * step)) for step in range(4000)]
    assert ids == sorted(ids)
    assert all(map(is_backup_id, ids))
    assert ids[0][:-3] == "20261123T021500Z-000"
    assert ids[-1][:-3] == "20261123T021500Z-ffe"
