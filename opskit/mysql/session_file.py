"""The fixed text of the files: each sets its own session, so that `mysql` alone can load it."""

from opskit.mysql.connection import SQL_MODE, quote
from opskit.mysql.schema import DatabaseFacts

FILE_HEADER = (
    "SET NAMES utf8mb4;\n"
    f"SET SESSION time_zone = '+00:00', sql_mode = '{SQL_MODE}', foreign_key_checks = 0, unique_checks = 0;\n"
    # A row that its CHECK would not let in today is a row all the same; to MySQL this line is a comment.
    "/*M!100201 SET SESSION check_constraint_checks = 0 */;\n"
).encode()


def create_database(facts: DatabaseFacts) -> bytes:
    """Return the only statement of a backup that names the database."""
    return (
        f"CREATE DATABASE IF NOT EXISTS {quote(facts.name)}"
        f" DEFAULT CHARACTER SET {facts.charset} COLLATE {facts.collation};\n"
    ).encode()
