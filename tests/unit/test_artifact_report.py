"""Lines of a report: the longest that opskit writes, and those that somebody else wrote to fill the memory."""

import json
import tracemalloc
from pathlib import Path

import pytest

from opskit.artifacts.report import FOUND, LONGEST_RECORD, POINTERS, get_records, put_records, record_of
from opskit.artifacts.uri import Malformed, locate
from opskit.artifacts.verdict import Finding, Fingerprint
from opskit.backup.stages import compressed
from opskit.errors import CorruptError
from opskit.registry.inventory import Pointer, pointer
from opskit.storage.directory import DirectoryStorage

# What JSON needs six bytes for.
ESCAPED = "\x01"
HEADER = 64 * 1024
COLUMN = 16 * 1024 * 1024


def longest_pointer() -> Pointer:
    """A row of which every column is full."""
    text, name = ESCAPED * COLUMN, ESCAPED * 255
    return pointer(1, "kf.ModelArtifact", name, text[: HEADER - 1], text, text, text, 2, 1, name, text, name, text)


def test_longest_record_is_read_again(tmp_path: Path) -> None:
    storage = DirectoryStorage(tmp_path)
    fingerprint = Fingerprint("object", '"' * HEADER, 1, 1, '"' * HEADER, '"' * HEADER)
    told = tuple(ESCAPED * 1024 for _ in range(10))
    record = record_of(longest_pointer(), Finding("present", told[0], fingerprint, told, told))
    assert len(json.dumps(record, ensure_ascii=False)) < LONGEST_RECORD // 2
    put_records(storage, "report", {}, [record])
    assert list(get_records(storage, "report", POINTERS, FOUND)) == [record]


def test_property_that_is_too_long_to_mean_anything_is_cut_and_still_means_nothing() -> None:
    row = longest_pointer()
    assert len(row.storage_path) == 4096
    path = pointer(
        1, "kf.ModelArtifact", "1:x", None, "key", "x" * COLUMN, None, 2, 1, "v", None, "m", None
    ).storage_path
    assert locate("", "key", path) == Malformed("longer than 1024 bytes")


@pytest.mark.parametrize("objects", [1_000_000, 300_000])
def test_line_that_fills_the_memory_is_no_record(tmp_path: Path, objects: int) -> None:
    storage = DirectoryStorage(tmp_path)
    line = b'{"artifact_id":1,"x":[' + b"{}," * objects + b"{}]}"
    storage.put("report", compressed([b"{}\n", line, b"\n]}\n"], 3))
    del line
    tracemalloc.start()
    try:
        with pytest.raises(CorruptError):
            list(get_records(storage, "report", POINTERS, FOUND))
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()
