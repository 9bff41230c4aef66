"""The only statements that a restore executes.

A backup is hostile input: digests lie beside the data, so whoever can write the bucket can forge both. Every
file is read against this grammar before anything is loaded, and again while it is loaded.
"""

from collections.abc import Generator, Iterable

from opskit.backup import layout
from opskit.backup.manifest import Manifest, TableEntry
from opskit.backup.stages import decompressed, gathered, lines
from opskit.errors import CorruptError
from opskit.mysql.create_table import CreateTable, parse_create_table
from opskit.mysql.program_file import Expected, ProgramStatement, parse
from opskit.mysql.rows_text import are_rows
from opskit.mysql.schema import insert_into
from opskit.mysql.session_file import FILE_HEADER

_HEADER_LINES = FILE_HEADER.splitlines()


class Inserts:
    """Tells the INSERT statements of one table from everything else."""

    def __init__(self, table: TableEntry) -> None:
        self._head = insert_into(table.name, table.columns)
        self._columns = len(table.columns)
        self._table = table.name

    def check(self, line: bytes) -> bytes:
        """Return the line, which is one statement; `CorruptError` if it is not one of this table's."""
        if not line.startswith(self._head):
            raise CorruptError(f"a statement that does not belong to table {self._table!r}: {line[:60]!r}")
        if not are_rows(line, len(self._head), self._columns):
            raise CorruptError(f"a statement that opskit does not write, in the rows of table {self._table!r}")
        return line


def statements(table: TableEntry, stored: Iterable[bytes], longest: int) -> Generator[bytes]:
    """Yield the INSERT statements of one chunk, each judged; close it where it may not be read to its end."""
    inserts = Inserts(table)
    content = lines(decompressed(stored), longest + 2)
    for expected in _HEADER_LINES:
        if next(content, b"") != expected:
            raise CorruptError(f"a chunk of table {table.name!r} does not begin as opskit writes it")
    for line in content:
        yield inserts.check(line)


def create_table(table: TableEntry, stored: Iterable[bytes]) -> CreateTable:
    """Return the CREATE TABLE statement of one table; `CorruptError` for anything else in its file."""
    body = _definitions(stored)
    if not body.endswith(b";\n"):
        raise CorruptError(f"the definition of table {table.name!r} ends too early")
    parsed = parse_create_table(_text(body[:-2]))
    if parsed.name != table.name:
        raise CorruptError(f"the definition of table {table.name!r} creates {parsed.name!r}")
    if parsed.engine.lower() != table.engine.lower():
        raise CorruptError(f"the definition of table {table.name!r} has another engine than the manifest")
    if parsed.columns != table.columns:
        raise CorruptError(f"the definition of table {table.name!r} has other columns than the manifest")
    return parsed


def programs(manifest: Manifest, file: str, stored: Iterable[bytes]) -> list[ProgramStatement]:
    """Return the statements of one file of programs: those of its kinds that the manifest has, and nothing else."""
    expected = {
        (entry.kind, entry.name): Expected(entry.definer, entry.table, entry.event_state)
        for entry in manifest.programs
        if entry.kind in layout.PROGRAM_FILES[file]
    }
    return parse(_definitions(stored), expected)


def _definitions(stored: Iterable[bytes]) -> bytes:
    content = gathered(decompressed(stored), layout.DEFINITIONS_MAXIMUM_BYTES, "a file of definitions")
    if not content.startswith(FILE_HEADER):
        raise CorruptError("a file of definitions does not begin as opskit writes it")
    return content[len(FILE_HEADER) :]


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise CorruptError("a CREATE TABLE statement is not UTF-8") from error
