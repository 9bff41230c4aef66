"""Reading a manifest: what it is taken for, and the memory that it takes whoever wrote it."""

import copy
import json
import subprocess
import sys
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from opskit.backup.catalog import list_backups
from opskit.backup.layout import MANIFEST_MAXIMUM_BYTES
from opskit.backup.manifest import Manifest, dump_manifest, load_manifest
from opskit.errors import OpskitError
from opskit.storage.opening import open_storage
from tests.unit.test_hostile_content import HONEST, ID

Steps = tuple[str | int, ...]

FULL = copy.deepcopy(HONEST)
FULL |= {"encryption": None, "restore_order": ["rows"], "warnings": ["w"]}
FULL["artifacts"] = {"time": "2026-11-23T02:15:00Z", "artifacts": 3, "present": 2, "gone": 1}
FULL["database"] |= {"mlmd_versions": [10], "migration_version": 1, "dirty": False, "problems": ["p"]}
FULL["database"]["dangling"] = {"r": 1}
FULL["snapshot"] |= {"gtid": "g", "binlog_file": "b", "binlog_position": 4, "position_approximate": True}
FULL["tables"][0] |= {"non_transactional": False, "reparsed": ["c"], "data_bytes": 1, "sql_bytes": 1, "checksum": 1}
FULL["programs"][0] |= {"event_state": "e", "names_database": True}


def places(value: object, steps: Steps = ()) -> Iterator[Steps]:
    """Every place in a document where another value could stand."""
    yield steps
    for key, each in value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ():
        yield from places(each, (*steps, key))


def with_text(steps: Steps, text: str) -> bytes:
    """The full document, with this JSON at one place."""
    whole = {"": copy.deepcopy(FULL)}
    target: Any = whole
    *way, last = ("", *steps)
    for step in way:
        target = target[step]
    target[last] = "\0"
    return json.dumps(whole[""], separators=(",", ":")).replace(json.dumps("\0"), text).encode(errors="surrogatepass")


def read(reader: Callable[[bytes], Manifest], content: bytes) -> bytes | None:
    """What is written of what was read; None if it was refused."""
    try:
        return dump_manifest(reader(content))
    except (OpskitError, ValidationError):
        return None


VALUES = [
    *("null", "true", "false", "0", "-0", "1", "-1", "2", "1.0", "-0.0", "1.5", "1e0", "1e400", "NaN", "-Infinity"),
    *("9223372036854775807", "9223372036854775808", "18446744073709551617", "1" + "0" * 4299, "1" + "0" * 4300),
    *('""', '"1"', '"1.0"', '" 1"', '"+1"', '"1_0"', '"true"', '"off"', '"view"', '"a"', '"r"', '"\\u0000"', '"é"'),
    *('"\\ud800"', '"\\ud83d\\ude00"', '"\ud800"', '"\t"', '"2026-11-23"', '"2026-11-23 02:15Z"', '"1763864100"'),
    *('"2026-11-23T02:15:00+01:00"', "1763864100", "1763864100.5", "253402300800", f'"{"0" * 64}"', f'"{"x" * 65}"'),
    *(
        "[]",
        "{}",
        "[null]",
        "[0]",
        '["a"]',
        '["`a`","`b`"]',
        '["a","b"]',
        "[[]]",
        "[{}]",
        '{"0":1}',
        '{"":1}',
        '{"r":""}',
    ),
    *('{"r":1,"r":2}', '{"r":2.0,"r":""}', "[1,]", "01", "'a'", "a", "", "[" * 190 + "]" * 190, "[" * 300 + "]" * 300),
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: ascii(value)[:30])
def test_every_value_at_every_place_is_taken_as_pydantic_takes_json(value: str) -> None:
    for steps in (*places(FULL), ("unknown",)):
        content = with_text(steps, value)
        expected = read(Manifest.model_validate_json, content)
        assert read(lambda each: load_manifest(each, ID), content) == expected, steps


