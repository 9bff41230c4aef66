"""Manifests, chunks and compressed files as somebody might write them who can write the bucket."""

import copy
import json
import tracemalloc
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from opskit.backup.layout import is_backup_id
from opskit.backup.manifest import Manifest, load_manifest
from opskit.backup.stages import compressed, decompressed, gathered
from opskit.errors import ConfigurationError, CorruptError, OpskitError
from opskit.mysql.session_file import FILE_HEADER
from opskit.restore.grammar import create_table, programs, statements

ID = "20261123T021500Z-3f9a1c"
HONEST: dict[str, Any] = {
    "format": 1,
    "id": ID,
    "registry": "r",
    "opskit_version": "1",
    "finished": "2026-11-23T02:15:00Z",
    "database": {
        "name": "d",
        "product": "MySQL",
        "server_version": "9.7.4",
        "charset": "utf8mb4",
        "collation": "utf8mb4_0900_ai_ci",
        "flavour": "unknown",
    },
    "snapshot": {"time": "2026-11-23T02:15:00Z", "consistency": "tables", "consistency_wanted": "tables"},
    "digest_algorithm": "xxh64-sum",
    "restore_order": [],
    "largest_statement": 1000,
    "tables": [
        {
            "name": "t",
            "engine": "InnoDB",
            "schema_file": "d.t-schema.sql.zst",
            "rows": 2,
            "digest": "0" * 16,
            "select": ["`a`", "`b`+0"],
            "columns": ["a", "b"],
            "chunks": [{"name": "d.t.00001.sql.zst", "rows": 2, "first": 1, "before": 9}],
            "range_column": "a",
        }
    ],
    "programs": [{"kind": "trigger", "name": "g", "definer": "`d`@`%`", "table": "t"}],
    "files": [
        {"name": name, "bytes": 1, "sha256": "0" * 64}
        for name in (
            "d-schema-create.sql.zst",
            "d.t-schema.sql.zst",
            "d.t.00001.sql.zst",
            "d-schema-triggers.sql.zst",
        )
    ],
}


def loaded(document: object) -> Manifest:
    return load_manifest(json.dumps(document).encode(), ID)


def test_honest_manifest_is_taken() -> None:
    assert loaded(HONEST).tables[0].chunks[0].before == 9


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "a key outside the folder": lambda it: it["files"][2].update(name="../other/d.t.00001.sql.zst"),
    "a chunk outside the folder": lambda it: it["tables"][0]["chunks"][0].update(name="../d.t.00001.sql.zst"),
    "a chunk of another table": lambda it: it["tables"][0]["chunks"][0].update(name="d.u.00001.sql.zst"),
    "a table that is not in the files": lambda it: it["tables"].append({**it["tables"][0], "name": "u"}),
    "a file that is of no table": lambda it: it["files"].append({**it["files"][0], "name": "d.u-schema.sql.zst"}),
    "a file that is missing": lambda it: it["files"].pop(),
    "a file twice": lambda it: it["files"].append(it["files"][2]),
    "a table twice": lambda it: it["tables"].append(it["tables"][0]),
    "a program twice": lambda it: it["programs"].append(it["programs"][0]),
    "a program of another kind": lambda it: it["programs"][0].update(kind="user"),
    "an id that is another's": lambda it: it.update(id="20261123T021500Z-000000"),
    "an id that is a path": lambda it: it.update(id="../20261123T021500Z-3f9a1c"),
    "a query among the columns": lambda it: it["tables"][0].update(select=["`a`", "(SELECT 1)"]),
    "another column's expression": lambda it: it["tables"][0].update(select=["`a`", "`a`"]),
    "a column twice": lambda it: it["tables"][0].update(columns=["a", "a"], select=["`a`", "`a`"]),
    "a range column that is none": lambda it: it["tables"][0].update(range_column="a` OR 1 -- "),
    "a range that is SQL": lambda it: it["tables"][0]["chunks"][0].update(first="1 OR 1=1"),
    "a range without end": lambda it: it["tables"][0]["chunks"][0].update(before=10**400),
    "fewer rows than its chunks": lambda it: it["tables"][0].update(rows=1),
    "negative rows": lambda it: it["tables"][0].update(rows=-2),
    "more bytes than there are": lambda it: it["files"][0].update(bytes=10**400),
    "a statement longer than any server takes": lambda it: it.update(largest_statement=2**30 + 1),
    "a character set that is SQL": lambda it: it["database"].update(charset="utf8mb4 ENCRYPTION='N'"),
    "a collation that is SQL": lambda it: it["database"].update(collation="x; DROP DATABASE d"),
    "a moment beyond the calendar": lambda it: it.update(finished="9999-12-31T23:59:59-12:00"),
    "a moment without a zone": lambda it: it["snapshot"].update(time="2026-11-23T02:15:00"),
    "a digest that is none": lambda it: it["tables"][0].update(digest="x" * 16),
    "no tables": lambda it: it.pop("tables"),
    "a list for an object": lambda it: it.update(database=[]),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_manifest_that_opskit_does_not_write_is_refused(change: Callable[[dict[str, Any]], object]) -> None:
    document = copy.deepcopy(HONEST)
    change(document)
    with pytest.raises(CorruptError):
        loaded(document)


