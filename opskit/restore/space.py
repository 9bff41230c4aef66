"""How much a restore adds to a server, and whether it has the room."""

from dataclasses import dataclass

from opskit.backup.manifest import Manifest
from opskit.mysql.connection import Connection, execute, scalar


@dataclass(frozen=True, slots=True)
class Additions:
    """How much a restore will add to the server, in bytes, as far as the source's own figures tell."""

    data_bytes: int
    binlog_bytes: int


def additions(manifest: Manifest) -> Additions:
    """Estimate from the source's table sizes and from the length of the statements."""
    return Additions(
        data_bytes=sum(table.data_bytes for table in manifest.tables),
        binlog_bytes=sum(table.sql_bytes for table in manifest.tables),
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


def has_binary_log(connection: Connection) -> bool:
    """Tell whether rows are written to a binary log as well."""
    return bool(int(scalar(connection, "SELECT @@log_bin")))
