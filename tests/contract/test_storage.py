"""What every storage promises, asked of each of them."""

import hashlib
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from opskit.errors import NotFoundError, ObjectExistsError
from opskit.storage import Storage
from tests.contract.conftest import KINDS, Place, make_place

PART = 16 * 1024 * 1024
MEBIBYTE = 1024 * 1024

ODD_KEYS = [
    "a-b",
    "a.b",
    "a/b",
    "a/b+c/d e",
    "a/b.c",
    "a0",
    "100%",
    "%41",
    "%2F",
    "x+y",
    "x y",
    " ",
    "k=v&k2",
    "q'\"<>*?#@:,;~!$()[]{}|^`",
    "...",
    ".hidden",
    "é/ü/日本",
    "e\u0301",
    "\u2028",
    "\uffee",
    "😀",
]
HOSTILE_KEYS = [
    "",
    "/",
    "/a",
    "a/",
    "a//b",
    ".",
    "..",
    "../a",
    "a/../b",
    "a/./b",
    "a/..",
    "a\\b",
    "a\0b",
    "a\nb",
    "a\x7fb",
    "a\x85b",
    "a\ud800b",
    ".opskit-uploads/a",
    "lost+found/a",
    "a" * 256,
    "ä" * 128,
    "/".join(["a" * 100] * 11),
]


def content(storage: Storage, key: str) -> bytes:
    return b"".join(storage.get(key))


def keys(storage: Storage, prefix: str = "") -> list[str]:
    return [each.key for each in storage.list(prefix)]


@pytest.mark.parametrize(
    "pieces",
    [
        [],
        [b""],
        [b"1"],
        [b"one", b"", b"two", b""],
        [b"x" * PART],
        [b"x" * PART, b"y"],
        [b"x" * (PART - 1), b"yz"],
        [b"x" * PART, b"y" * PART],
        [b"x" * (2 * PART + 1)],
    ],
    ids=["nothing", "empty piece", "1 byte", "pieces", "1 part", "1 part + 1", "across", "2 parts", "1 long piece"],
)
def test_what_was_put_comes_back(storage: Storage, pieces: list[bytes]) -> None:
    whole = b"".join(pieces)
    assert storage.put("folder/key", iter(pieces)) == len(whole)
    assert content(storage, "folder/key") == whole
    assert storage.stat("folder/key").size == len(whole)


def test_40_megabytes_come_back_in_order(storage: Storage) -> None:
    expected = hashlib.sha256()

    def observed() -> Iterator[bytes]:
        for number in range(610):
            piece = hashlib.sha256(str(number).encode()).digest() * 2049
            expected.update(piece)
            yield piece

    size = storage.put("large", observed())
    assert size == 610 * 32 * 2049
    found = hashlib.sha256()
    for piece in storage.get("large"):
        found.update(piece)
    assert found.digest() == expected.digest()
    assert [each.size for each in storage.list()] == [size]


def test_later_put_replaces(storage: Storage) -> None:
    storage.put("key", [b"longer than the second"])
    storage.put("key", [b"second"])
    assert content(storage, "key") == b"second"
    assert keys(storage) == ["key"]


@pytest.mark.parametrize("size", [5, PART + 1])
def test_if_absent_stores_what_is_new_and_keeps_what_is_there(place: Place, size: int) -> None:
    place.storage.put("a/key", [b"x" * size], if_absent=True)
    with pytest.raises(ObjectExistsError, match="a/key"):
        place.storage.put("a/key", [b"y" * size], if_absent=True)
    assert content(place.storage, "a/key") == b"x" * size
    assert place.leftovers() == []


class BodyError(Exception):
    """What a body raises is not the storage's to translate."""


@pytest.mark.parametrize("error", [BodyError, OSError, KeyboardInterrupt, GeneratorExit])
@pytest.mark.parametrize("size", [1, 2 * PART + 1])
def test_body_that_raises_leaves_nothing(place: Place, size: int, error: type[BaseException]) -> None:
    def body() -> Iterator[bytes]:
        yield b"x" * size
        raise error

    with pytest.raises(error):
        place.storage.put("folder/key", body())
    assert keys(place.storage) == []
    with pytest.raises(NotFoundError):
        place.storage.stat("folder/key")
    assert place.leftovers() == []


