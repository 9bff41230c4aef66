"""What would go wrong, found out before anything is loaded: every problem at once, each with its mend."""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from opskit.backup.manifest import Manifest
from opskit.errors import ConfigurationError, NoSpaceError
from opskit.mysql.binary_log import has_binary_log
from opskit.mysql.connection import Connection, execute, is_mariadb, scalar
from opskit.mysql.create_table import CreateTable
from opskit.restore.space import additions, room

# Beside the statement a packet holds the command byte; the server wants some room too.
_PACKET_ROOM = 1024
_COLLATION = re.compile(r"\bCOLLATE[= ](\w+)")


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing that stands in the way, and the statement that mends it."""

    what: str
    mend: str
    of_space: bool = False


def preflight(connection: Connection, manifest: Manifest, tables: list[CreateTable]) -> None:
    """Raise one `ConfigurationError` with every problem that the server would have.

    It is a `NoSpaceError` where nothing but room is wanting.
    """
    problems = [
        *_packet(connection, manifest),
        *_primary_keys(connection, tables),
        *_collations(connection, manifest, tables),
        *_engines(connection, manifest),
        *_letter_case(connection, manifest),
        *_space(connection, manifest),
    ]
    if problems:
        kind = NoSpaceError if all(problem.of_space for problem in problems) else ConfigurationError
        raise kind(
            "this server cannot take the backup: " + "; ".join(problem.what for problem in problems),
            hint="; ".join(dict.fromkeys(problem.mend for problem in problems)),
        )


def largest_packet(connection: Connection) -> int:
    """Return how many bytes a statement may have."""
    return int(scalar(connection, "SELECT @@global.max_allowed_packet"))


def _packet(connection: Connection, manifest: Manifest) -> Iterator[Problem]:
    limit = largest_packet(connection)
    wanted = manifest.largest_statement + _PACKET_ROOM
    if wanted > limit:
        rounded = -(-wanted // 1024) * 1024
        yield Problem(
            f"its longest statement has {manifest.largest_statement} bytes, max_allowed_packet is {limit}",
            f"SET GLOBAL max_allowed_packet = {rounded}",
        )


def _primary_keys(connection: Connection, tables: list[CreateTable]) -> Iterator[Problem]:
    without = [table.name for table in tables if not any(item.startswith("PRIMARY KEY") for item in table.items)]
    if not without or is_mariadb(connection):
        return
    for variable in ("sql_require_primary_key", "sql_generate_invisible_primary_key"):
        rows = execute(connection, "SHOW VARIABLES LIKE %s", [variable])
        if rows and rows[0][1] == "ON":
            yield Problem(
                f"{variable} is on, and these tables have no primary key: {', '.join(without[:5])}",
                f"SET GLOBAL {variable} = OFF",
            )


def _collations(connection: Connection, manifest: Manifest, tables: list[CreateTable]) -> Iterator[Problem]:
    known = {str(row[0]).lower() for row in execute(connection, "SHOW COLLATION")}
    wanted = {manifest.database.collation.lower()}
    for table in tables:
        wanted |= {name.lower() for name in _COLLATION.findall(table.options)}
        for item in table.items:
            wanted |= {name.lower() for name in _COLLATION.findall(item.partition(" COMMENT '")[0])}
    if missing := sorted(wanted - known):
        yield Problem(
            f"it does not know the collation {', '.join(missing)} ({manifest.database.product}"
            f" {manifest.database.server_version} wrote the backup)",
            f"restore on {manifest.database.product}, of the same version or newer",
        )


def _engines(connection: Connection, manifest: Manifest) -> Iterator[Problem]:
    usable = {str(row[0]).lower() for row in execute(connection, "SHOW ENGINES") if row[1] in ("YES", "DEFAULT")}
    for engine in sorted({table.engine for table in manifest.tables if table.engine.lower() not in usable}):
        yield Problem(f"it does not have the storage engine {engine}", f"enable {engine}")


def _letter_case(connection: Connection, manifest: Manifest) -> Iterator[Problem]:
    if int(scalar(connection, "SELECT @@global.lower_case_table_names")) == 0:
        return
    folded = [table.name for table in manifest.tables if table.name != table.name.lower()]
    if folded:
        yield Problem(
            f"it folds the names of tables to lower case (lower_case_table_names), and there is {folded[0]!r}",
            "restore on a server with lower_case_table_names = 0",
        )


def _space(connection: Connection, manifest: Manifest) -> Iterator[Problem]:
    free = room(connection)
    added = additions(manifest)
    wanted = added.data_bytes + (added.binlog_bytes if has_binary_log(connection) else 0)
    if free is not None and wanted > free:
        yield Problem(
            f"it has {free:,} bytes free, and the restore adds about {wanted:,}",
            "make room on the server",
            of_space=True,
        )
