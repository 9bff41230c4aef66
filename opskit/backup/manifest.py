"""The manifest: what a backup is, and the only proof that it is complete."""

from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Literal, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    FailFast,
    Field,
    ValidationError,
    model_validator,
)
from pydantic_core import from_json

from opskit.backup import layout
from opskit.backup.encryption import SUFFIX
from opskit.errors import ConfigurationError, CorruptError
from opskit.mysql.columns import column_expressions
from opskit.mysql.encode import DIGEST_ALGORITHM

FORMAT = 1
# max_allowed_packet cannot be larger, so no server would load it.
LARGEST_STATEMENT = 2**30

RESTORE_ORDER = ("schema-create", "tables", "rows", *layout.PROGRAM_FILES)

ConsistencyLevel = Literal["instance", "tables", "session"]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Digest = Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
Count = Annotated[int, Field(ge=0, lt=2**63)]
Key = Annotated[int, Field(ge=-(2**63), le=2**64)]  # of BIGINT, or the one behind its greatest
Identifier = Annotated[str, Field(min_length=1, max_length=64)]
CharacterSet = Annotated[str, Field(pattern=r"^\w{1,64}$")]
_Item = TypeVar("_Item")
# Ends at the first wrong one: pydantic keeps every error, and there may be one for every three bytes.
Several = Annotated[tuple[_Item, ...], FailFast()]


def _in_utc(moment: datetime) -> datetime:
    try:
        return moment.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("is beyond the calendar") from error


Moment = Annotated[AwareDatetime, AfterValidator(_in_utc)]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)


class File(_Part):
    """One object of the backup: its name in the folder, and its stored bytes."""

    name: str
    bytes: Count
    sha256: Sha256


class Chunk(_Part):
    """Rows of one table in one file; `first` and `before` bound the range that it came from."""

    name: str
    rows: Count
    first: Key | None = None
    before: Key | None = None


class TableEntry(_Part):
    """What is known of one table at the moment of the snapshot."""

    name: Identifier
    engine: str
    schema_file: str
    rows: Count
    digest: Digest
    select: Several[str]
    columns: Several[Identifier]
    chunks: Several[Chunk]
    non_transactional: bool = False
    reparsed: Several[str] = ()
    range_column: Identifier | None = None
    data_bytes: Count = 0
    sql_bytes: Count = 0
    checksum: int | None = None

    @model_validator(mode="after")
    def _reads_its_own_columns(self) -> "TableEntry":
        """Take only expressions that a dump makes of a column: the list is sent to a server."""
        if len(self.select) != len(self.columns) or len(set(self.columns)) != len(self.columns):
            raise ValueError("select: does not match columns")
        for column, expression in zip(self.columns, self.select, strict=True):
            if expression not in column_expressions(column):
                raise ValueError(f"select: {expression[:60]!r} does not read column {column!r}")
        if self.range_column is not None and self.range_column not in self.columns:
            raise ValueError("range_column: is not a column")
        return self


class ProgramEntry(_Part):
    """A view, routine, event or trigger."""

    kind: Literal["view", "procedure", "function", "event", "trigger"]
    name: Identifier
    definer: str
    table: str | None = None
    event_state: str | None = None
    names_database: bool = False


class Database(_Part):
    """The database that was saved, and the registry in it; `problems` are what would keep that from starting."""

    name: Identifier
    product: Literal["MySQL", "MariaDB"]
    server_version: str
    charset: CharacterSet
    collation: CharacterSet
    flavour: Literal["mlmd", "embedmd", "unknown"]
    mlmd_versions: Several[int] = ()
    migration_version: int | None = None
    dirty: bool = False
    problems: Several[str] = ()
    dangling: Annotated[dict[str, Count], FailFast()] = {}


class Encryption(_Part):
    """Whom the files are encrypted to: public keys, as age and SSH write them."""

    recipients: Annotated[Several[str], Field(min_length=1)]


class Snapshot(_Part):
    """The moment that the backup shows."""

    time: Moment
    consistency: ConsistencyLevel
    consistency_wanted: ConsistencyLevel
    gtid: str | None = None
    binlog_file: str | None = None
    binlog_position: int | None = None
    position_approximate: bool = False


class ArtifactCounts(_Part):
    """What the newest report on artifacts said when the backup was made."""

    time: Moment
    artifacts: Count
    present: Count
    gone: Count


