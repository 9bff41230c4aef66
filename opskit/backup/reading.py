"""Rows of a backup, read without a server."""

import re
from collections.abc import Iterator, Sequence

from opskit.backup.check import read_file
from opskit.backup.encryption import Identities, opened
from opskit.backup.manifest import Manifest, TableEntry
from opskit.errors import NotFoundError
from opskit.mysql.schema import insert_into
from opskit.restore.grammar import statements
from opskit.storage import Storage

Values = tuple[bytes | None, ...]

_VALUE = re.compile(
    rb"NULL|0x(?P<hexadecimal>[0-9A-F]++)|'(?P<quoted>(?:[^'\\]++|\\.)*+)'|(?P<number>-?[0-9][0-9.e+-]*+)"
)
_ESCAPED = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPES = {b"0": b"\0", b"n": b"\n", b"r": b"\r", b"Z": b"\x1a"}


def read_rows(
    storage: Storage, manifest: Manifest, table: str, columns: Sequence[str], identities: Identities | None = None
) -> Iterator[Values]:
    """Yield the rows of one table, chunk by chunk: of each the columns asked for, as stored bytes, None for NULL.

    Numbers come as their decimal text. `NotFoundError` if the backup does not have the table or a column,
    `CorruptError` for a chunk that is damaged or holds what opskit does not write; rows before it were yielded by then.
    """
    entry = _entry(manifest, table)
    wanted = [_position(entry, column) for column in columns]
    head = len(insert_into(entry.name, entry.columns))
    for chunk in entry.chunks:
        stored = read_file(storage, manifest, manifest.file(chunk.name))
        content = opened(stored, manifest.recipients, identities)
        for statement in statements(entry, content, manifest.largest_statement):
            yield from rows_of(statement, head, len(entry.columns), wanted)


def _entry(manifest: Manifest, table: str) -> TableEntry:
    for entry in manifest.tables:
        if entry.name == table:
            return entry
    raise NotFoundError(f"backup {manifest.id} has no table {table!r}")


def _position(entry: TableEntry, column: str) -> int:
    if column not in entry.columns:
        raise NotFoundError(f"table {entry.name!r} of the backup has no column {column!r}")
    return entry.columns.index(column)


def rows_of(statement: bytes, head: int, width: int, wanted: Sequence[int]) -> Iterator[Values]:
    """Take apart a statement of opskit's own grammar, whose values begin after `head` bytes."""
    row: list[re.Match[bytes]] = []
    for value in _VALUE.finditer(statement, head):
        row.append(value)
        if len(row) == width:
            yield tuple(_value(row[position]) for position in wanted)
            row = []


def _value(value: re.Match[bytes]) -> bytes | None:
    if value.lastgroup == "quoted":
        text = value["quoted"]
        return _ESCAPED.sub(lambda match: _ESCAPES.get(match[1], match[1]), text) if b"\\" in text else text
    if value.lastgroup == "hexadecimal":
        return bytes.fromhex(value["hexadecimal"].decode())
    return value["number"]