@pytest.mark.parametrize("size", [1, 2 * PART + 1])
def test_body_that_raises_leaves_what_was_there(place: Place, size: int) -> None:
    def body() -> Iterator[bytes]:
        yield b"x" * size
        raise BodyError

    place.storage.put("key", [b"first"])
    with pytest.raises(BodyError):
        place.storage.put("key", body())
    assert content(place.storage, "key") == b"first"
    assert place.leftovers() == []


def test_missing_key_raises(storage: Storage) -> None:
    storage.put("folder/key", [b"x"])
    for missing in ("other", "folder", "folder/other", "folder/key/below", "folder/ke", "folder2/key"):
        with pytest.raises(NotFoundError, match=missing):
            storage.stat(missing)
        with pytest.raises(NotFoundError, match=missing):
            content(storage, missing)


def test_nothing_is_asked_before_the_first_piece(storage: Storage) -> None:
    storage.put("key", [b"x"])
    pieces = storage.get("missing")
    with pytest.raises(NotFoundError):
        next(pieces)


def test_stream_can_be_left_early(storage: Storage) -> None:
    storage.put("key", [b"x" * (4 * MEBIBYTE)])
    pieces = storage.get("key")
    assert next(pieces)
    del pieces
    assert len(content(storage, "key")) == 4 * MEBIBYTE


def test_modified_is_in_utc_and_of_now(storage: Storage) -> None:
    before = datetime.now(UTC).replace(microsecond=0) - timedelta(seconds=1)
    storage.put("key", [b"x"])
    after = datetime.now(UTC) + timedelta(seconds=1)
    for stored in (storage.stat("key"), *storage.list()):
        assert stored.modified.utcoffset() == timedelta(0)
        assert before <= stored.modified <= after


def test_odd_keys_are_keys_like_any_other(storage: Storage) -> None:
    for key in ODD_KEYS:
        storage.put(key, [key.encode()])
    assert keys(storage) == sorted(ODD_KEYS, key=str.encode)
    for key in ODD_KEYS:
        assert content(storage, key) == key.encode()
        assert storage.stat(key).key == key
    storage.delete(ODD_KEYS)
    assert keys(storage) == []


@pytest.mark.parametrize("key", HOSTILE_KEYS, ids=ascii)
def test_hostile_key_is_refused_before_the_store_is_asked(storage: Storage, key: str) -> None:
    calls: list[Callable[[], object]] = [
        lambda: storage.put(key, unread()),
        lambda: content(storage, key),
        lambda: storage.stat(key),
        lambda: storage.delete([key]),
    ]
    for call in calls:
        with pytest.raises(ValueError, match="storage key"):
            call()


def unread() -> Iterator[bytes]:
    pytest.fail("the body was read")
    yield b""


@pytest.mark.parametrize("prefix", ["/", "../", "a/../", "a//", "a/./b", "a\0", "\\", "lost+found/"])
def test_hostile_prefix_is_refused(storage: Storage, prefix: str) -> None:
    with pytest.raises(ValueError, match="storage key"):
        keys(storage, prefix)


@pytest.mark.parametrize(
    ("prefix", "expected"),
    [
        ("", ["a", "ab/c", "ab/cd/e", "abc", "b/a"]),
        ("a", ["a", "ab/c", "ab/cd/e", "abc"]),
        ("ab", ["ab/c", "ab/cd/e", "abc"]),
        ("ab/", ["ab/c", "ab/cd/e"]),
        ("ab/c", ["ab/c", "ab/cd/e"]),
        ("ab/cd/", ["ab/cd/e"]),
        ("ab/cd/e", ["ab/cd/e"]),
        ("a/", []),
        ("c", []),
        ("ab/cd/e/f", []),
    ],
)
def test_prefix_is_any_beginning_of_a_key(storage: Storage, prefix: str, expected: list[str]) -> None:
    for key in ("b/a", "abc", "ab/cd/e", "ab/c", "a"):
        storage.put(key, [b"x"])
    assert keys(storage, prefix) == expected


