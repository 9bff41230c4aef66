"""One verification by several machines: each takes a part of the inventory, whoever is last puts them together.

`<registry>/artifact-runs/<run id>/` holds the inventory that shard 0 took (one snapshot for all), a marker that says
that it is complete, and the records of each part. A part that is there is not looked at again, and merging twice gives
the same report: any shard may be killed and started anew at any moment.
"""

import json
import re
import secrets
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from itertools import chain, islice
from typing import Annotated, Final

from pydantic import Field, TypeAdapter

from opskit.artifacts.report import (
    FOUND,
    POINTERS,
    Record,
    Summary,
    get_records,
    is_aside,
    put_records,
    read_summary,
    record_of,
)
from opskit.artifacts.search import Options, Places, find_all
from opskit.artifacts.verify import store_report
from opskit.backup.stages import gathered
from opskit.errors import CorruptError, NotFoundError, ObjectExistsError, RefusedError, UnavailableError, UsageError
from opskit.progress import NoProgress, Progress
from opskit.registry.inventory import Pointer
from opskit.storage import Storage

_RUN_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9.-]{0,62}")
# The name of a part has five digits for each of its numbers.
_SHARD = re.compile(r"([0-9]{1,5})/([0-9]{1,5})")
_MOST_SHARDS = 99_999
_LARGEST_MARKER = 64 * 1024
_INVENTORY_SECONDS = 30 * 60.0
_POLL_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Shard:
    """Part `index` of `count`, counted from 0."""

    index: int
    count: int


@dataclass(frozen=True, slots=True)
class _Run:
    """What the marker says of a run: how it is verified, and where its inventory is."""

    inventory: str
    artifacts: Annotated[int, Field(ge=0)]
    shards: Annotated[int, Field(ge=1, le=_MOST_SHARDS)]
    time: str
    source: str
    layout: bool
    live_only: bool

    @property
    def aside(self) -> bool:
        """Whether it tells of something else than the whole registry as it is now."""
        return is_aside(self.source, live_only=self.live_only)


_RUNS: Final = TypeAdapter(_Run)


def parse_shard(text: str) -> Shard:
    """Read `I/N`; `ValueError` unless 0 ≤ I < N."""
    match = _SHARD.fullmatch(text)
    if not match or not int(match[1]) < int(match[2]):
        raise ValueError("must be I/N, with I from 0 to N-1")
    return Shard(int(match[1]), int(match[2]))


def verify_shard(
    pointers: Callable[[], Iterable[Pointer]],
    places: Places,
    storage: Storage,
    summary: Summary,
    shard: Shard,
    options: Options = Options(),
    *,
    wait_seconds: float = _INVENTORY_SECONDS,
    progress: Progress = NoProgress(),
) -> Summary | None:
    """Look for one part of the run `summary.run_id` and store it; return the whole summary if it was the last one.

    `pointers` is called by shard 0 alone, unless the inventory is there already.
    """
    folder = run_folder(summary.registry, summary.run_id or "")
    run = _read_run(storage, folder)
    if run is None and shard.index == 0:
        run = _take_inventory(pointers(), storage, folder, summary, shard)
    deadline = time.monotonic() + wait_seconds
    while run is None:
        if time.monotonic() > deadline:
            raise UnavailableError(
                f"shard 0 of run {summary.run_id} has not stored the inventory", hint="it is tried again by the Job"
            )
        time.sleep(min(_POLL_SECONDS, wait_seconds))
        run = _read_run(storage, folder)
    if run.shards != shard.count:
        raise UsageError(f"run {summary.run_id} has {run.shards} shards, not {shard.count}")
    if done := _merged(storage, summary.registry, run, summary.run_id or ""):
        return done
    if _part(folder, shard.index, run) not in _keys(storage, folder):
        _verify_part(storage, folder, run, shard, places, options, progress)
    if _missing(storage, folder, run):
        return None
    return merge(storage, summary.registry, summary.run_id or "")


