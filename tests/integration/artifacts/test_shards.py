"""Several machines share one verification; any of them may die at any moment."""

import json
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from opskit.artifacts.report import Summary, get_records, newest_summary, put_records, report_key, time_name
from opskit.artifacts.search import Options, Places
from opskit.artifacts.shards import Shard, merge, parse_shard, verify_shard
from opskit.artifacts.stores import Stores
from opskit.artifacts.verify import verify
from opskit.errors import CorruptError, NotFoundError, RefusedError, UnavailableError, UsageError
from opskit.registry.inventory import Pointer
from opskit.storage import Storage
from opskit.storage.directory import DirectoryStorage
from sandbox.s3 import S3Server
from tests.faulty import FaultyStorage
from tests.integration.artifacts.buckets import store_of
from tests.integration.artifacts.registered import registered

NOW = time_name(datetime(2026, 11, 24, 5, 23, tzinfo=UTC))
LATER = time_name(datetime(2026, 11, 25, 5, 23, tzinfo=UTC))
COUNT = 11


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path)


@pytest.fixture
def places(moto: S3Server) -> Places:
    return Places(Stores([store_of(moto)]))


@pytest.fixture
def pointers(moto: S3Server, bucket_name: str) -> list[Pointer]:
    moto.make_bucket(bucket_name)
    client = moto.client()
    for number in range(0, COUNT, 2):
        client.put_object(Bucket=bucket_name, Key=f"models/{number:02}/x", Body=b"x")
    client.close()
    return [registered(number, f"s3://{bucket_name}/models/{number:02}") for number in range(COUNT)]


def summary(run_id: str | None = "run-1", time: str = NOW) -> Summary:
    return Summary("registry", time, "database", layout=False, live_only=False, run_id=run_id)


def one(
    pointers: Iterable[Pointer], places: Places, storage: Storage, index: int, count: int = 4, *, wait: float = 0
) -> Summary | None:
    return verify_shard(lambda: pointers, places, storage, summary(), Shard(index, count), wait_seconds=wait)


def left(storage: Storage) -> list[str]:
    return [each.key for each in storage.list("registry/artifact-runs/")]


@pytest.mark.parametrize("count", [1, 2, 4, 20])
def test_union_of_the_shards_is_the_whole(
    places: Places, storage: DirectoryStorage, pointers: list[Pointer], count: int, tmp_path: Path
) -> None:
    merged = [one(pointers, places, storage, index, count) for index in range(count)]
    assert [each is not None for each in merged] == [False] * (count - 1) + [True]
    alone = DirectoryStorage(tmp_path / "alone")
    (tmp_path / "alone").mkdir()
    whole = verify(pointers, places, alone, summary(None))
    last = merged[-1]
    assert last is not None
    assert last.verdicts == whole.verdicts
    assert list(get_records(storage, report_key("registry", NOW))) == list(
        get_records(alone, report_key("registry", NOW))
    )
    assert left(storage) == ["registry/artifact-runs/run-1/run.json"]


def test_inventory_is_one_snapshot_for_all(places: Places, storage: DirectoryStorage, pointers: list[Pointer]) -> None:
    one(pointers, places, storage, 0, 2)

    def never() -> Iterator[Pointer]:
        raise AssertionError("the inventory is there")
        yield

    assert one(never(), places, storage, 0, 2) is None
    done = one(never(), places, storage, 1, 2)
    assert done is not None
    assert done.artifacts == COUNT


def test_shard_waits_for_the_inventory(places: Places, storage: DirectoryStorage, pointers: list[Pointer]) -> None:
    found: list[Summary | None] = []
    waiting = threading.Thread(target=lambda: found.append(one(pointers, places, storage, 1, 2, wait=60)))
    waiting.start()
    first = one(pointers, places, storage, 0, 2)
    waiting.join(60)
    assert len([each for each in (first, *found) if each]) >= 1
    assert newest_summary(storage, "registry") is not None


def test_shard_without_inventory_says_so_in_the_end(
    places: Places, storage: DirectoryStorage, pointers: list[Pointer]
) -> None:
    with pytest.raises(UnavailableError, match="shard 0"):
        one(pointers, places, storage, 1)


def test_killed_shard_is_started_again(places: Places, storage: DirectoryStorage, pointers: list[Pointer]) -> None:
    def dying() -> Iterator[Pointer]:
        yield from pointers[:3]
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        one(dying(), places, storage, 0, 2)
    with pytest.raises(UnavailableError):
        one(pointers, places, FaultyStorage(storage, fail={"put": [3]}), 0, 2)
    one(pointers, places, storage, 0, 2)
    done = one(pointers, places, storage, 1, 2)
    assert done is not None
    assert done.artifacts == COUNT


def test_merge_that_died_between_report_and_summary_is_done_again(
    places: Places, storage: DirectoryStorage, pointers: list[Pointer]
) -> None:
    # The part, the report, and then the summary, which fails.
    one(pointers, places, storage, 0, 2)
    with pytest.raises(UnavailableError):
        one(pointers, places, FaultyStorage(storage, fail={"put": [3]}), 1, 2)
    assert newest_summary(storage, "registry") is None
    done = merge(storage, "registry", "run-1")
    assert done.artifacts == COUNT
    assert merge(storage, "registry", "run-1") == done
    assert one(pointers, places, storage, 1, 2) == done


