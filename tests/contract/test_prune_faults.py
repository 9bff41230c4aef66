"""Debris, and stores that fail: no manifest is left without its data, and nothing foreign is touched."""

import contextlib
import os
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from opskit.backup import layout
from opskit.backup.holds import held, place
from opskit.backup.retention import Policy
from opskit.errors import DeniedError, UnavailableError
from opskit.storage import Storage, StoredObject
from sandbox.s3 import S3Server
from tests.backups import (
    CONTENT,
    NOON,
    backup_id,
    keys,
    keys_of,
    write_days,
    write_rehearsal,
)
from tests.contract.conftest import open_bucket
from tests.contract.pruning import A_DAY_LATER, Between, run
from tests.faulty import FaultyStorage
from tests.wire import Answer, Request, Upstream, recorded, refused

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


def test_directory_that_may_not_be_written_is_planned_for_and_left_as_it_is(directory: Storage) -> None:
    ids = write_days(directory, "reg", 3)
    refusing = FaultyStorage(directory, fail={"now": {1, 2}}, error=DeniedError("read-only"))
    assert run(refusing, Policy(keep_last=2), apply=False).removed == [ids[2]]
    with pytest.raises(DeniedError):
        run(refusing, Policy(keep_last=2))
    assert keys(directory) == keys_of("reg", ids)


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


class Secretive(FaultyStorage):
    """A storage that gives everything but the verdicts of rehearsals."""

    def get(self, key: str) -> Iterator[bytes]:
        if f"/{layout.REHEARSALS}" in key:
            raise DeniedError("403")
        return self.inner.get(key)


def test_backup_whose_verdict_cannot_be_read_is_not_touched_and_takes_no_place(directory: Storage) -> None:
    """It may be the newest one that was rehearsed, and it may have failed."""
    ids = write_days(directory, "reg", 5)
    write_rehearsal(directory, "reg", ids[0], "failed")
    write_rehearsal(directory, "reg", ids[4], "passed")
    before = keys(directory)
    report = run(Secretive(directory))
    assert report.removed == [ids[3]]
    assert report.keep[ids[0]] == report.keep[ids[4]] == ("cannot be judged",)
    assert report.keep[ids[1]][0] == "the newest good one"
    assert [(each.message, each.exit_code) for each in report.failures] == [("403", 77), ("403", 77)]
    assert before - keys(directory) == keys_of("reg", [ids[3]])


def test_backup_whose_verdict_is_damaged_is_not_touched_and_takes_no_place(directory: Storage) -> None:
    ids = write_days(directory, "reg", 3)
    directory.put(f"reg/{ids[0]}/{layout.REHEARSALS}20261124T020304000000Z.json", [b"{"])
    report = run(directory, Policy())
    assert (report.removed, report.failures) == ([ids[2]], [])
    assert report.keep[ids[0]] == ("cannot be judged",)


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


@pytest.mark.parametrize("error", [UnavailableError("503"), KeyboardInterrupt()], ids=["fault", "interrupt"])
def test_run_that_ends_before_it_looked_for_holds_puts_the_manifest_back(
    directory: Storage, error: BaseException
) -> None:
    ids = write_days(directory, "reg", 3)
    before = keys(directory)

    def comes() -> Iterator[None]:
        before.add(place(directory, "reg", ids[2]))
        yield

    def breaks() -> Iterator[None]:
        yield from ()
        raise error

    with contextlib.suppress(KeyboardInterrupt):
        assert run(Between(directory, comes(), breaks())).left == [ids[2]]
    assert keys(directory) == before


def test_look_for_holds_that_fails_puts_the_manifest_back(directory: Storage) -> None:
    ids = write_days(directory, "reg", 3)
    # After the whole storage, and the holds before the manifest goes.
    faulty = FaultyStorage(directory, fail={"list": [3]})
    assert [each.exit_code for each in run(faulty).failures] == [69]
    assert faulty.calls["delete"] == 1
    assert keys(directory) == keys_of("reg", ids)


def test_manifest_that_cannot_be_put_back_hides_no_failure(directory: Storage) -> None:
    ids = write_days(directory, "reg", 3)
    faulty = FaultyStorage(directory, fail={"list": [3], "put": [1]})
    report = run(faulty)
    assert (report.left, [each.exit_code for each in report.failures]) == ([ids[2]], [69])
    assert keys(directory) == keys_of("reg", ids) - {f"reg/{ids[2]}/manifest.json"}


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
