"""What prune leaves in a storage, whatever is in its way: the whole of it is compared each time."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from opskit.backup import layout
from opskit.backup.holds import place
from opskit.backup.prune import PruneReport, prune
from opskit.backup.retention import Policy
from opskit.errors import CorruptError, UntrustedError
from opskit.storage import Storage
from opskit.storage.directory import DirectoryStorage
from sandbox.s3 import S3Server
from tests.backups import (
    keys,
    keys_of,
    raw_tree,
    write_days,
    write_files,
    write_rehearsal,
)
from tests.contract.conftest import open_bucket
from tests.contract.pruning import A_DAY_LATER, LAST_TWO, everything_else, run
from tests.faulty import FaultyStorage


def test_what_the_policy_lets_go_is_gone_and_nothing_else(storage: Storage) -> None:
    strange = everything_else(storage)
    ids = write_days(storage, "reg", 5)
    others = write_days(storage, "reg2", 3)
    before = keys(storage)
    dry = run(storage, apply=False)
    assert keys(storage) == before
    report = run(FaultyStorage(storage, later=A_DAY_LATER))
    assert report.removed == dry.removed == [ids[4], ids[3], ids[2]]
    assert report.keep == dry.keep
    assert report.freed_bytes == dry.freed_bytes > 0
    assert not report.failures
    assert keys(storage) == strange | keys_of("reg", ids[:2]) | keys_of("reg2", others)
    assert run(storage).removed == []


def test_more_than_a_thousand_backups(tmp_path: Path) -> None:
    ids = write_files(tmp_path, "reg", 1103)
    storage = DirectoryStorage(tmp_path)
    report = run(storage, Policy(keep_last=3, keep_yearly=2))
    assert len(report.removed) == 1103 - 4
    assert keys(storage) == keys_of("reg", [*ids[:3], next(each for each in ids if each < "2026")])


@pytest.mark.s3
def test_more_than_a_thousand_backups_in_a_bucket(rclone: S3Server, bucket_name: str) -> None:
    """The listing has several pages."""
    rclone.make_bucket(bucket_name)
    ids = write_files(rclone.folder / bucket_name / "opskit", "reg", 1001)
    storage = open_bucket(rclone, bucket_name, "opskit")
    report = run(storage, Policy(keep_last=990))
    assert len(report.removed) == 11
    assert keys(storage) == keys_of("reg", ids[:990])


def test_side_files_go_with_their_backup(storage: Storage) -> None:
    ids = write_days(storage, "reg", 3)
    write_rehearsal(storage, "reg", ids[2], "failed")
    place(storage, "reg", ids[2], lifetime=timedelta(hours=1))
    storage.put(f"reg/{ids[2]}/{layout.RESOURCE}", [b'{"format": 1}'])
    for signed in (layout.MANIFEST, layout.RESOURCE):
        storage.put(f"reg/{ids[2]}/{signed}{layout.SIGNATURE_SUFFIX}", [b"x" * 64])
    run(FaultyStorage(storage, later=timedelta(hours=2)))
    assert keys(storage) == keys_of("reg", ids[:2])


def test_what_somebody_else_put_into_a_backup_s_folder_stays(directory: Storage) -> None:
    ids = write_days(directory, "reg", 3)
    directory.put(f"reg/{ids[2]}/NOTES.txt", [b"remember"])
    run(directory)
    assert keys(directory) == {*keys_of("reg", ids[:2]), f"reg/{ids[2]}/NOTES.txt"}
    assert run(FaultyStorage(directory, later=A_DAY_LATER)).debris == []


def test_newest_good_and_newest_rehearsed_stay(directory: Storage) -> None:
    ids = write_days(directory, "reg", 6)
    directory.delete([f"reg/{ids[0]}/{layout.schema_create_name('db')}"])
    write_rehearsal(directory, "reg", ids[1], "failed")
    write_rehearsal(directory, "reg", ids[4], "passed")
    write_rehearsal(directory, "reg", ids[5], "passed")
    report = run(directory, Policy())
    assert report.removed == [ids[5], ids[3]]
    assert report.keep[ids[0]] == ("bad, and too few good ones are newer",)
    assert report.keep[ids[2]] == ("the newest good one", "min_redundancy")
    assert report.keep[ids[4]] == ("the newest one that was rehearsed",)


def test_backup_without_its_data_goes_when_enough_good_ones_are_newer(storage: Storage) -> None:
    ids = write_days(storage, "reg", 4)
    storage.delete([f"reg/{ids[3]}/{layout.schema_create_name('db')}"])
    run(storage, Policy(keep_last=9, min_redundancy=3))
    assert keys(storage) == keys_of("reg", ids[:3])


def test_what_another_opskit_wrote_stays(directory: Storage) -> None:
    ids = write_days(directory, "reg", 4)
    directory.put(f"reg/{ids[3]}/manifest.json", [b'{"format": 2}'])
    report = run(directory)
    assert report.removed == [ids[2]]
    assert report.keep[ids[3]] == ("cannot be judged",)
    assert [each.exit_code for each in report.failures] == [78]


def test_what_another_storage_keeps_stays(directory: Storage) -> None:
    ids = write_days(directory, "reg", 4)
    report = prune(directory, "reg", LAST_TWO, apply=True, kept_elsewhere={ids[3]}, elsewhere="s3://first")
    assert report.removed == [ids[2]]
    assert report.keep[ids[3]] == ("kept in s3://first",)


def test_storage_that_is_empty_or_missing(directory: Storage) -> None:
    directory.put("other", [b"x"])
    assert run(directory) == PruneReport("reg", directory.url, applied=True, keep={})


def test_no_folder_is_left_behind_in_a_directory(tmp_path: Path, directory: Storage) -> None:
    ids = write_days(directory, "reg", 4)
    run(directory)
    root = tmp_path / "backups"
    assert raw_tree(root) == keys_of("reg", ids[:2])
    assert sorted(each.name for each in (root / "reg").iterdir()) == sorted(ids[:2])


def test_untrusted_manifest_is_no_good_backup(directory: Storage) -> None:
    ids = write_days(directory, "reg", 3)

    class Untrusting(FaultyStorage):
        def get(self, key: str) -> Iterator[bytes]:
            if key.endswith("manifest.json"):
                raise CorruptError("not signed")
            return self.inner.get(key)

    report = prune(directory, "reg", LAST_TWO, manifests=Untrusting(directory), apply=True)
    assert report.removed == []
    assert keys(directory) == keys_of("reg", ids)


def test_backups_from_before_signing_outlive_the_signed_ones(directory: Storage) -> None:
    ids = write_days(directory, "reg", 6)
    signed, unsigned = ids[:3], ids[3:]

    class Trusting(FaultyStorage):
        def get(self, key: str) -> Iterator[bytes]:
            if key.endswith("manifest.json") and key.split("/")[1] in unsigned:
                raise UntrustedError("not signed")
            return self.inner.get(key)

    report = prune(directory, "reg", LAST_TWO, manifests=Trusting(directory), apply=True)
    assert (report.removed, report.failures) == ([signed[2]], [])
    assert keys(directory) == keys_of("reg", [*signed[:2], *unsigned])


# Reports on artifacts

REPORTS = [f"reg/artifacts/202611{day:02}T052300Z.json" for day in range(1, 6)]
ASIDE = [f"reg/artifacts/aside/202610{day:02}T052300Z.json" for day in range(1, 4)]
RUN = [
    f"reg/artifact-runs/job-1/{name}"
    for name in ("run.json", "inventory-0a1b2c.json.zst", "part-00000-of-00002.json.zst")
]


def write_reports(storage: Storage) -> set[str]:
    """Store reports, one of them without a summary, and return the keys of what has nothing to do with them."""
    strange = {
        "reg/artifacts/notes.json",
        "reg/artifacts/20261101T052300Z.json.bak",
        "reg/artifact-runs/job-1/notes.txt",
        "reg/artifact-runs/run.json",
        "reg2/artifacts/20260101T000000Z.json",
    }
    for key in {*strange, *REPORTS, *(f"{key}.zst" for key in (*REPORTS, *ASIDE)), *ASIDE, *RUN}:
        storage.put(key, [b"x"])
    storage.delete([REPORTS[4]])
    return strange


@pytest.mark.parametrize("all_versions", [False, True])
def test_newest_reports_that_are_whole_stay(storage: Storage, *, all_versions: bool) -> None:
    strange = write_reports(storage)
    before = keys(storage)
    assert prune(storage, "reg", Policy()).reports == []
    dry = prune(storage, "reg", Policy(keep_reports=2))
    assert keys(storage) == before
    report = prune(storage, "reg", Policy(keep_reports=2), apply=True, all_versions=all_versions)
    assert report.reports == dry.reports
    assert report.freed_bytes == dry.freed_bytes == len(report.reports) == 6
    assert not report.failures
    # The newest has no summary: it is not finished, and counts for nothing.
    assert before - keys(storage) == {*REPORTS[:2], *(f"{key}.zst" for key in REPORTS[:2]), ASIDE[0], f"{ASIDE[0]}.zst"}
    assert strange < keys(storage)


def test_newest_report_stays_whatever_is_asked(storage: Storage) -> None:
    write_reports(storage)
    prune(storage, "reg", Policy(keep_reports=1), apply=True)
    assert {REPORTS[3], f"{REPORTS[3]}.zst", f"{REPORTS[4]}.zst", ASIDE[2], f"{ASIDE[2]}.zst"} < keys(storage)
    assert not keys(storage) & {*REPORTS[:3], *ASIDE[:2]}


def test_what_a_run_has_left_goes_a_month_later(storage: Storage) -> None:
    strange = write_reports(storage)
    for days, there in ((29, set(RUN)), (31, set())):
        later = FaultyStorage(storage, later=timedelta(days=days))
        prune(later, "reg", Policy(keep_reports=9), apply=True)
        assert keys(storage) & set(RUN) == there
    assert strange < keys(storage)
