"""Puts the test data into a database, each table by a client of no particular sql_mode."""

from collections.abc import Sequence

from sandbox.server import Server
from tests.integration.fidelity.values import Tables


def fill(server: Server, database: str, tables: Tables, programs: Sequence[str | bytes] = ()) -> None:
    with server.connect(database=database, charset="utf8mb4") as connection, connection.cursor() as cursor:
        for statements in [*tables.values(), programs]:
            cursor.execute("SET SESSION sql_mode = ''")
            for statement in statements:
                cursor.execute(statement)
