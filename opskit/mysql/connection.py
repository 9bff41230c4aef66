"""Connections to the server, and the translation of its errors."""

import ssl
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pymysql
from pymysql.constants import CR, ER

from opskit.errors import (
    ConfigurationError,
    DeniedError,
    NoSpaceError,
    NotFoundError,
    OpskitError,
    RefusedError,
    UnavailableError,
)

TlsMode = Literal["disabled", "required", "verify_ca", "verify_identity"]
Connection = pymysql.connections.Connection
Row = tuple[Any, ...]

CONNECT_TIMEOUT_SECONDS = 10.0
# A worker may wait this long for the server's next packet: a chunk's first row can take a while to find.
READ_TIMEOUT_SECONDS = 3600.0
LOCK_WAIT_SECONDS = 5
LOCK_WAIT_TIMEOUT = 1205

# The session of every dump, load and file. A server-wide sql_select_limit would end each table early and
# without an error, max_execution_time would end it with one; both have a value per session.
SQL_MODE = "NO_AUTO_VALUE_ON_ZERO,ALLOW_INVALID_DATES"
# PyMySQL takes the greeting's word for autocommit, and the greeting does not know of a server-wide OFF.
_SESSION = {
    "autocommit": "1",
    "time_zone": "'+00:00'",
    "sql_mode": f"'{SQL_MODE}'",
    "lock_wait_timeout": str(LOCK_WAIT_SECONDS),
    "net_read_timeout": "3600",
    "net_write_timeout": "3600",
    "wait_timeout": "28800",
    "sql_select_limit": "18446744073709551615",
    "sql_big_selects": "1",
    "sql_quote_show_create": "1",
    "completion_type": "0",
}
_SESSION_MYSQL = {"max_execution_time": "0"}
# Where this is off, a generated primary key does not show, and neither do its values.
_SESSION_MYSQL_8_0_30 = {"show_gipk_in_create_table_and_information_schema": "ON"}
_SESSION_MARIADB = {"max_statement_time": "0"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server and how to log in to it; the password never shows in a repr."""

    host: str
    port: int
    user: str
    password: str = field(default="", repr=False)
    tls_mode: TlsMode = "required"
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    connect_timeout: float = CONNECT_TIMEOUT_SECONDS
    read_timeout: float = READ_TIMEOUT_SECONDS
    unix_socket: Path | None = None

    @property
    def address(self) -> str:
        """Where it listens, as it is shown."""
        return str(self.unix_socket or f"{self.host}:{self.port}")

    def __str__(self) -> str:
        return f"{self.user}@{self.address}"


class ServerError(OpskitError):
    """An error number that no class of `opskit.errors` speaks for: a bug in opskit until it is given one."""

    def __init__(self, number: int, message: str) -> None:
        super().__init__(f"MySQL error {number}: {message}")
        self.number = number


_DENIED = {
    ER.ACCESS_DENIED_ERROR,
    ER.DBACCESS_DENIED_ERROR,
    ER.TABLEACCESS_DENIED_ERROR,
    ER.COLUMNACCESS_DENIED_ERROR,
    ER.SPECIFIC_ACCESS_DENIED_ERROR,
    ER.PROCACCESS_DENIED_ERROR,
    1370,  # ER_PROCACCESS_DENIED_ERROR for ALTER ROUTINE and EXECUTE
    1419,  # ER_BINLOG_CREATE_ROUTINE_NEED_SUPER
    1862,  # ER_MUST_CHANGE_PASSWORD_LOGIN
    3118,  # ER_ACCOUNT_HAS_BEEN_LOCKED
    3879,  # ER_ACCESS_DENIED_NO_PASSWORD...: login without a password refused
}
_UNAVAILABLE = {
    0,  # PyMySQL: this connection was closed, after an error that is raised elsewhere
    CR.CR_SERVER_GONE_ERROR,
    CR.CR_SERVER_LOST,
    CR.CR_CONN_HOST_ERROR,
    CR.CR_CONNECTION_ERROR,
    1040,  # too many connections
    1053,  # server shutdown in progress
    1077,  # normal shutdown
    1079,  # shutdown complete
    1152,  # aborted connection
    1158,  # network read
    1159,  # network read interrupted
    1160,  # network write
    1161,  # network write interrupted
    1203,  # more than max_user_connections
    LOCK_WAIT_TIMEOUT,
    1213,  # deadlock
    1226,  # user limit reached
    1290,  # server is read-only (a failover in progress, or a replica)
    1317,  # query killed
    1412,  # the table's definition changed under the snapshot
    1836,  # read-only mode
    1927,  # MariaDB: connection was killed
    1969,  # MariaDB: max_statement_time
    2014,  # commands out of sync: what a broken stream leaves behind
    3024,  # max_execution_time
    3032,  # server is offline
    3169,  # session was killed
    4031,  # disconnected for idling
}
_NOT_FOUND = {ER.BAD_DB_ERROR, ER.WRONG_DB_NAME, ER.NO_SUCH_TABLE}
_NO_SPACE = {
    3,  # EE_WRITE: a temporary file of a sort
    1021,  # ER_DISK_FULL
    1026,  # ER_ERROR_ON_WRITE
    1114,  # the table is full
    1030,  # storage engine error: 28 is ENOSPC; see below
    1878,  # ER_TEMP_FILE_WRITE_FAILURE: an index is built, and innodb_tmpdir is full
}
# What a person has to set on the server.
_SETTINGS = {
    1153: "raise max_allowed_packet on the server",
    1197: "raise max_binlog_cache_size on the server",
    1206: "raise innodb_buffer_pool_size on the server: it has the table of locks",
    1418: "SET GLOBAL log_bin_trust_function_creators = 1 on the server",
}
# What to look at when a database is not had: to a user who may not see all of them, one that is not there is denied.
_WHICH_DATABASE = "look at the name of the database; SHOW DATABASES tells which ones this user may see"
_LOOK_AT_DATABASE = {
    ER.BAD_DB_ERROR: _WHICH_DATABASE,
    ER.WRONG_DB_NAME: _WHICH_DATABASE,
    ER.DBACCESS_DENIED_ERROR: "the login is right: look at the name of the database, and at this user's GRANTs on it",
}
# What to look at when a connection is not had.
_LOOK_AT: dict[type[OpskitError], str] = {
    DeniedError: "look at user and password, and at the hosts that the account is for",
    UnavailableError: "look at host and port, at the network, and whether the server runs",
}
_REFUSED = {
    ER.DB_CREATE_EXISTS,
    ER.TABLE_EXISTS_ERROR,
}


# What a severed connection looks like under TLS; all other errors of TLS are for a person to mend.
_TLS_CUT_OFF = (ssl.SSLEOFError, ssl.SSLZeroReturnError, ssl.SSLSyscallError)


def translate(error: BaseException, doing: str) -> OpskitError:
    """Return the `OpskitError` that stands for a foreign error met while `doing` something."""
    if isinstance(error, OpskitError):
        return error
    cause = error.__cause__ or error.__context__ or error
    for candidate in (error, cause, *getattr(error, "args", ())):
        if isinstance(candidate, ssl.SSLCertVerificationError):
            return ConfigurationError(
                f"{doing}: the server's certificate cannot be verified: {candidate.verify_message}",
                hint="set tls.ca_file to the CA that signed it, and connect by the name in the certificate",
            )
        if isinstance(candidate, _TLS_CUT_OFF):
            return UnavailableError(f"{doing}: the connection was cut off: {candidate.reason or candidate}")
        if isinstance(candidate, ssl.SSLError):
            return ConfigurationError(f"{doing}: TLS failed: {candidate.reason or candidate}")
    if isinstance(error, pymysql.err.Error) and error.args and isinstance(error.args[0], int):
        text = str(error.args[1]) if len(error.args) > 1 else ""
        return _by_number(error.args[0], text, doing)
    if isinstance(error, pymysql.err.Error | OSError | EOFError):
        return UnavailableError(f"{doing}: {error or type(error).__name__}")
    message = f"{doing}: {type(error).__name__}: {error}"
    return OpskitError(message)


def _by_number(number: int, text: str, doing: str) -> OpskitError:
    message = f"{doing}: {text} ({number})"
    if number in _DENIED:
        return DeniedError(message, hint=_LOOK_AT_DATABASE.get(number))
    if number in _UNAVAILABLE:
        return UnavailableError(message)
    if number in _NOT_FOUND:
        return NotFoundError(message, hint=_LOOK_AT_DATABASE.get(number))
    if number in _NO_SPACE:
        return NoSpaceError(message, hint="make room on the server, or raise the limit that its table has met")
    if number in _REFUSED:
        return RefusedError(message)
    if number == CR.CR_SSL_CONNECTION_ERROR:
        return ConfigurationError(message, hint="a server without TLS needs tls.mode: disabled (?tls=disabled)")
    if number in _SETTINGS:
        return ConfigurationError(message, hint=_SETTINGS[number])
    return ServerError(number, f"{doing}: {text}")


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Translate every foreign error raised inside; `doing` says what was under way."""
    try:
        yield
    except (pymysql.err.Error, OSError, EOFError) as error:
        raise translate(error, doing) from error


def connect(endpoint: Endpoint, database: str | None = None) -> Connection:
    """Log in, within `endpoint.connect_timeout` an answer, and set the session that every dump and load uses.

    Never reconnects by itself, never sends several statements at once, and refuses `mysql_clear_password`
    unless the server's certificate was verified.
    """
    try:
        with translated(f"connecting to MySQL at {endpoint.address}"):
            return _logged_in(endpoint, database)
    except (DeniedError, UnavailableError) as error:
        error.hint = error.hint or _LOOK_AT[type(error)]
        raise


def _logged_in(endpoint: Endpoint, database: str | None) -> Connection:
    connection = pymysql.connections.Connection(
        host=endpoint.host,
        port=endpoint.port,
        unix_socket=str(endpoint.unix_socket) if endpoint.unix_socket else None,
        user=endpoint.user,
        password=endpoint.password,
        database=database,
        charset="utf8mb4",
        autocommit=True,
        connect_timeout=endpoint.connect_timeout,
        # Until the login is over: PyMySQL's own connect_timeout ends with the TCP connection.
        read_timeout=endpoint.connect_timeout,
        write_timeout=endpoint.connect_timeout,
        ssl=_tls_context(endpoint),
        ssl_disabled=endpoint.tls_mode == "disabled",
        local_infile=False,
        auth_plugin_map=_refused_plugins(endpoint),
        program_name="opskit",
    )
    settings = _session(connection)
    execute(connection, "SET SESSION " + ", ".join(f"{name} = {value}" for name, value in settings.items()))
    private: Any = connection
    private._read_timeout = private._write_timeout = endpoint.read_timeout  # noqa: SLF001 - no other way; a test pins it
    return connection


def _session(connection: Connection) -> dict[str, str]:
    if is_mariadb(connection):
        return _SESSION | _SESSION_MARIADB
    recent = server_version(connection) >= (8, 0, 30)
    return _SESSION | _SESSION_MYSQL | (_SESSION_MYSQL_8_0_30 if recent else {})


def _tls_context(endpoint: Endpoint) -> ssl.SSLContext | None:
    if endpoint.tls_mode == "disabled":
        return None
    context = _verifying_context(endpoint)
    if endpoint.certificate_file is not None:
        try:
            # An empty password: else OpenSSL asks the terminal for that of an encrypted key.
            context.load_cert_chain(endpoint.certificate_file, endpoint.key_file, password="")
        except (OSError, ssl.SSLError) as error:
            pair = f"{endpoint.certificate_file} and {endpoint.key_file}"
            raise ConfigurationError(
                f"the client certificate and its key, {pair}, cannot be used: {error}",
                hint="both in PEM, the key not encrypted, and belonging together",
            ) from error
    return context


def _verifying_context(endpoint: Endpoint) -> ssl.SSLContext:
    if endpoint.tls_mode == "required":
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
        return context
    try:
        context = ssl.create_default_context(cafile=str(endpoint.ca_file) if endpoint.ca_file else None)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(f"the CA file {endpoint.ca_file} cannot be used: {error}") from error
    context.check_hostname = endpoint.tls_mode == "verify_identity"
    return context


class _RefusedPlugin:
    """Stands in for `mysql_clear_password`, which would hand the password to whoever answers."""

    def __init__(self, connection: Connection) -> None:
        del connection

    def authenticate(self, packet: object) -> None:
        del packet
        raise ConfigurationError(
            "the server asks for the password in clear text, and its certificate was not verified",
            hint="set tls.mode to verify_identity with a ca_file",
        )


def _refused_plugins(endpoint: Endpoint) -> dict[str, Callable[[Connection], Any]] | None:
    if endpoint.tls_mode in ("verify_ca", "verify_identity"):
        return None
    return {"mysql_clear_password": _RefusedPlugin}


def is_mariadb(connection: Connection) -> bool:
    """Tell MariaDB from MySQL by the version string that the handshake brought."""
    return "mariadb" in connection.get_server_info().lower()


def server_version(connection: Connection) -> tuple[int, ...]:
    """Return the version as numbers: `9.7.4-2` → `(9, 7, 4)`, `5.5.5-10.11.19-MariaDB` → `(10, 11, 19)`."""
    text = connection.get_server_info().lower()
    if is_mariadb(connection):
        text = text.removeprefix("5.5.5-")
    return tuple(int(part) for part in text.split("-")[0].split(".") if part.isdigit())


def require_supported(connection: Connection) -> None:
    """Refuse servers on which a dump cannot be faithful: CAST(FLOAT AS DOUBLE) came with MySQL 8.0.17."""
    version = server_version(connection)
    if not is_mariadb(connection) and version < (8, 0, 17):
        raise ConfigurationError(
            f"MySQL {connection.get_server_info()} is not supported: before 8.0.17 FLOAT cannot be read exactly"
        )


def execute(connection: Connection, statement: str | bytes, arguments: Sequence[object] = ()) -> list[Row]:
    """Run one statement and return its rows."""
    with translated("running a statement"), connection.cursor() as cursor:
        cursor.execute(statement, tuple(arguments) or None)  # type: ignore[arg-type] # bytes are taken as they are
        return list(cursor.fetchall())


def scalar(connection: Connection, statement: str, arguments: Sequence[object] = ()) -> Any:  # noqa: ANN401 - what the column holds
    """Return the first column of the first row, or None where there is no row."""
    rows = execute(connection, statement, arguments)
    return rows[0][0] if rows else None


def quote(identifier: str) -> str:
    """Return an identifier in backticks."""
    return "`" + identifier.replace("`", "``") + "`"


def compared_name(connection: Connection, database: str) -> str:
    """Return a database's name as the server compares it: in lower case unless lower_case_table_names is 0."""
    return str(scalar(connection, "SELECT IF(@@lower_case_table_names = 0, %s, LOWER(%s))", [database] * 2))


def error_number(error: BaseException) -> int | None:
    """Return the server's error number behind a translated error, if there is one."""
    cause = error.__cause__
    if isinstance(cause, pymysql.err.Error) and cause.args and isinstance(cause.args[0], int):
        return cause.args[0]
    return None