def test_incomplete_run_is_not_merged(places: Places, storage: DirectoryStorage, pointers: list[Pointer]) -> None:
    one(pointers, places, storage, 0, 3)
    with pytest.raises(NotFoundError, match="shard 1, 2"):
        merge(storage, "registry", "run-1")
    with pytest.raises(NotFoundError, match="no run"):
        merge(storage, "registry", "run-2")
    with pytest.raises(UsageError, match="3 shards"):
        one(pointers, places, storage, 1, 4)
    with pytest.raises(UsageError, match="no run id"):
        merge(storage, "registry", "../other")


@pytest.mark.parametrize(
    "damage",
    [
        {"shards": ["x"]},
        {"shards": 0},
        {"shards": 10**9},
        {"artifacts": ["x"]},
        {"artifacts": -1},
        {"time": ["x"]},
        {"time": "20261399T000000Z"},
        {"padding": "x" * 64 * 1024},
    ],
    ids=lambda damage: next(iter(damage)),
)
def test_damaged_marker_is_corrupt(storage: DirectoryStorage, damage: dict[str, object]) -> None:
    run = {
        "inventory": "x",
        "artifacts": 11,
        "shards": 2,
        "time": NOW,
        "source": "x",
        "layout": False,
        "live_only": False,
    }
    key = "registry/artifact-runs/run-1/run.json"
    storage.put(key, [json.dumps(run).encode()])
    with pytest.raises(NotFoundError, match="not complete"):
        merge(storage, "registry", "run-1")
    storage.put(key, [json.dumps(run | damage).encode()])
    with pytest.raises(CorruptError):
        merge(storage, "registry", "run-1")


def test_run_is_compared_with_the_report_before_it(
    places: Places, storage: DirectoryStorage, pointers: list[Pointer], moto: S3Server
) -> None:
    verify(pointers, places, storage, summary(None))
    client = moto.client()
    client.delete_object(Bucket=pointers[0].uri.split("/")[2], Key="models/00/x")
    client.close()
    for index in range(2):
        done = verify_shard(lambda: pointers, places, storage, summary(time=LATER), Shard(index, 2), wait_seconds=0)
    assert done is not None
    assert done.compared_with == NOW
    assert done.newly_missing == 1


def test_layout_is_judged_by_all_shards_or_by_none(
    places: Places, storage: DirectoryStorage, pointers: list[Pointer]
) -> None:
    told = summary()
    told.layout = True
    for index, options in enumerate([Options(layout=True), Options()]):
        verify_shard(lambda: pointers, places, storage, told, Shard(index, 2), options, wait_seconds=0)
    found = [each["fingerprint"] for each in get_records(storage, report_key("registry", NOW))]
    assert {each["scope"] for each in found if each} == {"whole"}


@pytest.mark.parametrize(
    "damage",
    [{"verdict": "fine"}, {"artifact_id": "one"}, {"fingerprint": {"tag": "x"}}, {"archived": None}, {"uri": 1}],
)
def test_damaged_part_is_corrupt(
    places: Places, storage: DirectoryStorage, pointers: list[Pointer], damage: dict[str, object]
) -> None:
    for index in (0, 1):
        one(pointers, places, storage, index, 3)
    part = "registry/artifact-runs/run-1/part-00000-of-00003.json.zst"
    records = list(get_records(storage, part))
    put_records(storage, part, {}, [records[0] | damage, *records[1:]], again=True)
    with pytest.raises(CorruptError, match="damaged"):
        one(pointers, places, storage, 2, 3)
    assert newest_summary(storage, "registry") is None


def test_damaged_inventory_is_corrupt(places: Places, storage: DirectoryStorage, pointers: list[Pointer]) -> None:
    one(pointers, places, storage, 0, 2)
    [inventory] = [key for key in left(storage) if "inventory" in key]
    for damage in ({"uri": None}, {"another": "field"}):
        records = [each | damage for each in get_records(storage, inventory)]
        put_records(storage, inventory, {}, records, again=True)
        with pytest.raises(CorruptError):
            one(pointers, places, storage, 1, 2)


def test_report_of_another_run_is_not_taken_for_this_one(
    places: Places, storage: DirectoryStorage, pointers: list[Pointer]
) -> None:
    one(pointers, places, storage, 0, 2)
    other = verify(pointers[:1], places, storage, summary(None))
    with pytest.raises(RefusedError, match="another run"):
        one(pointers, places, storage, 1, 2)
    with pytest.raises(RefusedError, match="another run"):
        merge(storage, "registry", "run-1")
    assert newest_summary(storage, "registry") == other
    assert len(list(get_records(storage, report_key("registry", NOW)))) == 1


def test_run_on_live_artifacts_is_merged_aside_and_only_once(
    places: Places, storage: DirectoryStorage, pointers: list[Pointer]
) -> None:
    told = summary()
    told.live_only = True
    pointers[0] = replace(pointers[0], model_state="ARCHIVED")
    for index in range(2):
        done = verify_shard(lambda: pointers, places, storage, told, Shard(index, 2), wait_seconds=0)
    assert done is not None
    assert done.artifacts == COUNT - 1
    assert merge(storage, "registry", "run-1") == done
    assert newest_summary(storage, "registry") is None
    assert len(list(get_records(storage, report_key("registry", NOW, aside=True)))) == COUNT - 1


@pytest.mark.parametrize("text", ["", "1", "4/4", "-1/4", "a/b", "1/2/3", "0/0"])
def test_wrong_shard_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="I/N"):
        parse_shard(text)
