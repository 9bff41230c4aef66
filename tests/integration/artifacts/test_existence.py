"""The merge says what a naive check of each location says, with few requests."""

import secrets
from bisect import bisect_right
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from opskit.artifacts.asking import look
from opskit.artifacts.bucket import Bucket, Page, Stored
from opskit.artifacts.existence import Merge, UnorderedError, before
from opskit.artifacts.folder import Folder
from opskit.artifacts.listing import read_contents
from opskit.artifacts.uri import S3Location
from opskit.artifacts.verdict import Finding
from sandbox.s3 import S3Server
from tests.integration.artifacts.buckets import naive, open_bucket, place

# Every pair of these is a prefix, a sibling or a neighbour of another in some way.
SEGMENTS = (
    "models",
    "foo",
    "foobar",
    "foo-1",
    "foo.x",
    "foo+",
    "foo%2F",
    "f o",
    "模型",
    "é",
    "\U0001f680",
    "~",
    "?",
    "1",
)
KEYS = st.lists(st.sampled_from(SEGMENTS), min_size=1, max_size=4).map("/".join)
MARKERS = KEYS.map(lambda key: f"{key}/")
# A URI with "?" in its key is malformed; objects may have such keys all the same.
WANTED = (KEYS | MARKERS).filter(lambda key: "?" not in key)
SOME = settings(
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
    derandomize=True,
)


def fill(server: S3Server, bucket: str, objects: dict[str, int]) -> None:
    client = server.client()
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda each: client.put_object(Bucket=bucket, Key=each[0], Body=b"x" * each[1]), objects.items()))
    client.close()


def verdicts(
    bucket: Bucket, objects: dict[str, int], locations: list[S3Location], *, whole: bool
) -> dict[S3Location, str]:
    """What the merge proves, and what each other location is when it is asked for by itself."""
    merge = Merge(bucket, locations, whole=whole)
    merge.run()
    for location, proof in merge.proofs.items():
        if whole and isinstance(proof, Folder):
            assert proof.files == sorted(
                (key.removeprefix(location.folder), size)
                for key, size in objects.items()
                if key.startswith(location.folder) and not key.endswith("/")
            )
    found: dict[S3Location, str] = {}
    for location in locations:
        answer = merge.proofs.get(location) or look(bucket, location)
        found[location] = answer.verdict if isinstance(answer, Finding) else "present"
    return found


def small_pages(bucket: Bucket, keys: int) -> Bucket:
    """The same bucket with fewer keys a page, so that few objects have many pages."""
    ask = bucket.page

    def page(*, after: str = "", prefix: str = "", limit: int = 1000) -> Page:
        return ask(after=after, prefix=prefix, limit=min(limit, keys))

    bucket.page = page  # type: ignore[method-assign] # the store decides how long a page is, not the client
    return bucket


@pytest.fixture
def moto_bucket(moto: S3Server, bucket_name: str) -> str:
    return moto.make_bucket(bucket_name)


@given(
    objects=st.dictionaries(KEYS | MARKERS, st.sampled_from([0, 1, 1, 3]), max_size=25),
    wanted=st.lists(WANTED, min_size=1, max_size=12, unique=True),
    keys=st.sampled_from([1, 2, 5, 1000]),
    whole=st.booleans(),
)
@SOME
def test_merge_gives_what_a_naive_check_of_each_gives(
    moto: S3Server, objects: dict[str, int], wanted: list[str], keys: int, *, whole: bool
) -> None:
    name = moto.make_bucket(f"test-{secrets.token_hex(6)}")
    fill(moto, name, objects)
    locations = [place(name, path) for path in wanted]
    found = verdicts(small_pages(open_bucket(moto, name), keys), objects, locations, whole=whole)
    assert found == {location: naive(objects, location) for location in locations}


def on_a_file_system(keys: dict[str, int]) -> dict[str, int]:
    """The keys that rclone can hold in a folder: no file that is a folder as well."""
    return {key: size for key, size in keys.items() if not any(other.startswith(f"{key}/") for other in keys)}


@given(
    objects=st.dictionaries(KEYS, st.sampled_from([0, 1, 1, 3]), max_size=20).map(on_a_file_system),
    wanted=st.lists(WANTED, min_size=1, max_size=10, unique=True),
    whole=st.booleans(),
)
@SOME
def test_merge_gives_the_same_on_a_file_system(
    rclone: S3Server, objects: dict[str, int], wanted: list[str], *, whole: bool
) -> None:
    name = rclone.make_bucket(f"test-{secrets.token_hex(6)}")
    fill(rclone, name, objects)
    locations = [place(name, path) for path in wanted]
    assert verdicts(open_bucket(rclone, name), objects, locations, whole=whole) == {
        location: naive(objects, location) for location in locations
    }


