"""What lies in a bucket and nobody has registered: folders to which no artifact points."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import accumulate

from opskit.artifacts.bucket import Bucket, Stored
from opskit.artifacts.search import where
from opskit.artifacts.stores import Stores
from opskit.artifacts.uri import S3Location
from opskit.registry.inventory import Pointer


@dataclass(slots=True)
class Orphan:
    """A folder, which ends in `/`, or a single object; `modified` is its newest object's."""

    path: str
    objects: int = 0
    bytes: int = 0
    modified: str = ""

    def add(self, stored: Stored) -> None:
        """Count one object."""
        self.objects += 1
        self.bytes += stored.size
        self.modified = max(self.modified, stored.modified)


def find_orphans(pointers: Iterable[Pointer], stores: Stores, bucket: Bucket, prefix: str) -> Iterator[Orphan]:
    """Yield the largest folders below `prefix` in which nothing is registered, in the order of their names.

    A folder with something registered in it is looked into. `prefix` is empty or ends in `/`.
    """
    registered = _Registered(pointers, stores, bucket)
    orphan: Orphan | None = None
    for stored in bucket.below(prefix):
        path = registered.orphan_of(stored.key, prefix)
        if orphan is not None and orphan.path != path:
            yield orphan
            orphan = None
        if path is not None:
            orphan = orphan or Orphan(path)
            orphan.add(stored)
    if orphan is not None:
        yield orphan


class _Registered:
    """The paths of one bucket to which something points, and all folders above them."""

    def __init__(self, pointers: Iterable[Pointer], stores: Stores, bucket: Bucket) -> None:
        self._paths: set[str] = set()
        self._above: set[str] = set()
        for each in pointers:
            location = where(stores, each)
            if isinstance(location, S3Location) and stores.find(location) is bucket:
                path = location.folder.rstrip("/")
                self._paths.add(path)
                self._above.update(_folders(path))

    def orphan_of(self, key: str, prefix: str) -> str | None:
        """Return the outermost folder of a key, below the prefix, that nobody has registered; None if somebody has."""
        if "" in self._paths:
            return None
        for path in _folders(key.rstrip("/")):
            if path in self._paths:
                return None
            if len(path) > len(prefix) and path not in self._above:
                return path if path == key else f"{path}/"
        return None


def _folders(path: str) -> Iterator[str]:
    """Yield `a`, `a/b`, `a/b/c` for `a/b/c`."""
    return accumulate(path.split("/"), lambda one, other: f"{one}/{other}")
