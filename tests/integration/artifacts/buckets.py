"""Buckets of real servers for the search, and what a naive reader of all their keys would say."""

from collections.abc import Mapping

from opskit.artifacts.bucket import Bucket
from opskit.artifacts.stores import Store, Stores
from opskit.artifacts.uri import S3Location, s3_location
from opskit.artifacts.verdict import Verdict
from sandbox.s3 import S3Server


def store_of(server: S3Server, **options: object) -> Store:
    """A store as the configuration has it, one attempt, so that errors are quick."""
    known = {
        "endpoint": server.endpoint,
        "access_key": lambda: (server.access_key, server.secret_key),
        "max_attempts": 1,
        "region": server.region,
    }
    return Store(**{**known, **options})  # type: ignore[arg-type] # as the test wants it


def open_bucket(server: S3Server, name: str, **options: object) -> Bucket:
    bucket = Stores([store_of(server, **options)]).find(place(name, ""))
    assert isinstance(bucket, Bucket)
    return bucket


def place(bucket: str, path: str) -> S3Location:
    location = s3_location(bucket, path)
    assert isinstance(location, S3Location)
    return location


def naive(objects: Mapping[str, int], location: S3Location) -> Verdict:
    """The verdict by the definition, from all keys and sizes there are."""

    def live(key: str) -> bool:
        return objects[key] > 0 and not key.endswith("/")

    below = [key for key in objects if key.startswith(location.folder)]
    exact = location.key is not None and location.key in objects
    if (exact and live(str(location.key))) or any(live(key) for key in below):
        return "present"
    if exact or below:
        return "empty"
    if location.key is not None and any(key.startswith(location.key) and live(key) for key in objects):
        return "sibling-only"
    return "missing"