@pytest.mark.parametrize("count", [1000, 1001])
def test_page_boundaries_lose_nothing(moto: S3Server, moto_bucket: str, count: int) -> None:
    objects = {f"models/{number:05}/x": 1 for number in range(count)}
    fill(moto, moto_bucket, objects)
    bucket = open_bucket(moto, moto_bucket)
    locations = [place(moto_bucket, f"models/{number:05}") for number in range(count)]
    merge = Merge(bucket, locations, whole=True)
    merge.run()
    assert merge.proofs.keys() == set(locations)
    assert all(isinstance(proof, Folder) and proof.files == [("x", 1)] for proof in merge.proofs.values())
    assert bucket.requests["LIST"] <= -(-count // 1000) + 1


@pytest.mark.parametrize("kind", ["moto", "rclone"])
def test_pages_are_read_as_botocore_reads_them(kind: str, request: pytest.FixtureRequest, bucket_name: str) -> None:
    server: S3Server = request.getfixturevalue(kind)
    server.make_bucket(bucket_name)
    fill(server, bucket_name, {"a/é 🚀": 1, "a/%41+&amp;<x>": 0, "b": 3})
    client = server.client()
    expected = client.list_objects_v2(Bucket=bucket_name)["Contents"]
    client.meta.events.register_first("before-parse.s3.ListObjectsV2", read_contents)
    found = client.list_objects_v2(Bucket=bucket_name)
    assert found["KeyCount"] == 3
    kept = ("Key", "Size", "ETag", "LastModified", "StorageClass")
    assert found["Contents"] == [{name: each[name] for name in kept if name in each} for each in expected]  # type: ignore[literal-required] # names of the fields
    client.close()


@given(st.text(min_size=1, max_size=6), st.text(max_size=6))
def test_what_comes_before_a_key_is_smaller_and_leaves_room_for_little(key: str, tail: str) -> None:
    start = before(key)
    assert start < key
    assert start.encode() < key.encode()
    # Nothing that is shorter than the key by more than its last character lies between.
    if len(start) == len(key) + 1:
        assert not start < key[:-1] + chr(ord(key[-1]) - 1) + tail < key or tail.startswith(chr(0x10FFFF))


class Listing:
    """Pages from memory, counted: a hundred thousand keys take no server half an hour."""

    def __init__(self, keys: list[str]) -> None:
        self.keys = sorted(keys)
        self.pages = 0

    def page(self, *, after: str = "", prefix: str = "", limit: int = 1000) -> Page:
        self.pages += 1
        start = bisect_right(self.keys, after)
        part = [key for key in self.keys[start:] if key.startswith(prefix)]
        return Page([Stored(key, 1, "etag", "2026-01-01T00:00:00+00:00") for key in part[:limit]], len(part) <= limit)


@pytest.mark.parametrize("whole", [False, True])
def test_dense_bucket_costs_one_list_a_thousand_keys(*, whole: bool) -> None:
    listing = Listing([f"models/{number:05}/model.bin" for number in range(10_000)])
    merge = Merge(listing, [place("models", f"models/{number:05}") for number in range(10_000)], whole=whole)  # type: ignore[arg-type] # a bucket, as far as a merge asks it
    merge.run()
    assert len(merge.proofs) == 10_000
    assert listing.pages <= 11


def test_ten_among_a_hundred_thousand_cost_no_more_than_two_requests_each() -> None:
    listing = Listing([f"models/{number:06}/model.bin" for number in range(100_000)])
    locations = [place("models", f"models/{number:06}") for number in range(5_000, 100_000, 10_000)]
    merge = Merge(listing, locations)  # type: ignore[arg-type] # a bucket, as far as a merge asks it
    merge.run()
    # Each location that the merge leaves is asked by one HEAD, and one LIST of its folder.
    left = len(locations) - len(merge.proofs)
    assert listing.pages + left <= 2 * len(locations)
    assert listing.pages <= len(locations)


@pytest.mark.parametrize("whole", [False, True])
@given(
    keys=st.sets(st.text("ab/~", min_size=1, max_size=6), max_size=60),
    wanted=st.sets(st.text("ab/~", min_size=1, max_size=4), min_size=1, max_size=20),
    limit=st.integers(1, 7),
)
def test_proofs_are_true_and_lists_no_more_than_the_formula_allows(
    *, whole: bool, keys: set[str], wanted: set[str], limit: int
) -> None:
    listing = Listing(list(keys))
    ask = listing.page
    listing.page = lambda **options: ask(**{**options, "limit": limit})  # type: ignore[method-assign] # a store with short pages
    merge = Merge(listing, [place("models", path) for path in wanted], whole=whole)  # type: ignore[arg-type] # a bucket, as far as a merge asks it
    merge.run()
    assert listing.pages <= len(keys) // limit + 1
    for location, proof in merge.proofs.items():
        if isinstance(proof, Stored):
            assert proof.key == location.key
        elif whole:
            below = sorted(key for key in keys if key.startswith(location.folder) and not key.endswith("/"))
            assert [f"{location.folder}{name}" for name, _ in proof.files] == below


def test_nothing_is_listed_but_what_all_locations_begin_with() -> None:
    listing = Listing([f"other/{number}" for number in range(3000)] + ["models/a/x", "models/b/x"])
    asked: list[str] = []
    ask = listing.page

    def page(*, after: str = "", prefix: str = "", limit: int = 1000) -> Page:
        asked.append(prefix)
        return ask(after=after, prefix=prefix, limit=limit)

    listing.page = page  # type: ignore[method-assign] # to see what is asked
    merge = Merge(listing, [place("models", "models/a"), place("models", "models/b")])  # type: ignore[arg-type] # a bucket, as far as a merge asks it
    merge.run()
    assert len(merge.proofs) == 2
    assert asked == ["models/"]


def test_store_that_lists_out_of_order_is_noticed() -> None:
    listing = Listing(["a/1", "b/1", "c/1"])
    listing.keys.reverse()
    merge = Merge(listing, [place("models", each) for each in "abc"])  # type: ignore[arg-type] # a bucket, as far as a merge asks it
    with pytest.raises(UnorderedError):
        merge.run()
    assert merge.proofs == {}


def test_absence_is_confirmed_by_a_head_and_a_list_of_its_own(moto: S3Server, moto_bucket: str) -> None:
    fill(moto, moto_bucket, {"models/a/x": 1})
    bucket = open_bucket(moto, moto_bucket)
    answer = look(bucket, place(moto_bucket, "models/b"))
    assert answer == Finding("missing")
    assert bucket.requests["HEAD"] == 1
    assert bucket.requests["LIST"] >= 2
