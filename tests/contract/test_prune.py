"""What prune leaves in a storage, whatever is in its way: the whole of it is compared each time."""

import logging
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opskit.backup import layout
from opskit.backup.holds import held, place, release
from opskit.backup.prune import PruneReport, prune
from opskit.backup.retention import Policy
from opskit.errors import CorruptError, DeniedError, NotFoundError, UnavailableError, UntrustedError
from opskit.storage import Storage, StoredObject
from opskit.storage.directory import DirectoryStorage
from sandbox.s3 import S3Server
from tests.backups import (
    CONTENT,
    NOON,
    backup_id,
    keys,
    keys_of,
    raw_tree,
    write_days,
    write_files,
    write_rehearsal,
)
from tests.contract.conftest import PREFIX, open_bucket
from tests.contract.test_s3_versions import lock, versions
from tests.faulty import FaultyStorage
from tests.wire import Answer, Request, Upstream, recorded, refused

LAST_TWO = Policy(keep_last=2)
A_DAY_LATER = timedelta(hours=24, minutes=1)


@pytest.fixture
def directory(tmp_path: Path) -> Storage:
    return DirectoryStorage(tmp_path / "backups")


def run(storage: Storage, policy: Policy = LAST_TWO, *, apply: bool = True, all_versions: bool = False) -> PruneReport:
    return prune(storage, "reg", policy, apply=apply, all_versions=all_versions)


def everything_else(storage: Storage) -> set[str]:
    """Store what is not ours, or not of this registry, and return its keys."""
    one = backup_id(NOON - timedelta(days=100))
    strange = {
        "reg/notes.txt",
        f"reg/{one}-old/manifest.json",
        f"reg/{one}.bak/db-schema-create.sql.zst",
        f"reg/{one[:-1]}/db-schema-create.sql.zst",
        f"reg/x{one}/db-schema-create.sql.zst",
        "reg/20269999T999999Z-000000/db-schema-create.sql.zst",
        "reg/artifacts/20261120T000000Z.json",
        "reg/20261010T101010Z-00000a",
        "reg/20261010T101010Z-00000b/NOTES.txt",
        "reg/20261010T101010Z-00000c/models/model.onnx",
        f"reg2/{one}/db-schema-create.sql.zst",
        f"reg-other/{one}/manifest.json",
        f"{one}/db-schema-create.sql.zst",
        f"other/reg/{one}/db-schema-create.sql.zst",
        "models/reg/model.onnx",
    }
    for key in strange:
        storage.put(key, [b"not opskit's"])
    return strange


# What goes and what stays


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
    storage.put(f"reg/{ids[2]}/manifest.json.sig", [b"x" * 64])
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


# Holds


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
        deadline = time.monotonic() + 60
        # The second try fails, and does not end it.
        while next(iter(directory.list(f"reg/{ids[2]}/holds/"))).modified <= before.modified:
            assert time.monotonic() < deadline
        assert counted.calls["put"] > 2
    assert keys(directory) == keys_of("reg", ids)


class Between(FaultyStorage):
    """A storage where something happens just before, or just after, the first delete."""

    def __init__(self, inner: Storage, before: Iterator[None], after: Iterator[None]) -> None:
        super().__init__(inner)
        self.before, self.after = before, after

    def delete(self, keys: Iterable[str]) -> None:
        next(self.before, None)
        self.inner.delete(keys)
        next(self.after, None)


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


# Debris


def test_debris_goes_after_a_day_by_the_store_s_clock(storage: Storage) -> None:
    ids = write_days(storage, "reg", 2)
    unfinished = backup_id(NOON - timedelta(days=9))
    storage.put(f"reg/{unfinished}/db.t.00001.sql.zst", [CONTENT])
    storage.put(f"reg/{unfinished}/db.t.00002.sql.zst.age", [CONTENT])
    before = keys(storage)
    assert run(FaultyStorage(storage, later=timedelta(hours=23, minutes=50))).debris == []
    assert run(FaultyStorage(storage, later=A_DAY_LATER), apply=False).debris == [unfinished]
    assert keys(storage) == before
    assert run(FaultyStorage(storage, later=A_DAY_LATER)).debris == [unfinished]
    assert keys(storage) == keys_of("reg", ids)


def test_backup_that_runs_beside_a_prune_is_left_alone(directory: Storage) -> None:
    """It began long ago by its id, but its newest object is young."""
    running = backup_id(NOON - timedelta(days=9))
    directory.put(f"reg/{running}/db.t.00001.sql.zst", [CONTENT])
    storage = FaultyStorage(directory, later=timedelta(hours=23))
    assert run(storage).debris == []
    assert keys(directory) == {f"reg/{running}/db.t.00001.sql.zst"}


def test_one_young_object_keeps_a_folder(tmp_path: Path, directory: Storage) -> None:
    running = backup_id(NOON)
    for number in (1, 2):
        directory.put(f"reg/{running}/db.t.0000{number}.sql.zst", [CONTENT])
    os.utime(tmp_path / "backups" / "reg" / running / "db.t.00001.sql.zst", (0, 0))
    assert run(directory).debris == []


