"""The search for the bytes of every pointer: batch by batch, the buckets by merging, everything else one by one.

Memory holds one batch. Pointers come in the order of their URIs, so that each batch lies close together in its
buckets; nothing but the number of requests depends on that.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice

from opskit.artifacts.asking import judge, look, verdict_of
from opskit.artifacts.bucket import Bucket
from opskit.artifacts.documents import look_at_document
from opskit.artifacts.existence import Merge, Proof, UnorderedError, ranges
from opskit.artifacts.files import Mount, look_at_file
from opskit.artifacts.hosts import Hosts
from opskit.artifacts.images import look_at_image
from opskit.artifacts.stores import NotAllowed, Stores
from opskit.artifacts.uri import (
    ConnectionLocation,
    FileLocation,
    HttpLocation,
    Location,
    Malformed,
    OciLocation,
    S3Location,
    Unsupported,
    locate,
)
from opskit.artifacts.verdict import Finding
from opskit.errors import DeniedError, OpskitError
from opskit.progress import NoProgress, Progress
from opskit.registry.inventory import Pointer
from opskit.workers import Stop, run

_BATCH = 10_000
# Locations of one bucket that one thread walks through.
_RANGE = 2_500


@dataclass(frozen=True)
class Places:
    """Where artifacts may be looked for: what the configuration names, and nothing else."""

    stores: Stores = field(default_factory=lambda: Stores(()))
    hosts: Hosts = field(default_factory=lambda: Hosts(()))
    mounts: Sequence[Mount] = ()


@dataclass(frozen=True, slots=True)
class Options:
    """How hard is looked: at the layout, at each object by itself, with how many threads."""

    layout: bool = False
    deep: bool = False
    workers: int = 8


Asked = tuple[Location, str]


def find_all(
    pointers: Iterable[Pointer], places: Places, options: Options = Options(), progress: Progress = NoProgress()
) -> Iterator[tuple[Pointer, Finding]]:
    """Yield each pointer with what is said of it, in the order in which they come."""
    progress.phase("verify", None, "objects")
    source = iter(pointers)
    while found := _find_batch(list(islice(source, _BATCH)), places, options):
        progress.advance(len(found))
        found.reverse()
        while found:  # what was handed over is let go before the next batch comes
            yield found.pop()


def _find_batch(batch: Sequence[Pointer], places: Places, options: Options) -> list[tuple[Pointer, Finding]]:
    asked = [(where(places.stores, each), each.format if options.layout else "") for each in batch]
    findings = _Batch(places, options).find(dict.fromkeys(asked))
    return [(each, findings[key]) for each, key in zip(batch, asked, strict=True)]


def where(stores: Stores, pointer: Pointer) -> Location:
    """Return where a pointer leads, data connections included."""
    location = locate(pointer.uri, pointer.storage_key, pointer.storage_path)
    return stores.locate(location) if isinstance(location, ConnectionLocation) else location


class _Batch:
    """The findings of one batch, by location and format."""

    def __init__(self, places: Places, options: Options) -> None:
        self._places = places
        self._options = options
        self._proofs: dict[S3Location, Proof] = {}
        self._failed: dict[S3Location, Finding] = {}
        self._findings: dict[Asked, Finding] = {}

    def find(self, asked: Iterable[Asked]) -> dict[Asked, Finding]:
        """Walk through the buckets, then ask for whatever no walk has proved."""
        in_buckets: dict[Bucket, dict[S3Location, list[str]]] = {}
        single: list[Callable[[], None]] = []
        for location, format_name in asked:
            if isinstance(location, S3Location):
                bucket = self._places.stores.find(location)
                if isinstance(bucket, NotAllowed):
                    self._findings[location, format_name] = Finding("endpoint-not-allowed", bucket.reason)
                else:
                    in_buckets.setdefault(bucket, {}).setdefault(location, []).append(format_name)
            else:
                single.append(partial(self._ask_one, location, format_name))
        walks = [
            partial(self._walk, bucket, part)
            for bucket, locations in in_buckets.items()
            for part in ranges(list(locations), _RANGE)
        ]
        self._all(walks)
        for bucket, locations in in_buckets.items():
            single += [partial(self._judge, bucket, location, names) for location, names in locations.items()]
        self._all(single)
        return self._findings

    def _all(self, tasks: Iterable[Callable[[], None]]) -> None:
        run(tasks, range(self._options.workers), lambda _, task: task(), Stop())

    def _walk(self, bucket: Bucket, locations: Sequence[S3Location]) -> None:
        merge = Merge(bucket, locations, whole=self._options.layout)
        try:
            merge.run()
        except (UnorderedError, DeniedError):
            pass  # what is not proved is asked for by itself: a key may be allowed to list only some folders
        except OpskitError as error:
            finding = verdict_of(error)
            self._failed.update(dict.fromkeys(locations, finding))
        self._proofs.update(merge.proofs)

    def _judge(self, bucket: Bucket, location: S3Location, formats: Sequence[str]) -> None:
        try:
            proof: Proof | Finding | None = self._proofs.get(location) or self._failed.get(location)
            if proof is None:
                proof = look(bucket, location, whole=self._options.layout)
            for name in formats:
                self._findings[location, name] = (
                    proof
                    if isinstance(proof, Finding)
                    else judge(
                        bucket,
                        location,
                        proof,
                        format_name=name,
                        layout=self._options.layout,
                        deep=self._options.deep,
                    )
                )
        except OpskitError as error:
            self._findings.update(dict.fromkeys(((location, name) for name in formats), verdict_of(error)))

    def _ask_one(self, location: Location, format_name: str) -> None:
        try:
            finding = self._look(location, format_name)
        except OpskitError as error:
            finding = verdict_of(error)
        self._findings[location, format_name] = finding

    def _look(self, location: Location, format_name: str) -> Finding:
        if isinstance(location, HttpLocation):
            return look_at_document(self._places.hosts, location)
        if isinstance(location, OciLocation):
            return look_at_image(self._places.hosts, location)
        if isinstance(location, FileLocation):
            return look_at_file(self._places.mounts, location, format_name=format_name, layout=self._options.layout)
        if isinstance(location, Malformed):
            return Finding("malformed", location.reason)
        return Finding("unsupported", location.reason if isinstance(location, Unsupported) else "")