class Manifest(_Part):
    """Everything about one backup; immutable once it is stored."""

    format: Literal[1]
    id: str
    registry: str
    opskit_version: str
    finished: Moment
    database: Database
    snapshot: Snapshot
    digest_algorithm: str
    restore_order: Several[str]
    largest_statement: Annotated[int, Field(ge=0, le=LARGEST_STATEMENT)]
    tables: Several[TableEntry]
    programs: Several[ProgramEntry] = ()
    encryption: Encryption | None = None
    artifacts: ArtifactCounts | None = None
    files: Several[File]
    warnings: Several[str] = ()

    @property
    def rows(self) -> int:
        """Rows of all tables."""
        return sum(table.rows for table in self.tables)

    @property
    def stored_bytes(self) -> int:
        """Bytes of all files, as they are stored."""
        return sum(file.bytes for file in self.files)

    @property
    def recipients(self) -> tuple[str, ...]:
        """Whom the files are encrypted to; nobody for a plain backup."""
        return self.encryption.recipients if self.encryption else ()

    @property
    def comparable(self) -> bool:
        """Whether this opskit can compute the row digests that the manifest holds."""
        return self.digest_algorithm == DIGEST_ALGORITHM

    def file(self, name: str) -> File:
        """Return the entry of one file."""
        return self._file_of[name]

    @cached_property
    def _file_of(self) -> dict[str, File]:
        return {file.name: file for file in self.files}

    @model_validator(mode="after")
    def _files_belong_to_what_is_saved(self) -> "Manifest":
        """Names derive from database and tables, and from nothing else: a manifest is hostile input."""
        if not layout.is_backup_id(self.id):
            raise ValueError("id: not a backup id")
        suffix = SUFFIX if self.encryption else ""
        expected = list(self._expected_names(suffix))
        listed = [file.name for file in self.files]
        tables = [table.name for table in self.tables]
        programs = [(program.kind, program.name) for program in self.programs]
        for kind, names in (("table", tables), ("program", programs), ("file", listed)):
            if len(set(names)) != len(names):
                raise ValueError(f"a {kind} is listed twice")
        if sorted(expected) != sorted(listed):
            strange = sorted(set(expected) ^ set(listed))
            raise ValueError(f"files and tables do not belong together: {', '.join(map(repr, strange[:3]))}")
        return self

    def _expected_names(self, suffix: str) -> Iterator[str]:
        database = self.database.name
        yield layout.schema_create_name(database) + suffix
        stems = layout.file_stems(table.name for table in self.tables)
        for table in self.tables:
            stem = stems[table.name]
            if table.schema_file != layout.table_schema_name(database, stem) + suffix:
                raise ValueError(f"table {table.name!r}: its schema file has a name that is not its own")
            yield table.schema_file
            for number, chunk in enumerate(table.chunks, start=1):
                if chunk.name != layout.chunk_name(database, stem, number) + suffix:
                    raise ValueError(f"table {table.name!r}: a chunk has a name that is not its own")
                yield chunk.name
            if sum(chunk.rows for chunk in table.chunks) != table.rows:
                raise ValueError(f"table {table.name!r}: its chunks do not add up to its rows")
        saved = {program.kind for program in self.programs}
        for file, kinds in layout.PROGRAM_FILES.items():
            if saved.intersection(kinds):
                yield layout.programs_name(database, file) + suffix


def dump_manifest(manifest: Manifest) -> bytes:
    """Return the bytes that are stored; the same manifest always gives the same bytes."""
    return manifest.model_dump_json(indent=1, exclude_none=True).encode() + b"\n"


def load_manifest(content: bytes, expected_id: str) -> Manifest:
    """Read a stored manifest.

    Raises `ConfigurationError` for a format that this opskit does not know, `CorruptError` for whatever is not a
    manifest of the backup `expected_id`.
    """
    if len(content) > layout.MANIFEST_MAXIMUM_BYTES:
        raise CorruptError(f"the manifest of {expected_id} is too large to be one")
    document = _document(content, expected_id)
    version = document["format"]
    if version != FORMAT:
        raise ConfigurationError(
            f"backup {expected_id} has format {version!r:.40}; this opskit reads format {FORMAT}",
            hint="use the opskit release that wrote it, or a newer one",
        )
    try:
        manifest = Manifest.model_validate(document)
    except ValidationError as error:
        raise CorruptError(f"the manifest of {expected_id} is not valid: {described(error, 'manifest')}") from error
    if manifest.id != expected_id:
        raise CorruptError(f"the manifest in folder {expected_id} is that of {manifest.id}")
    return manifest


def described(error: ValidationError, whole: str) -> str:
    """Return the first problems with their places, in brief; `whole` names what has no place in it."""
    # What else an error can show are copies of the input.
    shown = error.errors(include_input=False, include_url=False, include_context=False)[:3]
    problems = "; ".join(f"{'.'.join(map(str, each['loc'])) or whole}: {each['msg']}" for each in shown)
    return f"{problems:.1000}"


def _document(content: bytes, expected_id: str) -> dict[str, object]:
    """Parse as `model_validate_json` does, but into Python's objects: its own take ten times the memory (measured)."""
    try:
        document = from_json(content)
    except ValueError as error:
        raise CorruptError(f"the manifest of {expected_id} is not JSON") from error
    if not isinstance(document, dict) or "format" not in document:
        raise CorruptError(f"the manifest of {expected_id} names no format")
    return document


def backup_key(registry: str, backup_id: str, name: str) -> str:
    """Return the storage key of one file of a backup."""
    return f"{registry}/{backup_id}/{name}"