def test_debris_on_hold_stays(directory: Storage) -> None:
    unfinished = backup_id(NOON)
    directory.put(f"reg/{unfinished}/db.t.00001.sql.zst", [CONTENT])
    directory.put(f"reg/{unfinished}/holds/a.json", [b'{"purpose": "person"}'])
    assert run(FaultyStorage(directory, later=A_DAY_LATER)).debris == []


class Overlooked(FaultyStorage):
    """A storage whose listings leave the manifests out."""

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        return (each for each in self.inner.list(prefix) if not each.key.endswith("manifest.json"))


def test_manifest_that_only_the_listing_lacks_protects_its_backup(directory: Storage) -> None:
    ids = write_days(directory, "reg", 5)
    report = run(Overlooked(directory, later=A_DAY_LATER))
    assert report.debris == report.removed == []
    assert keys(directory) == keys_of("reg", ids)


# Stores that fail


@pytest.mark.parametrize(("error", "code"), [(DeniedError("403"), 77), (UnavailableError("503"), 69)])
def test_backup_whose_manifest_cannot_be_read_is_not_touched(
    directory: Storage, error: DeniedError | UnavailableError, code: int
) -> None:
    ids = write_days(directory, "reg", 5)
    # Manifests are read the oldest first.
    report = run(FaultyStorage(directory, fail={"get": [1, 3]}, error=error))
    assert report.removed == [ids[3]]
    assert report.keep[ids[4]] == report.keep[ids[2]] == ("cannot be judged",)
    assert [each.exit_code for each in report.failures] == [code, code]
    assert keys(directory) == keys_of("reg", [ids[0], ids[1], ids[2], ids[4]])


@pytest.mark.parametrize("error", [DeniedError("403"), UnavailableError("503")])
def test_debris_whose_manifest_cannot_be_asked_for_is_not_touched(
    directory: Storage, error: DeniedError | UnavailableError
) -> None:
    directory.put(f"reg/{backup_id(NOON)}/db.t.00001.sql.zst", [CONTENT])
    report = run(FaultyStorage(directory, fail={"get": [1]}, error=error, later=A_DAY_LATER))
    assert report.debris == []
    assert [each.message for each in report.failures] == [error.message]
    assert len(keys(directory)) == 1


@pytest.mark.parametrize("fault", ["fail", "lose_answer"])
@pytest.mark.parametrize("call", range(1, 7))
def test_delete_that_fails_leaves_no_manifest_without_its_data(directory: Storage, fault: str, call: int) -> None:
    ids = write_days(directory, "reg", 5)
    faulty = (
        FaultyStorage(directory, fail={"delete": [call]})
        if fault == "fail"
        else FaultyStorage(directory, lose_answer={"delete": [call]})
    )
    report = run(faulty)
    assert [each.exit_code for each in report.failures] == [69]
    assert report.removed + report.left == [ids[4], ids[3], ids[2]]
    assert len(report.removed) == (call - 1) // 2
    left = keys(directory)
    for each in ids:
        if f"reg/{each}/manifest.json" in left:
            assert keys_of("reg", [each]) <= left
    # The next runs finish it; what has no manifest any more goes when it is a day old.
    later = FaultyStorage(directory, later=A_DAY_LATER)
    run(later)
    run(later)
    assert keys(directory) == keys_of("reg", ids[:2])


class Lying(FaultyStorage):
    """A store that says it deleted, and did not."""

    def delete(self, keys: Iterable[str]) -> None:
        del keys


def test_store_that_only_says_that_it_deleted_loses_no_data(directory: Storage) -> None:
    ids = write_days(directory, "reg", 4)
    report = run(Lying(directory))
    assert "lists it yet" in report.failures[0].message
    assert keys(directory) == keys_of("reg", ids)


def test_listing_that_breaks_off_deletes_nothing(directory: Storage) -> None:
    ids = write_days(directory, "reg", 4)
    with pytest.raises(UnavailableError):
        run(FaultyStorage(directory, fail={"list": [1]}))
    assert keys(directory) == keys_of("reg", ids)


@pytest.mark.s3
@pytest.mark.parametrize("product", ["moto", "rclone"])
def test_store_without_bulk_delete_and_conditional_writes(
    product: str, request: pytest.FixtureRequest, bucket_name: str
) -> None:
    server: S3Server = request.getfixturevalue(product)
    server.make_bucket(bucket_name)

    def answering(request: Request, upstream: Upstream) -> Answer:
        if "delete" in request.query or "If-None-Match" in request.headers:
            return refused(501, "NotImplemented")
        return upstream(request)

    with recorded(server.service.port) as wire:
        wire.answering = answering
        storage = open_bucket(server, bucket_name, endpoint=wire.endpoint)
        ids = write_days(storage, "reg", 4)
        reader = held(storage, "reg", ids[3], "restore")

        def comes() -> Iterator[None]:
            yield reader.__enter__()

        # The oldest is held in the last moment, and gets its manifest back.
        assert run(Between(storage, comes(), iter(()))).removed == [ids[2]]
        reader.__exit__(None, None, None)
        assert keys(storage) == keys_of("reg", [ids[0], ids[1], ids[3]])


