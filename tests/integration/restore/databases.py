"""What is in a database, and beside it."""

from sandbox.server import Server
from tests.conftest import like

State = dict[str, tuple[int, int | None]]


def content(server: Server, database: str) -> State:
    """Every table with its number of rows and its checksum; nothing for a database that is not there."""
    with server.connect() as connection, connection.cursor() as cursor:
        cursor.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = %s"
            " AND table_name <> '_opskit_marker' ORDER BY table_name",
            [database],
        )
        found = {}
        for (name,) in cursor.fetchall():
            table = f"{quoted(database)}.{quoted(name)}"
            cursor.execute(f"SELECT COUNT(*) FROM {table}")
            (rows,) = cursor.fetchone() or (0,)
            cursor.execute(f"CHECKSUM TABLE {table}")
            found[name] = (rows, (cursor.fetchone() or (None, None))[1])
    return found


def beside(server: Server, database: str, purpose: str = "%") -> list[str]:
    """The databases with a name as opskit makes it for this one, whose own name is a plain one."""
    return sorted(row[0] for row in server.execute(f"SHOW DATABASES LIKE '{like(database)}\\_opskit\\_{purpose}'"))


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def damage(mysql: Server, database: str) -> None:
    """Lose half of the artifacts, and a table."""
    mysql.execute(f"DELETE FROM `{database}`.Artifact WHERE id % 2", f"DROP TABLE `{database}`.EventPath")
