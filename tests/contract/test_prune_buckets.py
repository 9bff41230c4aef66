"""What only buckets have: abandoned uploads, versions and locks."""

from datetime import UTC, datetime, timedelta

import pytest

from opskit.backup.retention import Policy
from opskit.storage import Storage
from sandbox.s3 import S3Server
from tests.backups import (
    NOON,
    backup_id,
    keys,
    keys_of,
    write_days,
)
from tests.contract.conftest import PREFIX, open_bucket
from tests.contract.pruning import A_DAY_LATER, run
from tests.contract.test_s3_versions import lock, versions
from tests.faulty import FaultyStorage


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