@pytest.mark.parametrize(
    "content",
    [b"", b"\0", b"[" * 100_000, b'{"format":' * 100_000, b"[]", b"{}", b'{"format": 1}', b'{"format": ' + b"9" * 9999],
    ids=["empty", "null", "deep list", "deep object", "list", "no format", "nothing else", "very large number"],
)
def test_what_is_no_manifest_is_refused(content: bytes) -> None:
    with pytest.raises(CorruptError):
        load_manifest(content, ID)


@pytest.mark.parametrize("version", [2, 0, "1", None, 1.5, [], {}])
def test_unknown_format_is_a_matter_of_version(version: object) -> None:
    with pytest.raises(ConfigurationError, match="format"):
        loaded({"format": version})


@pytest.mark.parametrize(
    "text", ["\u0662\u0660261123T021500Z-3f9a1c", "20261399T021500Z-3f9a1c", "20261123T021500Z-3f9a1c\n"]
)
def test_folder_that_no_clock_names_is_no_backup(text: str) -> None:
    assert not is_backup_id(text)


INSERT = b"INSERT INTO `t` (`a`,`b`) VALUES "


def chunk(*lines: bytes) -> list[bytes]:
    return list(compressed([FILE_HEADER, *(line + b"\n" for line in lines)], 3))


def test_rows_of_the_table_are_taken() -> None:
    values = rb"(NULL,'it\'s\n;\0\\'),(-1.5e-300,_binary '\Z'),(0x00FF,-0e0),('',0);"
    assert list(statements(loaded(HONEST).tables[0], chunk(INSERT + values), 1000)) == [INSERT + values]


FOREIGN = {
    "another statement": b"DROP DATABASE `d`;",
    "a statement behind the rows": INSERT + b"(1,2); DROP DATABASE `d`;",
    "another table": b"INSERT INTO `u` (`a`,`b`) VALUES (1,2);",
    "a qualified name": b"INSERT INTO `x`.`t` (`a`,`b`) VALUES (1,2);",
    "other columns": b"INSERT INTO `t` (`a`) VALUES (1);",
    "more values than columns": INSERT + b"(1,2,3);",
    "fewer values than columns": INSERT + b"(1);",
    "no values": INSERT + b";",
    "a query": INSERT + b"((SELECT 1),2);",
    "a query for rows": b"INSERT INTO `t` (`a`,`b`) SELECT 1,2;",
    "a function": INSERT + b"(1,SLEEP(9));",
    "an expression": INSERT + b"(1,1+1);",
    "a variable": INSERT + b"(1,@@version);",
    "a comment": INSERT + b"(1,/*!50000 2*/);",
    "an update": INSERT + b"(1,2) ON DUPLICATE KEY UPDATE `a` = 3;",
    "a quote that is not escaped": INSERT + b"(1,'a' 'b');",
    "a quote that is doubled": INSERT + b"(1,'a''b');",
    "an escape that opskit does not write": INSERT + rb"(1,'\b');",
    "an escape at the end": INSERT + b"(1,'\\');",
    "a null character": INSERT + b"(1,'\0');",
    "another introducer": INSERT + b"(1,_latin1 'x');",
    "a hexadecimal introducer": INSERT + b"(1,_binary 0x00);",
    "nothing in hexadecimal": INSERT + b"(1,0x);",
    "double quotes": INSERT + b'(1,"x");',
    "a default": INSERT + b"(1,DEFAULT);",
    "no end": INSERT + b"(1,2)",
    "space": INSERT + b"(1, 2);",
    "an empty line": b"",
    "another delimiter": b"DELIMITER //",
    "a command of the client": rb"\! rm -rf /",
}


@pytest.mark.parametrize("line", FOREIGN.values(), ids=FOREIGN)
def test_a_chunk_holds_nothing_but_rows_of_its_table(line: bytes) -> None:
    table = loaded(HONEST).tables[0]
    for lines in ([line], [INSERT + b"(1,2);", line, INSERT + b"(3,4);"]):
        with pytest.raises(CorruptError):
            list(statements(table, chunk(*lines), 1000))


