"""The sessions of a server, as far as this user may see them."""

from dataclasses import dataclass

from opskit.mysql.connection import Connection, execute


@dataclass(frozen=True, slots=True)
class Session:
    """One session, and how long its statement has been running, None where it runs none."""

    id: int
    statement_seconds: int | None


def other_sessions(connection: Connection) -> list[Session]:
    """Return every session but this one; a user's own show without any privilege.

    The server cuts each statement after 100 bytes, if need be within a character, which PyMySQL would not decode; and
    information_schema.processlist fails on an emoji in any of them (3854; both measured on 9.7).
    """
    encoding, connection.encoding = connection.encoding, "latin-1"  # in which any byte is a character
    try:
        rows = execute(connection, "SHOW PROCESSLIST")
    finally:
        connection.encoding = encoding
    return [
        # An idle replication applier has no text.
        Session(row[0], (row[5] or 0) if row[4] in ("Query", "Execute") and row[7] is not None else None)
        for row in rows
        if row[0] != connection.thread_id()
    ]
