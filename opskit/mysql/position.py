"""Where the binary log stands."""

from contextlib import suppress
from dataclasses import dataclass

from opskit.errors import OpskitError
from opskit.mysql.connection import Connection, execute, is_mariadb, scalar


@dataclass(slots=True)
class Position:
    """Where the binary log stood; approximate where nothing stopped writers."""

    gtid: str | None = None
    binlog_file: str | None = None
    binlog_position: int | None = None
    approximate: bool = False


def read_position(connection: Connection) -> Position:
    """Read what may be read: the GTID needs no privilege, the log's name and offset need REPLICATION CLIENT."""
    position = Position()
    gtid = "@@global.gtid_binlog_pos" if is_mariadb(connection) else "@@global.gtid_executed"
    with suppress(OpskitError):
        position.gtid = str(scalar(connection, f"SELECT {gtid}") or "").replace("\n", "") or None
    for statement in ("SHOW BINARY LOG STATUS", "SHOW MASTER STATUS"):
        try:
            rows = execute(connection, statement)
        except OpskitError:
            continue
        if rows:
            position.binlog_file, position.binlog_position = str(rows[0][0]), int(rows[0][1])
        break
    return position