def merge(storage: Storage, registry: str, run_id: str) -> Summary:
    """Put the parts of a run together and return the summary; of a run that was merged, the one that is stored.

    `NotFoundError` if there is no such run, or a part of it is missing.
    """
    folder = run_folder(registry, run_id)
    run = _read_run(storage, folder)
    if run is None:
        raise NotFoundError(f"there is no run {run_id} of registry {registry!r}")
    if done := _merged(storage, registry, run, run_id):
        return done
    if missing := _missing(storage, folder, run):
        numbers = ", ".join(map(str, missing[:10]))
        raise NotFoundError(
            f"run {run_id} is not complete: no report of shard {numbers}", hint="run these shards again"
        )
    summary = Summary(registry, run.time, run.source, run.layout, run.live_only, run_id=run_id)
    records = chain.from_iterable(
        get_records(storage, _part(folder, index, run), POINTERS, FOUND) for index in range(run.shards)
    )
    try:
        stored = store_report(records, storage, summary, again=True)
    except (NotFoundError, ObjectExistsError):
        # Somebody else merged at the same moment, and has tidied up.
        if done := _merged(storage, registry, run, run_id):
            return done
        raise
    storage.delete(key for key in _keys(storage, folder) if key != f"{folder}run.json")
    return stored


def _merged(storage: Storage, registry: str, run: _Run, run_id: str) -> Summary | None:
    """Return the summary of this run, None if it was not merged.

    `RefusedError` if another run has this second to itself: its report must not be replaced.
    """
    summary = read_summary(storage, registry, run.time, aside=run.aside)
    if summary is not None and summary.run_id != run_id:
        raise RefusedError(f"another run has the report of {run.time}", hint="start a new run, with another id")
    return summary


def run_folder(registry: str, run_id: str) -> str:
    """Return where the parts of a run are."""
    if not _RUN_ID.fullmatch(run_id):
        raise UsageError(f"{run_id!r} is no run id: letters, digits, '.' and '-', at most 63")
    return f"{registry}/artifact-runs/{run_id}/"


def _take_inventory(pointers: Iterable[Pointer], storage: Storage, folder: str, summary: Summary, shard: Shard) -> _Run:
    count = 0

    def counted() -> Iterator[Record]:
        nonlocal count
        for each in pointers:
            if not (summary.live_only and each.archived):
                count += 1
                yield asdict(each)

    # A name of its own: should an earlier try have died before the marker, its inventory is no part of the run.
    inventory = f"{folder}inventory-{secrets.token_hex(3)}.json.zst"
    put_records(storage, inventory, {"registry": summary.registry}, counted())
    run = _Run(inventory, count, shard.count, summary.time, summary.source, summary.layout, summary.live_only)
    try:
        storage.put(f"{folder}run.json", [json.dumps(asdict(run)).encode()], if_absent=True)
    except ObjectExistsError:
        return _read_run(storage, folder) or run
    return run


def _read_run(storage: Storage, folder: str) -> _Run | None:
    key = f"{folder}run.json"
    try:
        run = _RUNS.validate_json(gathered(storage.get(key), _LARGEST_MARKER, key))
        datetime.fromisoformat(run.time)
    except NotFoundError:
        return None
    except ValueError as error:
        raise CorruptError(f"{key} is not what opskit writes") from error
    return run


def _verify_part(
    storage: Storage, folder: str, run: _Run, shard: Shard, places: Places, options: Options, progress: Progress
) -> None:
    first, end = (run.artifacts * index // run.shards for index in (shard.index, shard.index + 1))
    records = islice(get_records(storage, run.inventory, POINTERS), first, end)
    pointers = (_pointer(record, run) for record in records)
    # As the summary will say it, whatever this shard was told.
    options = replace(options, layout=run.layout)
    found = (record_of(*each) for each in find_all(pointers, places, options, progress))
    put_records(storage, _part(folder, shard.index, run), {"shard": shard.index, "of": shard.count}, found, again=True)


def _pointer(record: Record, run: _Run) -> Pointer:
    try:
        return Pointer(**record)
    except TypeError as error:
        raise CorruptError(f"{run.inventory} is not what opskit writes") from error


def _part(folder: str, index: int, run: _Run) -> str:
    return f"{folder}part-{index:05}-of-{run.shards:05}.json.zst"


def _missing(storage: Storage, folder: str, run: _Run) -> list[int]:
    there = _keys(storage, folder)
    return [index for index in range(run.shards) if _part(folder, index, run) not in there]


def _keys(storage: Storage, folder: str) -> set[str]:
    return {each.key for each in storage.list(folder)}