def test_deleting_what_is_gone_is_quiet(storage: Storage) -> None:
    storage.put("a/b/key", [b"x"])
    storage.put("a/other", [b"x"])
    storage.delete(["a/b/key", "a/b/key", "missing", "a/missing", "c/d/missing", "a/b"])
    storage.delete(["a/b/key"])
    storage.delete([])
    assert keys(storage) == ["a/other"]


def test_deleting_the_last_of_a_folder_does_not_hinder_the_next_put(storage: Storage) -> None:
    for _ in range(5):
        storage.put("a/b/c/key", [b"x"])
        storage.delete(["a/b/c/key"])
    assert keys(storage) == []


def test_threads_may_put_and_delete_in_one_folder(storage: Storage) -> None:
    def work(number: int) -> None:
        for turn in range(8):
            storage.put(f"shared/{number}/{turn}", [b"x"])
            storage.delete([f"shared/{number}/{turn}"])
        storage.put(f"shared/{number}/last", [b"x"])

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert keys(storage) == [f"shared/{number}/last" for number in range(8)]


def test_erasing_takes_what_is_wanted_below_the_prefix_and_nothing_else(storage: Storage) -> None:
    for key in ("a/b/c", "a/b/d/e", "a/bb", "a/b.c", "b"):
        storage.put(key, [b"x"])
    assert list(storage.erase("a/b/", lambda key: key.endswith("e"))) == []
    assert keys(storage) == ["a/b.c", "a/b/c", "a/bb", "b"]
    assert list(storage.erase("a/b/", lambda _: True)) == []
    assert keys(storage) == ["a/b.c", "a/bb", "b"]
    assert list(storage.erase("missing", lambda _: True)) == []


@pytest.mark.parametrize("prefix", ["/", "a//", "../"])
def test_hostile_prefix_is_not_tidied_up(storage: Storage, prefix: str) -> None:
    storage.put("a/key", [b"x"])
    with pytest.raises(ValueError, match="storage key"):
        storage.erase(prefix, lambda _: True)
    with pytest.raises(ValueError, match="storage key"):
        list(storage.unfinished(prefix))
    assert keys(storage) == ["a/key"]


def test_nothing_is_unfinished_where_all_uploads_ended(storage: Storage) -> None:
    storage.put("a/key", [b"x" * (PART + 1)])
    assert list(storage.unfinished("a/")) == []


def test_store_tells_the_time_by_which_it_dates_objects(storage: Storage) -> None:
    storage.put("first", [b"x"])
    now = storage.now()
    assert now.utcoffset() == timedelta(0)
    storage.put("second", [b"x"])
    # To the second, as S3 tells times.
    assert storage.stat("first").modified.replace(microsecond=0) <= now
    assert storage.stat("second").modified >= now.replace(microsecond=0)
    assert keys(storage) == ["first", "second"]


CROWD = sorted(f"{folder}{number}" for folder in ("a/", "a.", "a0/b/") for number in range(701))


@pytest.fixture(scope="module", params=KINDS)
def crowded(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Storage:
    storage = make_place(request.param, request, tmp_path_factory.mktemp("crowded")).storage
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda key: storage.put(key, [key.encode()]), CROWD))
    return storage


def test_listing_of_more_than_two_pages_is_complete_and_in_order(crowded: Storage) -> None:
    listed = list(crowded.list())
    assert [each.key for each in listed] == CROWD
    assert [each.size for each in listed] == [len(key) for key in CROWD]
    assert keys(crowded, "a/") == [key for key in CROWD if key.startswith("a/")]


def test_more_than_a_thousand_are_deleted_while_they_are_listed(crowded: Storage) -> None:
    def doomed() -> Iterable[str]:
        return (each.key for each in crowded.list("a") if not each.key.startswith("a0/"))

    assert len(list(doomed())) > 1000
    crowded.delete(doomed())
    assert keys(crowded) == [key for key in CROWD if key.startswith("a0/")]


def test_url_names_the_root(place: Place, tmp_path: Path) -> None:
    assert place.storage.url.startswith(("s3://test-", tmp_path.as_uri()))
