"""Any key and any body survive; nothing that is a key leads out of the root."""

import tempfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opskit.storage.directory import DirectoryStorage
from opskit.storage.keys import check_key, check_prefix, is_key

KEYS = st.lists(st.text(max_size=20), min_size=1, max_size=4).map("/".join).filter(is_key)
BODIES = st.lists(st.binary(max_size=200), max_size=4)


@st.composite
def contents(draw: st.DrawFn) -> dict[str, list[bytes]]:
    """Objects none of which is in the way of another."""
    found: dict[str, list[bytes]] = {}
    for key, body in draw(st.dictionaries(KEYS, BODIES, max_size=8)).items():
        if not any(key.startswith(f"{other}/") or other.startswith(f"{key}/") for other in found):
            found[key] = body
    return found


@given(objects=contents())
def test_any_keys_and_bodies_come_back_in_order(objects: dict[str, list[bytes]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        storage = DirectoryStorage(Path(folder))
        for key, body in objects.items():
            storage.put(key, body, if_absent=True)
        listed = list(storage.list())
        assert [each.key for each in listed] == sorted(objects, key=str.encode)
        for each in listed:
            assert b"".join(storage.get(each.key)) == b"".join(objects[each.key])
            assert each == storage.stat(each.key)
        storage.delete(objects)
        assert [each.name for each in Path(folder).iterdir()] in ([], [".opskit-uploads"])


@given(name=st.text())
def test_no_key_leads_out_of_the_root(name: str) -> None:
    if is_key(name):
        path = PurePosixPath("/root") / name
        assert path.parts[:2] == ("/", "root")
        assert str(path) == f"/root/{name}"
        assert not {"..", "."} & set(path.parts)


def beginnings(key: str) -> Iterator[str]:
    return (key[:length] for length in range(len(key) + 1))


@given(key=KEYS)
def test_every_beginning_of_a_key_is_a_prefix(key: str) -> None:
    assert check_key(key) == key
    assert [check_prefix(each) for each in beginnings(key)] == list(beginnings(key))


@pytest.mark.parametrize("key", ["a" * 255, "ä" * 127, "/".join(["a" * 127] * 8)], ids=len)
def test_longest_keys_are_keys(key: str) -> None:
    assert check_key(key) == key
