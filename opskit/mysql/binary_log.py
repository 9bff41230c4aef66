"""The server's binary log: whether a session writes to it, and how it does not."""

from opskit.errors import DeniedError
from opskit.mysql.connection import Connection, execute, is_mariadb, scalar
from opskit.mysql.grants import current_user


def has_binary_log(connection: Connection) -> bool:
    """Tell whether rows of this session are written to a binary log as well."""
    return bool(int(scalar(connection, "SELECT @@log_bin AND @@sql_log_bin")))


def skip_binary_log(connection: Connection) -> None:
    """Keep what this session does out of the binary log; `DeniedError` with the GRANT to run where the user may not."""
    try:
        execute(connection, "SET SESSION sql_log_bin = 0")
    except DeniedError as error:
        privilege = "BINLOG ADMIN" if is_mariadb(connection) else "SESSION_VARIABLES_ADMIN"
        raise DeniedError(
            "this user may not keep a restore out of the binary log",
            hint=f"run as an administrator: GRANT {privilege} ON *.* TO {current_user(connection)};"
            " or leave --skip-binlog out",
        ) from error