@pytest.mark.parametrize(
    "content",
    [
        json.dumps(FULL).encode("utf-8-sig"),
        json.dumps(FULL).encode("utf-16"),
        json.dumps(FULL).encode() + b"\0",
        b"\f" + json.dumps(FULL).encode(),
        with_text(("unknown",), '"\0"').replace(b"\0", b"\xff"),
    ],
    ids=["byte order mark", "UTF-16", "bytes behind it", "another space", "not UTF-8"],
)
def test_what_pydantic_takes_for_no_json_is_refused(content: bytes) -> None:
    assert read(lambda each: load_manifest(each, ID), json.dumps(FULL).encode()) is not None
    assert read(Manifest.model_validate_json, content) is None
    assert read(lambda each: load_manifest(each, ID), content) is None


WRONG = '[{"0":[]},{"1":[]},{"2":[]}]'


@pytest.mark.parametrize("steps", [each for each in places(FULL) if each], ids=lambda steps: ".".join(map(str, steps)))
def test_what_is_listed_wrong_is_one_error_however_often(steps: Steps) -> None:
    """An error takes a kilobyte, and three bytes can be one."""
    for few, text in (('[{"0":[]}]', WRONG), ('{"0":[]}', '{"0":[],"1":[],"2":[]}')):
        counts = []
        for each in (few, text):
            with pytest.raises(ValidationError) as caught:
                Manifest.model_validate_json(with_text(steps, each))
            counts.append(caught.value.error_count())
        assert counts[0] == counts[1]


def many(steps: Steps, piece: str, brackets: str = "[]") -> bytes:
    """The full document as large as one may be, with this piece at one place as often as it fits."""
    room = MANIFEST_MAXIMUM_BYTES - len(with_text(steps, brackets))
    pieces = (piece.format(0x10000 + each) for each in range(room // (len(piece.format(0x10000)) + 1)))
    return with_text(steps, ",".join(pieces).join(brackets))


@pytest.mark.parametrize(
    ("steps", "piece", "brackets"),
    [
        (("files",), "{{}}", "[]"),
        (("database", "dangling"), '"{:x}":[]', "{}"),
        (("programs",), '{{"kind":"view","name":"{:x}","definer":""}}', "[]"),
        (("unknown",), "[" * 190 + "]" * 190, "[]"),
        (("unknown",), '{{"":' * 190 + "0" + "}}" * 190, "[]"),
        (("format",), "[" * 190 + "]" * 190, "[]"),
    ],
    ids=["wrong files", "wrong counts", "right programs", "lists in lists", "objects in objects", "lists for a format"],
)
def test_hostile_manifest_takes_little_memory(tmp_path: Path, steps: Steps, piece: str, brackets: str) -> None:
    """Less than what opskit takes anyway leaves of the 256 MiB that the smallest pods may have."""
    contents = (json.dumps(FULL).encode(), many(steps, piece, brackets))
    files = [tmp_path / f"{number}.json" for number in range(len(contents))]
    for file, content in zip(files, contents, strict=True):
        file.write_bytes(content)
    command = [sys.executable, "-m", "tests.peaks", ID, *map(str, files)]
    honest, hostile = map(int, subprocess.run(command, check=True, capture_output=True).stdout.split())
    assert len(contents[1]) > MANIFEST_MAXIMUM_BYTES - 1000
    assert hostile - honest < 100 * 2**20


def test_listed_backup_keeps_nothing_of_a_manifest_that_it_cannot_read(tmp_path: Path) -> None:
    storage = open_storage(str(tmp_path))
    for number in range(4):
        storage.put(
            f"r/20261123T021500Z-00000{number}/manifest.json", [with_text(("format",), "[" + "0," * 2**19 + "0]")]
        )
    tracemalloc.start()
    try:
        backups = list_backups(storage, "r")
        assert tracemalloc.get_traced_memory()[0] < 2**20
    finally:
        tracemalloc.stop()
    assert [each.state for each in backups] == ["unreadable"] * 4
    assert "format [0, 0, 0" in backups[0].problems[0]
