"""Databases that a restore makes: their names, the mark by which they are known, and their end."""

import hashlib
import re
import secrets
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal

from opskit.backup.manifest import Manifest
from opskit.errors import DeniedError, NotFoundError, RefusedError, UsageError
from opskit.mysql.connection import Connection, compared_name, execute, quote, scalar
from opskit.mysql.grants import database_grant, staging_grant, wildcards_are_literal
from opskit.mysql.schema import MARKER_TABLE

Purpose = Literal["restore", "rehearse", "before", "after"]

RUN_ID = r"\d{14}[0-9a-f]{4}"
_MAXIMUM_NAME = 64  # characters, in both products
_HASH_LENGTH = 8
_RUN_ID_LENGTH = 18


# MySQL manual, Schema Object Names.
_IMPOSSIBLE_NAME = re.compile(r"|.{65,}|.* |.*[\0\U00010000-\U0010ffff].*", re.DOTALL)

_OF_A_SWAP: tuple[Purpose, ...] = ("restore", "before", "after")


def new_run_id(now: datetime) -> str:
    """Return a fresh run id, `202611230215003f9a`: lower case, so that every server keeps it as it is."""
    return f"{now.astimezone(UTC):%Y%m%d%H%M%S}{secrets.token_hex(2)}"


def generated_name(database: str, purpose: Purpose, run_id: str) -> str:
    """Return `<database>_opskit_<purpose>_<run id>`; where that is too long, the database part is cut and hashed."""
    suffix = f"_opskit_{purpose}_{run_id}"
    return prefix(database) + suffix


def prefix(database: str) -> str:
    """Return what generated names of this database begin with, the same for every purpose."""
    room = _MAXIMUM_NAME - len("_opskit_rehearse_") - _RUN_ID_LENGTH
    if len(database) <= room:
        return database
    hashed = hashlib.sha256(database.encode()).hexdigest()[:_HASH_LENGTH]
    return f"{database[: room - _HASH_LENGTH - 1]}_{hashed}"


@dataclass(frozen=True, slots=True)
class Target:
    """Where a backup is restored to: a staging database with a generated name, or one that was asked for."""

    database: str
    staging: bool
    live: str = ""


def fresh(connection: Connection, live: str, purpose: Purpose, run_id: str | None) -> Target:
    """Return the database that a run will make beside `live`; `RefusedError` if its run id was used before."""
    live = compared_name(connection, live)
    name = generated_name(live, purpose, run_id or new_run_id(datetime.now(UTC)))
    if exists(connection, name):
        raise RefusedError(
            f"database {name!r} is there already, from another run with this run id",
            hint="leave --run-id out for a new one, or look with `opskit restore cleanup --older-than 0s` what it is,"
            f" and if nobody needs it: DROP DATABASE {quote(name)}",
        )
    return Target(name, staging=True, live=live)


def exists(connection: Connection, database: str) -> bool:
    """Tell whether there is such a database, as far as this user may see."""
    count = scalar(connection, "SELECT COUNT(*) FROM information_schema.schemata WHERE schema_name = %s", [database])
    return bool(count)


def require_empty(connection: Connection, database: str) -> None:
    """Raise `RefusedError` if anything is in the database; one that does not exist is empty.

    `UsageError` for a name that none can have.
    """
    if _IMPOSSIBLE_NAME.fullmatch(database):
        raise UsageError(
            f"no database can be called {database!r}",
            hint="names have 1 to 64 characters, no space at the end, and no emoji",
        )
    if not is_empty(connection, database):
        raise RefusedError(
            f"database {database!r} is not empty",
            hint="name one that does not exist yet, or leave --into out to use a staging database",
        )


def is_empty(connection: Connection, database: str) -> bool:
    """Tell whether neither table nor routine nor event is in the database, as far as this user may see."""
    held = scalar(
        connection,
        "SELECT (SELECT COUNT(*) FROM information_schema.tables WHERE table_schema = %s)"
        " + (SELECT COUNT(*) FROM information_schema.routines WHERE routine_schema = %s)"
        " + (SELECT COUNT(*) FROM information_schema.events WHERE event_schema = %s)",
        [database] * 3,
    )
    return not held


def create(connection: Connection, target: Target, charset: str, collation: str) -> None:
    """Create the database; `DeniedError` with the one GRANT to run where the user may not."""
    try:
        execute(
            connection,
            f"CREATE DATABASE {quote(target.database)} DEFAULT CHARACTER SET {charset} COLLATE {collation}",
        )
    except DeniedError as error:
        raise DeniedError(
            f"this user may not create database {target.database!r}", hint=_mend(connection, target)
        ) from error


