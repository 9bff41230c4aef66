"""Copies in further storages: whole, compared, the manifest last; and what is left where one fails."""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opskit.backup import layout
from opskit.backup.catalog import find, list_backups
from opskit.backup.check import check_backup
from opskit.backup.copies import CopyReport, complete_copies
from opskit.backup.holds import place
from opskit.backup.prune import prune
from opskit.backup.retention import Policy
from opskit.backup.signing import SignedStorage
from opskit.errors import DeniedError, NoSpaceError, OpskitError, UnavailableError
from opskit.storage import Storage
from opskit.storage.directory import DirectoryStorage
from tests.backups import CONTENT, NOON, keys, keys_of, write_backup, write_days, write_rehearsal
from tests.faulty import FaultyStorage

DATA = "db-schema-create.sql.zst"


@pytest.fixture
def first(tmp_path: Path) -> Storage:
    return DirectoryStorage(tmp_path / "first")


@pytest.fixture
def other(tmp_path: Path) -> Storage:
    return DirectoryStorage(tmp_path / "copy")


def complete(source: Storage, target: Storage) -> CopyReport:
    return complete_copies(source, target, "reg")


def contents(storage: Storage) -> dict[str, bytes]:
    return {key: b"".join(storage.get(key)) for key in keys(storage)}


def test_everything_but_holds_is_copied_to_any_kind_of_storage(first: Storage, storage: Storage) -> None:
    ids = write_days(first, "reg", 2)
    write_days(first, "reg2", 1)
    write_rehearsal(first, "reg", ids[1], "passed")
    first.put(f"reg/{ids[0]}/manifest.json.sig", [b"x" * 64])
    first.put(f"reg/{ids[1]}/{layout.RESOURCE}", [b'{"format": 1}'])
    first.put(f"reg/{ids[1]}/{layout.RESOURCE}.sig", [b"x" * 64])
    place(first, "reg", ids[1])
    first.put(f"reg/{ids[0]}/NOTES.txt", [b"not opskit's"])
    first.put("reg/artifacts/20261120T000000Z.json", [b"{}"])
    report = complete(first, storage)
    assert (report.copied, report.problems) == ([ids[1], ids[0]], [])
    expected = {
        key: content
        for key, content in contents(first).items()
        if key.startswith("reg/2") and "/holds/" not in key and not key.endswith("NOTES.txt")
    }
    assert contents(storage) == expected
    assert complete(first, storage) == CopyReport(storage.url)


def test_copy_can_be_listed_checked_and_pruned(first: Storage, other: Storage) -> None:
    ids = write_days(first, "reg", 3)
    complete(first, other)
    assert [each.state for each in list_backups(other, "reg")] == ["complete"] * 3
    assert check_backup(other, find(other, "reg", "latest")).problems == ()
    assert prune(other, "reg", Policy(), apply=True).removed == [ids[2], ids[1]]


def test_backup_is_on_hold_while_it_is_copied(first: Storage, other: Storage) -> None:
    (backup_id, _) = reversed(write_days(first, "reg", 2))
    kept = []

    class Pruned(FaultyStorage):
        def get(self, key: str) -> Iterator[bytes]:
            kept.append(prune(first, "reg", Policy(), apply=True).keep.get(backup_id, ("gone",)))
            return self.inner.get(key)

    assert len(complete(Pruned(first), other).copied) == 2
    assert [reasons[0].startswith("held by a copy until ") for reasons in kept] == [True, True, False, False]
    assert not [key for key in keys(first) if "/holds/" in key]


@pytest.mark.parametrize("verb", ["put", "get", "list"])
@pytest.mark.parametrize("call", range(1, 6))
@pytest.mark.parametrize("error", [UnavailableError("gone"), DeniedError("no"), NoSpaceError("full")])
def test_copy_that_fails_is_a_finding_and_the_next_run_completes_it(
    first: Storage, other: Storage, verb: str, call: int, error: OpskitError
) -> None:
    ids = write_days(first, "reg", 2)
    other.put("other", [b"x"])
    faulty = FaultyStorage(
        other,
        fail={"put": [call]} if verb == "put" else {"get": [call]} if verb == "get" else {"list": [call]},
        error=error,
    )
    report = complete(first, faulty)
    if faulty.calls[verb] >= call:  # type: ignore[index] # a verb by its name
        assert error.message in " ".join(report.problems)
    for each in list_backups(other, "reg"):
        assert each.state in ("complete", "unfinished")
    assert keys(first) == keys_of("reg", ids)
    assert complete(first, other).problems == []
    assert {key: value for key, value in contents(other).items() if key != "other"} == contents(first)