@pytest.mark.parametrize(
    "header",
    [
        b"",
        FILE_HEADER.replace(b"utf8mb4", b"gbk"),
        FILE_HEADER.replace(b"foreign_key_checks = 0", b"foreign_key_checks = 0, sql_log_bin = 0"),
        FILE_HEADER.replace(b"NO_AUTO", b"NO_BACKSLASH_ESCAPES,NO_AUTO"),
        FILE_HEADER + b"SET GLOBAL read_only = 0;\n",
        FILE_HEADER.replace(b"\n", b"\r\n"),
    ],
)
def test_every_file_sets_the_session_that_opskit_sets(header: bytes) -> None:
    manifest = loaded(HONEST)
    definition = b"CREATE TABLE `t` (`a` int, `b` int) ENGINE=InnoDB;\n"
    assert create_table(manifest.tables[0], compressed([FILE_HEADER, definition], 3)).name == "t"
    with pytest.raises(CorruptError):
        list(statements(manifest.tables[0], compressed([header, INSERT, b"(1,2);\n"], 3), 1000))
    with pytest.raises(CorruptError):
        create_table(manifest.tables[0], compressed([header, definition], 3))
    with pytest.raises(CorruptError):
        programs(manifest, "triggers", compressed([header, b"DELIMITER ;;\nDELIMITER ;\n"], 3))


@pytest.mark.parametrize(
    "definition",
    [
        b"CREATE TABLE `u` (`a` int, `b` int) ENGINE=InnoDB;\n",
        b"CREATE TABLE `t` (`a` int, `b` int, `c` int DEFAULT 0) ENGINE=InnoDB;\n",
        b"CREATE TABLE `t` (`b` int, `a` int) ENGINE=InnoDB;\n",
        b"CREATE TABLE `t` (`a` int) ENGINE=InnoDB;\n",
        b"CREATE TABLE `t` (`a` int, `b` int) ENGINE=MyISAM;\n",
        b"CREATE TABLE `t` (`a` int, `b` int) ENGINE=InnoDB",
        b"CREATE TABLE `t` (`a` int, `b` int) ENGINE=InnoDB;\nDROP DATABASE `d`;\n",
        b"CREATE TABLE `t` (`a` int COMMENT '\xff', `b` int) ENGINE=InnoDB;\n",
        b"",
    ],
)
def test_definition_is_that_of_the_table_in_the_manifest(definition: bytes) -> None:
    with pytest.raises(CorruptError):
        create_table(loaded(HONEST).tables[0], compressed([FILE_HEADER, definition], 3))


def zeros(size: int) -> Iterator[bytes]:
    for _ in range(size // 2**20):
        yield b"0" * 2**20


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """256 MiB without a line's end, in a few KiB."""
    return b"".join(compressed([FILE_HEADER, *zeros(2**28)], 3))


READERS: dict[str, Callable[[Manifest, bytes], object]] = {
    "rows": lambda manifest, stored: list(statements(manifest.tables[0], [stored], manifest.largest_statement)),
    "table": lambda manifest, stored: create_table(manifest.tables[0], [stored]),
    "programs": lambda manifest, stored: programs(manifest, "triggers", [stored]),
}


@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_what_unpacks_to_much_takes_little_memory(reader: Callable[[Manifest, bytes], object], bomb: bytes) -> None:
    tracemalloc.start()
    try:
        with pytest.raises(CorruptError):
            reader(loaded(HONEST), bomb)
        assert tracemalloc.get_traced_memory()[1] < 64 * 2**20
    finally:
        tracemalloc.stop()


def test_frame_that_wants_much_memory_is_refused() -> None:
    parameters = zstandard.ZstdCompressionParameters.from_level(19, window_log=28)
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    frame = compressor.compress(b"0" * 1000) + compressor.flush()
    with pytest.raises(CorruptError, match="cannot be decompressed"):
        list(decompressed([frame]))


@pytest.mark.parametrize("extra", [b"\0", b"".join(compressed([b"x"], 3))])
def test_nothing_follows_the_one_frame(extra: bytes) -> None:
    frame = b"".join(compressed([b"x"], 3))
    for pieces in ([frame + extra], [frame, extra]):
        with pytest.raises(CorruptError):
            list(decompressed(pieces))


@given(st.binary(max_size=300), st.data())
def test_any_cut_or_flipped_bit_of_a_compressed_file_is_found(content: bytes, data: st.DataObject) -> None:
    frame = b"".join(compressed([content], 3))
    damaged = bytearray(frame)
    if data.draw(st.booleans()):
        del damaged[data.draw(st.integers(0, len(frame) - 1)) :]
    else:
        damaged[data.draw(st.integers(0, len(frame) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    try:
        found = b"".join(decompressed([bytes(damaged)]))
    except CorruptError:
        return
    # A flipped bit that zstd ignores (RFC 8878 has unused ones) changes nothing; the digest of the file finds it.
    assert found == content


def test_more_than_a_file_may_hold_is_not_gathered() -> None:
    def endless() -> Iterator[bytes]:
        while True:
            yield b"x" * 1024

    with pytest.raises(OpskitError, match="too large"):
        gathered(endless(), 10_000, "it")