@pytest.mark.s3
def test_error_of_one_key_in_an_answer_of_status_200_ends_the_run(moto: S3Server, bucket_name: str) -> None:
    moto.make_bucket(bucket_name)

    def answering(request: Request, upstream: Upstream) -> Answer:
        if "delete" in request.query and b"manifest.json" in request.body:
            failed = "<Error><Key>k</Key><Code>AccessDenied</Code><Message>no</Message></Error>"
            done = upstream(replace(request, method="HEAD", target=f"/{bucket_name}", body=b""))
            return replace(done, status=200, body=f"<DeleteResult>{failed}</DeleteResult>".encode(), length=None)
        return upstream(request)

    with recorded(moto.service.port) as wire:
        wire.answering = answering
        storage = open_bucket(moto, bucket_name, endpoint=wire.endpoint)
        ids = write_days(storage, "reg", 3)
        report = run(storage)
        assert [each.exit_code for each in report.failures] == [77]
        assert keys(storage) == keys_of("reg", ids)


# Uploads, versions, locks


@pytest.mark.s3
def test_abandoned_uploads_below_the_registry_are_aborted(moto: S3Server, bucket_name: str) -> None:
    """moto says of every upload that it began in 2010."""
    moto.make_bucket(bucket_name)
    storage, one = open_bucket(moto, bucket_name), backup_id(NOON)
    ours = f"{PREFIX}/reg/{one}/db.t.00001.sql.zst"
    others = [
        f"{PREFIX}/reg/{one}/model.onnx",
        f"{PREFIX}/reg/models/db.t.00001.sql.zst",
        f"{PREFIX}/reg2/{one}/db.t.00001.sql.zst",
        f"reg/{one}/db.t.00001.sql.zst",
    ]
    for name in (ours, *others):
        moto.client().create_multipart_upload(Bucket=bucket_name, Key=name)
    assert run(storage, apply=False).uploads == [ours.removeprefix(f"{PREFIX}/")]
    assert run(storage).uploads == [ours.removeprefix(f"{PREFIX}/")]
    left = moto.client().list_multipart_uploads(Bucket=bucket_name)["Uploads"]
    assert sorted(each["Key"] for each in left) == sorted(others)


@pytest.mark.s3
def test_upload_that_may_still_run_is_not_aborted(rclone: S3Server, bucket_name: str) -> None:
    rclone.make_bucket(bucket_name)
    name = f"{PREFIX}/reg/{backup_id(NOON)}/db.t.00001.sql.zst"
    rclone.client().create_multipart_upload(Bucket=bucket_name, Key=name)
    storage = open_bucket(rclone, bucket_name)
    assert run(FaultyStorage(storage, later=timedelta(hours=23))).uploads == []
    assert run(FaultyStorage(storage, later=A_DAY_LATER)).uploads == [name.removeprefix(f"{PREFIX}/")]
    assert list(storage.unfinished("reg/")) == []


@pytest.fixture
def locking(moto: S3Server, bucket_name: str) -> Storage:
    """A bucket with versions and Object Lock."""
    moto.client().create_bucket(Bucket=bucket_name, ObjectLockEnabledForBucket=True)
    return open_bucket(moto, bucket_name)


@pytest.mark.s3
def test_all_versions_of_what_goes_are_deleted_and_of_nothing_else(
    locking: Storage, moto: S3Server, bucket_name: str
) -> None:
    ids = write_days(locking, "reg", 4)
    locking.put(f"reg/{ids[2]}/NOTES.txt", [b"remember"])
    assert run(locking, Policy(keep_last=3)).removed == [ids[3]]
    assert len([each for each in versions(moto, bucket_name) if ids[3] in each]) == 4
    run(locking, all_versions=True)
    expected = keys_of("reg", ids[:2]) | {f"reg/{ids[2]}/NOTES.txt"}
    assert keys(locking) == expected
    hidden = [each for each in versions(moto, bucket_name) if ids[3] in each]
    assert sorted(versions(moto, bucket_name)) == sorted([*(f"{PREFIX}/{key}" for key in expected), *hidden])


@pytest.mark.s3
@pytest.mark.parametrize("all_versions", [True, False])
def test_locked_backup_stays_and_is_reported(
    locking: Storage, moto: S3Server, bucket_name: str, *, all_versions: bool
) -> None:
    ids = write_days(locking, "reg", 4)
    lock(moto, bucket_name, f"reg/{ids[3]}/manifest.json", datetime.now(UTC) + timedelta(days=2))
    lock(moto, bucket_name, f"reg/{ids[2]}/db-schema-create.sql.zst", datetime.now(UTC) + timedelta(days=2))
    report = run(locking, all_versions=all_versions)
    assert not report.failures
    assert report.keep[ids[3]][0].startswith("locked in the store until ")
    assert report.locked == ([f"reg/{ids[2]}/db-schema-create.sql.zst"] if all_versions else [])
    assert keys_of("reg", [ids[0], ids[1], ids[3]]) <= keys(locking)
    assert f"reg/{ids[2]}/manifest.json" not in keys(locking)


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
