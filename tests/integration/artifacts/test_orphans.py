"""What nobody has registered."""

import pytest

from opskit.artifacts.bucket import Bucket
from opskit.artifacts.orphans import find_orphans
from opskit.artifacts.stores import Stores
from sandbox.s3 import S3Server
from tests.integration.artifacts.buckets import place, store_of
from tests.integration.artifacts.registered import registered

KEYS = (
    "models/archived/1/x",
    "models/foo/1/x",
    "models/foo/2/x",
    "models/foo/2/y",
    "models/foobar/x",
    "models/object",
    "models/object-2",
    "models/old/1/a/x",
    "models/old/2/x",
    "other/x",
)


@pytest.fixture
def bucket(moto: S3Server, bucket_name: str) -> str:
    moto.make_bucket(bucket_name)
    client = moto.client()
    for key in KEYS:
        client.put_object(Bucket=bucket_name, Key=key, Body=b"four")
    client.close()
    return bucket_name


def orphans(server: S3Server, name: str, prefix: str, *uris: str) -> dict[str, tuple[int, int]]:
    stores = Stores([store_of(server)])
    bucket = stores.find(place(name, ""))
    assert isinstance(bucket, Bucket)
    pointers = [registered(number, uri) for number, uri in enumerate(uris)]
    pointers.append(registered(99, f"s3://{name}/models/archived/1", model_state="ARCHIVED"))
    return {each.path: (each.objects, each.bytes) for each in find_orphans(pointers, stores, bucket, prefix)}


def test_outermost_folders_without_anything_registered_are_listed(moto: S3Server, bucket: str) -> None:
    uris = (f"s3://{bucket}/models/foo/1", f"s3://{bucket}/models/object?endpoint={moto.endpoint}")
    assert orphans(moto, bucket, "models/", *uris) == {
        "models/foo/2/": (2, 8),
        "models/foobar/": (1, 4),
        "models/object-2": (1, 4),
        "models/old/": (2, 8),
    }
    assert "other/" in orphans(moto, bucket, "", *uris)


def test_registered_folder_covers_all_that_is_in_it(moto: S3Server, bucket: str) -> None:
    assert orphans(moto, bucket, "models/foo/", f"s3://{bucket}/models/foo/") == {}
    assert orphans(moto, bucket, "models/", f"s3://{bucket}") == {}


def test_same_path_in_another_bucket_or_store_covers_nothing(moto: S3Server, bucket: str) -> None:
    uris = ("s3://another/models/foo", f"s3://{bucket}/models/foo?endpoint=https://evil.example")
    assert orphans(moto, bucket, "models/foo/", *uris) == {"models/foo/1/": (1, 4), "models/foo/2/": (2, 8)}
