"""Names in a backup's folder: `<registry>/<backup id>/<name>`.

    manifest.json                           with manifest.json.sig where backups are signed
    <database>-schema-create.sql.zst
    <database>.<table>-schema.sql.zst
    <database>.<table>.<00001…>.sql.zst
    <database>-schema-{post,views,triggers,events}.sql.zst
    rehearsals/*.json, holds/*.json         side files, never in the manifest
    resource.json                           the same: the ModelRegistry resource, where one was discovered, and .sig

The manifest alone maps names to tables; this module says which names a table may have.
"""

import re
import secrets
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import count

MANIFEST = "manifest.json"
# A chunk, of mostly 5 to 8 MB of SQL, takes 312 bytes (510 where the names are the longest plain ones): 44 million rows
# of a registry come to 0.2 MB, and 600 million fit. Hostile JSON of this size takes 82 MiB (measured) of the 256 that
# the smallest job may have.
MANIFEST_MAXIMUM_BYTES = 2 * 1024 * 1024
# Files with CREATE TABLE and with programs are read whole; no registry comes near this.
DEFINITIONS_MAXIMUM_BYTES = 16 * 1024 * 1024
# Beside what it signs: the manifest and the resource.
SIGNATURE_SUFFIX = ".sig"
REHEARSALS = "rehearsals/"
HOLDS = "holds/"
RESOURCE = "resource.json"
# A ModelRegistry has a few KiB, and etcd takes objects of 1.5 MiB; hostile JSON takes memory as in a manifest.
RESOURCE_MAXIMUM_BYTES = 2 * 1024 * 1024
# Clocks of servers may differ by this much; S3 itself refuses a request when they differ by 15 minutes.
CLOCK_SKEW = timedelta(hours=1)
_ID = re.compile(r"\d{8}T\d{6}Z-[0-9a-f]{6}", re.ASCII)
_FILE = re.compile(
    r"(manifest|resource)\.json(\.sig)?|[A-Za-z0-9_%.-]+\.sql\.zst(\.age)?|(rehearsals|holds)/[A-Za-z0-9-]+\.json"
)
_PLAIN = re.compile(r"[A-Za-z0-9_]")
# S3 allows keys of 1,024 bytes, file systems names of 255: database and table share that with the suffix.
_NAME_BYTES = 100

# Which kinds of program are in which file, in the order of a restore. Views may call routines, and the server looks
# for these when it makes the view; events come last, since one that is enabled may fire at once.
PROGRAM_FILES = {"post": ("procedure", "function"), "views": ("view",), "triggers": ("trigger",), "events": ("event",)}
SUFFIX = ".sql.zst"


def new_backup_id(now: datetime) -> str:
    """Return a fresh id that sorts by time: `20261123T021500Z-3f9a1c`.

    Three digits are the part of the second, in 4096ths, so that backups of one second sort too; three are random.
    """
    part = now.microsecond * 4096 // 1_000_000
    return f"{now.astimezone(UTC):%Y%m%dT%H%M%SZ}-{part:03x}{secrets.randbelow(4096):03x}"


def is_backup_id(text: str) -> bool:
    """Tell a backup id from any other folder name."""
    if _ID.fullmatch(text) is None:
        return False
    try:
        backup_time(text)
    except ValueError:  # the 99th of a month
        return False
    return True


def backup_time(backup_id: str) -> datetime:
    """Return the moment that an id was made."""
    return datetime.strptime(backup_id[:16], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)


def is_from_the_future(backup_id: str, now: datetime) -> bool:
    """Tell an id that was forged, or made by a clock that was wrong."""
    return backup_time(backup_id) - now > CLOCK_SKEW


def is_fresh(age: timedelta, max_age: timedelta) -> bool:
    """Tell whether something is young enough; what comes from the future would stay so for ever."""
    return -CLOCK_SKEW <= age <= max_age


def is_file_name(name: str) -> bool:
    """Tell whether opskit may have written a file of this name into the folder of a backup."""
    return _FILE.fullmatch(name) is not None


def encoded(name: str) -> str:
    """Return a name with everything but `[A-Za-z0-9_]` percent-encoded as UTF-8."""
    return "".join(
        character if _PLAIN.fullmatch(character) else "".join(f"%{byte:02X}" for byte in character.encode())
        for character in name
    )


def file_stems(tables: Iterable[str]) -> dict[str, str]:
    """Return table → the name under which it goes into keys; no two are equal, ignoring case.

    The encoded name, or `opskit_<number>` where that is too long or taken.
    """
    names = sorted(tables)
    plain = {table: encoded(table) for table in names}
    reserved = {stem.lower() for stem in plain.values()}
    stems: dict[str, str] = {}
    taken: set[str] = set()
    for number, table in enumerate(names, start=1):
        stem = plain[table]
        if len(stem) > _NAME_BYTES or stem.lower() in taken:
            stem = next(f"opskit_{n}" for n in count(number) if f"opskit_{n}" not in reserved)
            reserved.add(stem)
        stems[table] = stem
        taken.add(stem.lower())
    return stems


def _database_stem(database: str) -> str:
    stem = encoded(database)
    return stem if len(stem) <= _NAME_BYTES else "opskit_0"


def schema_create_name(database: str) -> str:
    """Return the name of the file with CREATE DATABASE."""
    return f"{_database_stem(database)}-schema-create{SUFFIX}"


def table_schema_name(database: str, stem: str) -> str:
    """Return the name of the file with CREATE TABLE."""
    return f"{_database_stem(database)}.{stem}-schema{SUFFIX}"


def chunk_name(database: str, stem: str, number: int) -> str:
    """Return the name of a file with rows; numbers start at 1."""
    return f"{_database_stem(database)}.{stem}.{number:05d}{SUFFIX}"


def programs_name(database: str, kind: str) -> str:
    """Return the name of a file with programs: one of PROGRAM_FILES, `post` being routines."""
    return f"{_database_stem(database)}-schema-{kind}{SUFFIX}"
