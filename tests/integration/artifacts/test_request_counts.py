"""How many requests really go to a store: no more than the merge promises, counted where they arrive."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pytest

from benchmarks.background import listening
from opskit.artifacts.bucket import Bucket
from opskit.artifacts.existence import Merge, before
from opskit.artifacts.search import Options, Places, find_all
from opskit.artifacts.stores import Store, Stores
from sandbox.s3 import S3Server
from tests.integration.artifacts.buckets import place, store_of
from tests.integration.artifacts.registered import registered
from tests.wire import Answer, Request, Upstream, Wire, recorded

PAGE = 10
# Of what a search hands to one walk (search.py).
LOCATIONS_A_WALK = 2_500


@pytest.fixture
def short_pages(moto: S3Server) -> Iterator[Wire]:
    """A store that lists ten keys a page, however many are asked for."""

    def answering(request: Request, upstream: Upstream) -> Answer:
        return upstream(replace(request, target=request.target.replace("max-keys=1000", f"max-keys={PAGE}")))

    with recorded(moto.service.port) as wire:
        wire.answering = answering
        yield wire


@pytest.fixture
def bucket(moto: S3Server, bucket_name: str) -> str:
    """A hundred folders with one object each."""
    moto.make_bucket(bucket_name)
    client = moto.client()
    for number in range(100):
        client.put_object(Bucket=bucket_name, Key=folder(number) + "/x", Body=b"x")
    client.close()
    return bucket_name


def folder(number: int) -> str:
    return f"models/{number:03}"


def searched(store: Store, bucket: str, paths: Sequence[str]) -> list[str]:
    pointers = [registered(number, f"s3://{bucket}/{path}") for number, path in enumerate(paths)]
    return [finding.verdict for _, finding in find_all(pointers, Places(Stores([store])), Options(workers=2))]


def lists(wire: Wire) -> list[Request]:
    return wire.sent("GET", "list-type")


@pytest.mark.parametrize("step", [1, 2, 5, 13, 50])
def test_present_artifacts_cost_no_more_than_the_formula_allows(
    moto: S3Server, short_pages: Wire, bucket: str, step: int
) -> None:
    numbers = range(0, 100, step)
    store = store_of(moto, endpoint=short_pages.endpoint)
    assert searched(store, bucket, [folder(number) for number in numbers]) == ["present"] * len(numbers)
    pages_spanned = -(-(numbers[-1] - numbers[0] + 1) // PAGE)
    assert len(lists(short_pages)) <= min(2 * len(numbers), pages_spanned + 1)
    assert len(short_pages.requests) <= 2 * len(numbers)
    if step == 1:
        assert short_pages.sent("HEAD") == []


def test_listing_leaps_over_what_nobody_wants(moto: S3Server, short_pages: Wire, bucket: str) -> None:
    paths = [folder(number) for number in (*range(10, 15), *range(80, 85))]
    assert searched(store_of(moto, endpoint=short_pages.endpoint), bucket, paths) == ["present"] * 10
    # Of the pages between, seven are never asked for.
    assert [each.query["start-after"] for each in lists(short_pages)] == [[before(paths[0])], [before(paths[5])]]
    assert len(short_pages.requests) == 2


def test_absent_artifacts_cost_their_confirmation_on_top(moto: S3Server, short_pages: Wire, bucket: str) -> None:
    paths = [f"models/{number:03}-gone" for number in range(0, 100, 25)]
    assert searched(store_of(moto, endpoint=short_pages.endpoint), bucket, paths) == ["missing"] * 4
    walked = [each for each in lists(short_pages) if "start-after" in each.query]
    assert len(walked) <= min(2 * 4, 10 + 1)
    assert len(short_pages.sent("HEAD")) == 4
    for path in paths:
        [confirmed] = [each for each in lists(short_pages) if each.query["prefix"] == [f"{path}/"]]
        assert confirmed.query["max-keys"] == ["2"]


@pytest.fixture
def large(request: pytest.FixtureRequest) -> Iterator[Wire]:
    """A server of many keys, two to a folder, that lists a thousand a page."""
    with listening("benchmarks.listing_server", request.param, 0) as port, recorded(port) as wire:
        yield wire


def at(wire: Wire) -> Store:
    return Store(endpoint=wire.endpoint, access_key=lambda: ("KEY", "secret"), region="us-east-1")


@pytest.mark.parametrize("large", [20_000], indirect=True)
def test_ten_thousand_in_a_dense_bucket_cost_one_list_a_thousand_keys(large: Wire) -> None:
    paths = [f"models/model-{number:07}" for number in range(10_000)]
    pages = 20
    assert searched(at(large), "models", paths) == ["present"] * 10_000
    # One more for each walk, each through a range of keys of its own.
    walks = 10_000 // LOCATIONS_A_WALK
    assert len(lists(large)) == len(large.requests) <= min(2 * 10_000, pages + walks)

    large.requests.clear()
    bucket = Stores([at(large)]).find(place("models", ""))
    assert isinstance(bucket, Bucket)
    merge = Merge(bucket, [place("models", path) for path in paths])
    merge.run()
    assert len(merge.proofs) == 10_000
    assert len(large.requests) <= min(2 * 10_000, pages + 1)


@pytest.mark.parametrize("large", [100_000], indirect=True)
def test_ten_among_a_hundred_thousand_keys_cost_two_requests_each(large: Wire) -> None:
    paths = [f"models/model-{number:07}" for number in range(2_500, 50_000, 5_000)]
    assert searched(at(large), "models", paths) == ["present"] * 10
    assert len(lists(large)) <= min(2 * 10, 100 + 1)
    assert len(large.requests) <= 2 * 10
