"""Holds: whoever reads a backup, or wants it kept, keeps prune away from it."""

import logging
from collections.abc import Callable, Iterator
from datetime import timedelta

import pytest

from opskit.backup.holds import held, place, release
from opskit.backup.prune import PruneReport
from opskit.errors import DeniedError, NotFoundError
from opskit.storage import Storage
from tests.backups import (
    NOON,
    backup_id,
    keys,
    keys_of,
    write_days,
)
from tests.contract.pruning import Between, run
from tests.faulty import FaultyStorage
from tests.waiting import eventually


def test_held_backup_stays_until_it_is_released(storage: Storage) -> None:
    ids = write_days(storage, "reg", 3)
    place(storage, "reg", ids[2], reason="audit 7")
    much_later = FaultyStorage(storage, later=timedelta(days=4000))
    assert run(much_later).keep[ids[2]] == ("held by a person (audit 7)",)
    assert [each.reason for each in release(storage, "reg", ids[2])] == ["audit 7"]
    assert run(much_later).removed == [ids[2]]
    assert keys(storage) == keys_of("reg", ids[:2])


def test_hold_ends_by_the_store_s_clock(directory: Storage) -> None:
    ids = write_days(directory, "reg", 3)
    place(directory, "reg", ids[2], lifetime=timedelta(hours=5))
    assert run(FaultyStorage(directory, later=timedelta(hours=4, minutes=50))).removed == []
    assert run(FaultyStorage(directory, later=timedelta(hours=5, minutes=10))).removed == [ids[2]]


def test_hold_that_cannot_be_read_holds_and_can_be_released(directory: Storage) -> None:
    ids = write_days(directory, "reg", 3)
    for number, content in enumerate([b"", b"{", b"[]", b'{"purpose": "x", "seconds": -1}', b"x" * 100_000]):
        directory.put(f"reg/{ids[2]}/holds/{number}.json", [content])
    assert run(directory).keep[ids[2]] == ("held: the hold cannot be read",)
    assert len(release(directory, "reg", ids[2])) == 5
    assert run(directory).removed == [ids[2]]


def test_reader_holds_what_it_reads_and_leaves_no_hold(storage: Storage) -> None:
    ids = write_days(storage, "reg", 3)
    with held(storage, "reg", ids[2], "restore"):
        report = run(storage)
        assert report.removed == []
        assert report.keep[ids[2]][0].startswith("held by a restore until ")
        assert release(storage, "reg", ids[2]) == []
    assert keys(storage) == keys_of("reg", ids)
    assert run(storage).removed == [ids[2]]


def test_what_a_killed_reader_left_ends_after_an_hour(directory: Storage) -> None:
    ids = write_days(directory, "reg", 3)
    reader = held(directory, "reg", ids[2], "restore")
    reader.__enter__()
    assert run(FaultyStorage(directory, later=timedelta(minutes=50))).removed == []
    assert run(FaultyStorage(directory, later=timedelta(minutes=70))).removed == [ids[2]]
    reader.__exit__(None, None, None)
    assert keys(directory) == keys_of("reg", ids[:2])


def test_holds_that_ended_are_cleared_away(directory: Storage) -> None:
    ids = write_days(directory, "reg", 2)
    place(directory, "reg", ids[0], lifetime=timedelta(minutes=1))
    kept = place(directory, "reg", ids[0], lifetime=timedelta(days=1))
    assert len(run(FaultyStorage(directory, later=timedelta(hours=1))).expired_holds) == 1
    assert keys(directory) == {*keys_of("reg", ids), kept}


def test_hold_is_renewed_for_as_long_as_somebody_reads(directory: Storage) -> None:
    ids = write_days(directory, "reg", 3)
    counted = FaultyStorage(directory, fail={"put": [2]})
    with held(counted, "reg", ids[2], "restore", renewal_seconds=0.01):
        (before,) = directory.list(f"reg/{ids[2]}/holds/")

        def renewed() -> bool:
            (now,) = directory.list(f"reg/{ids[2]}/holds/")
            return now.modified > before.modified

        # The second try fails, and does not end it.
        eventually(renewed, "the hold is renewed")
        assert counted.calls["put"] > 2
    assert keys(directory) == keys_of("reg", ids)


def test_reader_that_comes_between_prune_s_look_and_its_delete_keeps_its_backup(storage: Storage) -> None:
    ids = write_days(storage, "reg", 3)
    before = keys(storage)
    reader = held(storage, "reg", ids[2], "restore")

    def comes() -> Iterator[None]:
        yield reader.__enter__()

    report = run(Between(storage, comes(), iter(())))
    assert report.removed == []
    assert report.keep[ids[2]][0].startswith("held by a restore")
    reader.__exit__(None, None, None)
    assert keys(storage) == before


def test_reader_that_comes_after_the_manifest_went_is_told_so(directory: Storage) -> None:
    ids = write_days(directory, "reg", 3)
    told: list[NotFoundError] = []

    def comes() -> Iterator[None]:
        with pytest.raises(NotFoundError, match=ids[2]) as caught:
            held_at_all(directory, "reg", ids[2])
        told.append(caught.value)
        yield

    assert run(Between(directory, iter(()), comes())).removed == [ids[2]]
    assert len(told) == 1
    assert keys(directory) == keys_of("reg", ids[:2])


def test_reader_that_may_not_write_is_warned_and_reads_all_the_same(
    directory: Storage, caplog: pytest.LogCaptureFixture
) -> None:
    ids = write_days(directory, "reg", 1)
    read_only = FaultyStorage(directory, fail={"put": range(1, 99)}, error=DeniedError("read-only"))
    with caplog.at_level(logging.WARNING), held(read_only, "reg", ids[0], "restore"):
        pass
    assert "cannot be held against prune: read-only" in caplog.text


def held_at_all(storage: Storage, registry: str, backup_id: str) -> None:
    with held(storage, registry, backup_id, "restore"):
        pytest.fail("it began to read")


@pytest.mark.parametrize("what", [place, release, held_at_all])
def test_backup_that_does_not_exist_cannot_be_held(directory: Storage, what: Callable[..., object]) -> None:
    write_days(directory, "reg", 1)
    missing = backup_id(NOON, 9)
    with pytest.raises(NotFoundError, match=missing):
        what(directory, "reg", missing)
    assert not [key for key in keys(directory) if missing in key]


def test_two_prunes_at_once(directory: Storage) -> None:
    ids = write_days(directory, "reg", 5)
    reports: list[PruneReport] = []

    def somebody_else() -> Iterator[None]:
        reports.append(run(directory))
        yield

    reports.append(run(Between(directory, somebody_else(), iter(()))))
    assert not [failure for report in reports for failure in report.failures]
    assert keys(directory) == keys_of("reg", ids[:2])
