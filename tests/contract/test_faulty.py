"""The faults that other suites ask for are the faults they get."""

from pathlib import Path

import pytest

from opskit.errors import DeniedError, UnavailableError
from opskit.storage import Storage
from opskit.storage.directory import DirectoryStorage
from tests.faulty import FaultyStorage


@pytest.fixture
def inner(tmp_path: Path) -> Storage:
    storage = DirectoryStorage(tmp_path)
    storage.put("key", [b"x" * 10])
    return storage


def test_nth_call_of_a_verb_fails_and_does_nothing(inner: Storage) -> None:
    storage: Storage = FaultyStorage(inner, fail={"put": [2]}, error=DeniedError("no"))
    storage.put("first", [b"1"])
    with pytest.raises(DeniedError):
        storage.put("second", [b"2"])
    storage.put("third", [b"3"])
    assert [each.key for each in inner.list()] == ["first", "key", "third"]


def test_each_verb_fails_when_told_to(inner: Storage) -> None:
    storage = FaultyStorage(inner, fail={verb: range(1, 3) for verb in ("put", "get", "stat", "list", "delete")})
    for _ in range(2):
        for call in (
            lambda: storage.put("key", [b"y"]),
            lambda: list(storage.get("key")),
            lambda: storage.stat("key"),
            lambda: list(storage.list()),
            lambda: storage.delete(["key"]),
        ):
            with pytest.raises(UnavailableError):
                call()
    assert b"".join(storage.get("key")) == b"x" * 10
    assert storage.calls == {"put": 2, "get": 3, "stat": 2, "list": 2, "delete": 2}


def test_lost_answer_leaves_what_was_done(inner: Storage) -> None:
    storage = FaultyStorage(inner, lose_answer={"put": [1], "delete": [1]})
    with pytest.raises(UnavailableError):
        storage.put("other", [b"y"])
    assert b"".join(inner.get("other")) == b"y"
    with pytest.raises(UnavailableError):
        storage.delete(["other"])
    assert [each.key for each in inner.list()] == ["key"]


@pytest.mark.parametrize("cut_after", [0, 1, 9])
def test_stream_breaks_off(inner: Storage, cut_after: int) -> None:
    pieces = FaultyStorage(inner, cut_after=cut_after).get("key")
    assert next(pieces) == b"x" * cut_after
    with pytest.raises(UnavailableError):
        next(pieces)


def test_stream_that_is_shorter_than_the_cut_is_whole(inner: Storage) -> None:
    assert b"".join(FaultyStorage(inner, cut_after=10).get("key")) == b"x" * 10
