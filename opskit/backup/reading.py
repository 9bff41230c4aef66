"""Rows in one form, whether a backup has them or a running database."""

import re
from collections.abc import Iterator, Sequence
from contextlib import closing

from opskit.backup.check import read_file
from opskit.backup.encryption import Identities, opened
from opskit.backup.manifest import Manifest, TableEntry
from opskit.errors import NotFoundError
from opskit.mysql import wire
from opskit.mysql.connection import Connection, execute, quote
from opskit.mysql.encode import RowEncoder
from opskit.mysql.schema import insert_into, read_table
from opskit.mysql.snapshot import Snapshot
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
        with closing(statements(entry, content, manifest.largest_statement)) as judged:
            for statement in judged:
                yield from rows_of(statement, head, len(entry.columns), wanted)


def live_rows(snapshot: Snapshot, table: str, columns: Sequence[str]) -> Iterator[Values]:
    """Yield the rows of one table as `read_rows` would yield them from a backup of this snapshot.

    The snapshot's first worker reads them, one table at a time. `NotFoundError` for what the database does not have.
    """
    if table not in snapshot.tables:
        raise NotFoundError(f"database {snapshot.database!r} has no table {table!r}")
    known = {column.name: column for column in read_table(snapshot.control, snapshot.database, table).columns}
    if missing := [column for column in columns if column not in known]:
        raise NotFoundError(f"table {table!r} has no column {missing[0]!r}")
    chosen = [known[column] for column in columns]
    head = insert_into(table, columns)
    encoder = RowEncoder("".join(column.kind for column in chosen), head)
    connection = snapshot.workers[0].connection
    execute(connection, "SET SESSION character_set_results = NULL")
    select = f"SELECT {', '.join(column.expression for column in chosen)} FROM {quote(table)}"
    for statement in _statements(connection, select, encoder):
        yield from rows_of(statement, len(head), len(columns), range(len(columns)))


def _statements(connection: Connection, select: str, encoder: RowEncoder) -> Iterator[bytes]:
    with closing(wire.stream(connection, select, encoder)) as texts:
        for text in texts:
            yield from text.splitlines()
    yield from encoder.cut().splitlines()


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
