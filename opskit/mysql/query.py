"""Queries with more rows than fit into memory."""

from collections.abc import Iterator

from pymysql.cursors import SSCursor

from opskit.mysql.connection import Connection, Row, translated


def stream_rows(connection: Connection, statement: str) -> Iterator[Row]:
    """Yield the rows of one statement as the server sends them; the connection does nothing else meanwhile.

    One statement sees one consistent snapshot (InnoDB, consistent nonlocking reads).
    """
    with translated("reading rows"):
        cursor = SSCursor(connection)
        try:
            cursor.execute(statement)
            yield from cursor.fetchall_unbuffered()
        finally:
            # Closing the cursor would read the rest of the result, however long it is.
            cursor.connection = None  # type: ignore[assignment] # as PyMySQL's own close leaves it
