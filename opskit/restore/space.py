"""How much a restore adds to a server, and whether that is too much."""

from dataclasses import dataclass

from opskit.backup.manifest import Manifest
from opskit.errors import RefusedError
from opskit.mysql.connection import Connection, execute, is_mariadb, scalar


@dataclass(frozen=True, slots=True)
class Additions:
    """How much a restore will add to the server, in bytes, as far as the source's own figures tell."""

    data_bytes: int
    binlog_bytes: int


def additions(manifest: Manifest, *, binary_log: bool = True) -> Additions:
    """Estimate from the source's table sizes and from the length of the statements."""
    return Additions(
        data_bytes=sum(table.data_bytes for table in manifest.tables),
        binlog_bytes=sum(table.sql_bytes for table in manifest.tables) if binary_log else 0,
    )


def require_small(manifest: Manifest, maximum_bytes: int | None) -> None:
    """Raise `RefusedError` if a rehearsal would add more than `maximum_bytes`, by what the manifest says.

    Rows are taken to need the room of their statements at least: statistics of a table may be a day old.
    """
    added = additions(manifest)
    _require_within(maximum_bytes, max(added.data_bytes, added.binlog_bytes) + added.binlog_bytes, "would add about")


def require_still_small(connection: Connection, database: str, manifest: Manifest, maximum_bytes: int | None) -> None:
    """Raise `RefusedError` once a rehearsal has added more than `maximum_bytes`, whatever the manifest says."""
    if maximum_bytes is not None:
        size = database_bytes(connection, database) + additions(manifest).binlog_bytes
        _require_within(maximum_bytes, size, "adds")


def _require_within(maximum_bytes: int | None, size: int, adds: str) -> None:
    if maximum_bytes is not None and size > maximum_bytes:
        raise RefusedError(
            f"a rehearsal {adds} {size:,} bytes to the live server, more than the {maximum_bytes:,} of"
            " rehearse.max_bytes",
            hint="give the registry a server of its own for rehearsals (rehearse:), use --sandbox where there is a"
            " mysqld, or raise rehearse.max_bytes",
        )


def database_bytes(connection: Connection, database: str) -> int:
    """Return how large the tables of a database are, with their indexes, by statistics ten seconds old (measured)."""
    if not is_mariadb(connection):
        # MySQL's own default lets them be a day old.
        execute(connection, "SET SESSION information_schema_stats_expiry = 0")
    return int(
        scalar(
            connection,
            "SELECT COALESCE(SUM(data_length + index_length), 0) FROM information_schema.tables"
            " WHERE table_schema = %s",
            [database],
        )
    )


def room(connection: Connection) -> int | None:
    """Return how many bytes are free where the server keeps its data, or None where it does not tell.

    MariaDB tells with its plugin DISKS, to a user with FILE; MySQL has nothing of the kind.
    """
    if not execute(connection, "SHOW TABLES FROM information_schema LIKE 'DISKS'"):
        return None
    folder = str(scalar(connection, "SELECT @@datadir"))
    disks = execute(connection, "SELECT path, available * 1024 FROM information_schema.disks")
    around = [(len(path), int(free)) for path, free in disks if folder.startswith(path.rstrip("/") + "/")]
    return max(around)[1] if around else None