def _mend(connection: Connection, target: Target) -> str:
    if not target.staging:
        return f"run as an administrator: {database_grant(connection, target.database)};"
    if not wildcards_are_literal(connection):
        return f"run as an administrator: {staging_grant(connection, prefix(target.live))};"
    run_id = target.database[-_RUN_ID_LENGTH:]
    names = [generated_name(target.live, purpose, run_id) for purpose in _OF_A_SWAP]
    grants = " ".join(f"{database_grant(connection, name)};" for name in names)
    return (
        "this server takes no wildcards in grants (partial_revokes), so grant exact names, and run it again with"
        f" --run-id {run_id}: {grants} a rehearsal wants a server of its own, or --sandbox"
    )


def mark(connection: Connection, target: Target, backup_id: str) -> None:
    """Write the table by which cleaning up knows that the database is opskit's."""
    marker = f"{quote(target.database)}.{quote(MARKER_TABLE)}"
    execute(
        connection,
        f"CREATE TABLE {marker} (backup_id VARCHAR(32) CHARACTER SET ascii NOT NULL PRIMARY KEY,"
        " source VARCHAR(64) CHARACTER SET utf8mb4 NOT NULL, created DATETIME(6) NOT NULL) ENGINE=InnoDB",
    )
    # A % in a name is no placeholder.
    into = marker.replace("%", "%%")
    execute(connection, f"INSERT INTO {into} VALUES (%s, %s, UTC_TIMESTAMP(6))", [backup_id, target.live])


def tables(connection: Connection, database: str) -> list[str]:
    """Return the base tables of a database, without opskit's marker."""
    rows = execute(
        connection,
        "SELECT table_name FROM information_schema.tables WHERE table_schema = %s AND table_type = 'BASE TABLE'"
        " AND table_name <> %s ORDER BY table_name",
        [database, MARKER_TABLE],
    )
    return [str(name) for (name,) in rows]


def count_rows(connection: Connection, database: str, table: str) -> int:
    """Return how many rows a table has, counted one by one."""
    return int(scalar(connection, f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)}"))


def without_marker(manifest: Manifest) -> Manifest:
    """Return a manifest without opskit's marker, which once was saved where a registry used a staging database."""
    tables = tuple(table for table in manifest.tables if table.name != MARKER_TABLE)
    return manifest.model_copy(update={"tables": tables})


def drop_if_spent(connection: Connection, database: str) -> None:
    """Drop a generated database in which nothing is left but the marker."""
    if not tables(connection, database):
        execute(connection, f"DROP DATABASE {quote(database)}")


@dataclass(frozen=True, slots=True)
class Generated:
    """A database that opskit made and left: what for, from which backup, and how long ago by the server's clock.

    `tables` says how many are in it, without the marker: none where its run did not get further.
    """

    database: str
    purpose: Purpose
    run_id: str
    backup_id: str
    age_seconds: float
    tables: int


def generated(connection: Connection, live: str) -> list[Generated]:
    """Return the databases that opskit made for `live`, the oldest first.

    Known by the whole pattern of the name and by the marker in it, whose source must be `live`.
    """
    live = compared_name(connection, live)
    found = []
    for name, purpose, run_id in _named_for(connection, live):
        marker = _marker(connection, name)
        if marker and marker[1] == live:
            held = len(tables(connection, name))
            found.append(Generated(name, purpose, run_id, marker[0], marker[2], held))
    return sorted(found, key=lambda each: (-each.age_seconds, each.run_id))


def unmarked(connection: Connection, live: str) -> list[str]:
    """Return the databases with a name as opskit makes it for `live`, and without a marker.

    A crash between making a database and marking it leaves one, empty. Nothing proves that it is opskit's.
    """
    named = _named_for(connection, compared_name(connection, live))
    return [name for name, _, _ in named if _marker(connection, name) is None]


_PURPOSES: dict[str, Purpose] = {"restore": "restore", "rehearse": "rehearse", "before": "before", "after": "after"}


def _named_for(connection: Connection, live: str) -> list[tuple[str, Purpose, str]]:
    pattern = re.compile(rf"{re.escape(prefix(live))}_opskit_({'|'.join(_PURPOSES)})_({RUN_ID})")
    rows = execute(connection, "SELECT schema_name FROM information_schema.schemata ORDER BY schema_name")
    matches = [match for (name,) in rows if (match := pattern.fullmatch(str(name)))]
    return [(match[0], _PURPOSES[match[1]], match[2]) for match in matches]


def _marker(connection: Connection, database: str) -> tuple[str, str, float] | None:
    try:
        rows = execute(
            connection,
            "SELECT backup_id, source, TIMESTAMPDIFF(MICROSECOND, created, UTC_TIMESTAMP(6)) / 1e6"
            f" FROM {quote(database)}.{quote(MARKER_TABLE)}",
        )
    except NotFoundError:  # no such table, or the database is gone by now
        return None
    return (str(rows[0][0]), str(rows[0][1]), float(rows[0][2])) if rows else None
