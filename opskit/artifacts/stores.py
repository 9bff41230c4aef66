"""The object stores of the configuration: which one a URI means, and a bucket in it with that store's own key."""

import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from opskit.artifacts.addresses import guard
from opskit.artifacts.breaker import Breaker
from opskit.artifacts.bucket import Bucket
from opskit.artifacts.listing import read_contents
from opskit.artifacts.origin import Origin, origin_of
from opskit.artifacts.uri import ConnectionLocation, Malformed, S3Location, Unsupported, s3_location
from opskit.storage.s3_client import connect_s3

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

# How a URI would name a store that has no endpoint in the configuration.
_AMAZON = "https://s3.amazonaws.com"


@dataclass(frozen=True)
class Store:
    """One object store; without an endpoint it is Amazon's. `access_key` reads the key when it is first needed.

    `aliases` are other addresses of it, as URIs have them; `buckets` those that are looked for in it, empty for all;
    `connections` maps the names of data connections (storage_key) to the bucket that each means.
    """

    endpoint: str | None = None
    aliases: tuple[str, ...] = ()
    buckets: tuple[str, ...] = ()
    connections: Mapping[str, str] | None = None
    region: str | None = None
    ca_file: Path | None = None
    access_key: Callable[[], tuple[str, str] | None] = lambda: None
    max_attempts: int = 5

    def holds(self, location: S3Location) -> bool:
        """Tell whether this store is the one that the location means."""
        if self.buckets and location.bucket not in self.buckets:
            return False
        return location.endpoint is None or self.is_at(location.endpoint)

    def is_at(self, endpoint: str) -> bool:
        """Tell whether an endpoint, as a URI claims it, is this store's."""
        if endpoint in self.aliases:
            return True
        origin = origin_of(endpoint)
        if origin is None:
            return False
        if self.endpoint is None and origin.is_amazon:
            return True
        return any(origin == origin_of(each) for each in (self.endpoint, *self.aliases) if each)


@dataclass(frozen=True, slots=True)
class NotAllowed:
    """The configuration does not have what a URI asks for."""

    reason: str


class Stores:
    """All configured stores; each has a client of its own, made when it is first needed."""

    def __init__(self, stores: Sequence[Store]) -> None:
        self._stores = stores
        self._clients: dict[int, tuple[S3Client, Breaker]] = {}
        self._buckets: dict[tuple[int, str], Bucket] = {}
        self._lock = threading.Lock()

    def find(self, location: S3Location) -> Bucket | NotAllowed:
        """Return the bucket that a location means: in the store of its endpoint, else in the first that may hold it."""
        for number, store in enumerate(self._stores):
            if store.holds(location):
                return self._bucket(number, location.bucket)
        if location.endpoint is None:
            return NotAllowed(f"no configured store holds bucket {location.bucket}")
        if any(store.is_at(location.endpoint) for store in self._stores):
            return NotAllowed(f"bucket {location.bucket} is not among those of the store")
        return NotAllowed("the endpoint is not that of a configured store")

    def locate(self, location: ConnectionLocation) -> S3Location | Unsupported | Malformed:
        """Return what a data connection means, where a store names it."""
        for store in self._stores:
            bucket = (store.connections or {}).get(location.connection)
            if bucket is not None:
                return s3_location(bucket, location.path, store.endpoint or _AMAZON)
        return Unsupported(f"no store names the data connection {location.connection}")

    @property
    def requests(self) -> dict[str, int]:
        """How many requests were sent so far, by kind."""
        counts = {"LIST": 0, "HEAD": 0}
        for bucket in self._buckets.values():
            for kind, count in bucket.requests.items():
                counts[kind] += count
        return counts

    def _bucket(self, number: int, name: str) -> Bucket:
        with self._lock:
            if (number, name) not in self._buckets:
                client, breaker = self._client(number)
                self._buckets[number, name] = Bucket(client, name, breaker)
            return self._buckets[number, name]

    def _client(self, number: int) -> "tuple[S3Client, Breaker]":
        if number not in self._clients:
            store = self._stores[number]
            origin = origin_of(store.endpoint) if store.endpoint else None
            client = connect_s3(
                endpoint_url=store.endpoint,
                region=store.region or ("us-east-1" if store.endpoint else None),
                ca_file=store.ca_file,
                path_style=store.endpoint is not None,
                max_attempts=store.max_attempts,
                access_key=store.access_key(),
                direct=True,
            )
            client.meta.events.register_first("before-parse.s3.ListObjectsV2", read_contents)
            self._clients[number] = guard(client, _hosts(origin)), Breaker()
        return self._clients[number]


def _hosts(origin: Origin | None) -> tuple[str, ...]:
    return (origin.host.strip("[]"),) if origin else ()