def test_manifest_whose_answer_is_lost_is_found_to_be_there(first: Storage, other: Storage) -> None:
    ids = write_days(first, "reg", 1)
    other.put("other", [b"x"])
    assert complete(first, FaultyStorage(other, lose_answer={"put": [2]})) == CopyReport(other.url, ids)


def test_what_an_interrupted_copy_left_is_compared_before_it_counts(first: Storage, other: Storage) -> None:
    ids = write_days(first, "reg", 2)
    other.put(f"reg/{ids[0]}/{DATA}", [CONTENT])
    other.put(f"reg/{ids[1]}/{DATA}", [CONTENT[::-1]])  # of the same size
    puts = FaultyStorage(other)
    assert complete(first, puts).problems == []
    assert puts.calls["put"] == 3
    assert contents(other) == contents(first)


class Damaging(FaultyStorage):
    """A store that changes what it is given."""

    def put(self, key: str, body: Iterable[bytes], *, if_absent: bool = False) -> int:
        del body
        return self.inner.put(key, [CONTENT[::-1]], if_absent=if_absent)


def test_copy_that_is_not_what_was_written_gets_no_manifest(first: Storage, other: Storage) -> None:
    ids = write_days(first, "reg", 1)
    report = complete(first, Damaging(other))
    assert report.copied == []
    assert f"backup {ids[0]}: {DATA} is not in {other.url} what was written" in report.problems
    assert keys(other) == {f"reg/{ids[0]}/{DATA}"}


def test_damaged_backup_is_not_copied_and_does_not_stop_the_others(first: Storage, other: Storage) -> None:
    ids = write_days(first, "reg", 4)
    first.put(f"reg/{ids[1]}/{DATA}", [CONTENT[::-1]])
    first.put(f"reg/{ids[2]}/manifest.json", [b"{"])
    first.delete([f"reg/{ids[3]}/{DATA}"])
    report = complete(first, other)
    assert report.copied == [ids[0]]
    assert [each.split(":")[0] for each in report.problems] == [f"backup {each}" for each in reversed(ids[1:])]
    assert keys(other) == keys_of("reg", ids[:1])


def test_good_copy_outlives_what_happens_to_the_first(first: Storage, other: Storage) -> None:
    ids = write_days(first, "reg", 2)
    complete(first, other)
    before = contents(other)
    first.put(f"reg/{ids[0]}/{DATA}", [b"shorter"])
    first.delete([f"reg/{ids[1]}/{DATA}"])
    assert complete(first, other) == CopyReport(other.url)
    assert contents(other) == before


@pytest.mark.parametrize("same_size", [True, False])
def test_another_backup_of_the_same_id_is_not_touched(first: Storage, other: Storage, *, same_size: bool) -> None:
    ids = write_days(first, "reg", 1)
    manifest = b"".join(first.get(f"reg/{ids[0]}/manifest.json"))
    other.put(f"reg/{ids[0]}/manifest.json", [manifest.replace(b"MySQL", b"mySQL" if same_size else b"My")])
    before = contents(other)
    report = complete(first, other)
    assert "another manifest stands in" in report.problems[0]
    assert contents(other) == before


def test_file_that_a_copy_lost_is_brought_back(first: Storage, other: Storage) -> None:
    ids = write_days(first, "reg", 1)
    complete(first, other)
    other.delete([f"reg/{ids[0]}/{DATA}"])
    assert complete(first, other).copied == ids
    assert contents(other) == contents(first)


def test_backup_under_way_is_not_copied(first: Storage, other: Storage) -> None:
    first.put(f"reg/{write_backup(first, 'other', NOON)}/{DATA}", [CONTENT])
    other.put("other", [b"x"])
    assert complete(first, other) == CopyReport(other.url)
    assert keys(other) == {"other"}


def test_signed_copy_is_trusted_where_the_first_is(first: Storage, other: Storage) -> None:
    key = Ed25519PrivateKey.generate()
    signed = SignedStorage(first, key, [key.public_key()])
    write_backup(signed, "reg", NOON)
    forged = write_backup(first, "reg", NOON - timedelta(days=1))
    report = complete_copies(first, other, "reg", manifests=signed)
    assert report.copied == [find(SignedStorage(other, None, [key.public_key()]), "reg", "latest").id]
    assert "is not signed" in report.problems[0]
    assert not [each for each in keys(other) if forged in each]


def test_copy_whose_volume_is_not_mounted_is_a_finding(first: Storage, tmp_path: Path) -> None:
    write_days(first, "reg", 1)
    report = complete(first, DirectoryStorage(tmp_path / "not" / "mounted"))
    assert "there is no directory" in report.problems[0]
