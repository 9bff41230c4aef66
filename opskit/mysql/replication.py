"""Whether a server is a replica, and how far behind its source it is."""

from dataclasses import dataclass
from typing import Any

from opskit.mysql.connection import Connection, is_mariadb, server_version, translated


@dataclass(frozen=True, slots=True)
class Replica:
    """One channel of a replica; most have only one, whose name is empty.

    `receiver` and `applier` are `Yes`, `No` or `Connecting`. The lag is None where the server does not know it.
    The text of the last error is left out: it may quote rows.
    """

    channel: str
    receiver: str
    applier: str
    lag_seconds: float | None
    error_number: int

    @property
    def running(self) -> bool:
        """Whether both threads run."""
        return self.receiver == self.applier == "Yes"


def read_replicas(connection: Connection) -> list[Replica]:
    """Return the channels by which this server replicates, none if it is no replica.

    `DeniedError` without REPLICATION CLIENT (error 1227).
    """
    with translated("reading the state of replication"), connection.cursor() as cursor:
        cursor.execute(_statement(connection))
        names = [column[0] for column in cursor.description]
        return [_replica(dict(zip(names, row, strict=True))) for row in cursor.fetchall()]


def _statement(connection: Connection) -> str:
    if is_mariadb(connection):
        return "SHOW ALL SLAVES STATUS"
    # The word changed with 8.0.22; the old one is gone since 8.4.
    return "SHOW REPLICA STATUS" if server_version(connection) >= (8, 0, 22) else "SHOW SLAVE STATUS"


def _replica(row: dict[str, Any]) -> Replica:
    def either(new: str, old: str) -> Any:  # noqa: ANN401 - what the column holds
        return row.get(new, row.get(old))

    lag = either("Seconds_Behind_Source", "Seconds_Behind_Master")
    return Replica(
        channel=str(either("Channel_Name", "Connection_name") or ""),
        receiver=str(either("Replica_IO_Running", "Slave_IO_Running")),
        applier=str(either("Replica_SQL_Running", "Slave_SQL_Running")),
        lag_seconds=None if lag is None else float(lag),
        error_number=int(row["Last_IO_Errno"] or row["Last_SQL_Errno"]),
    )
