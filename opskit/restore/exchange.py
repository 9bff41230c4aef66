"""The cut-over: every live table out, every other table in, in one RENAME TABLE.

RENAME TABLE of several tables is atomic in MySQL 8 and newer: a crash or a bad name in the list changes nothing
(measured on 9.7). It cannot move what is not a table: a view cannot be renamed across databases (1450), and a
trigger stops the rename (1435). Registries are databases of tables only.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from opskit.errors import BusyError, ConfigurationError, RefusedError, UnavailableError
from opskit.mysql.connection import Connection, error_number, execute, is_mariadb, quote
from opskit.mysql.lease import Lease
from opskit.restore import target as targets
from opskit.restore.target import Target

_TRIES = 3  # of lock_wait_timeout, 5 s, each: a long transaction of the registry is given time to end
_LOCK_WAIT_TIMEOUT = 1205

_NOT_TABLES = (
    ("view", "SELECT table_name FROM information_schema.views WHERE table_schema = %s"),
    ("trigger", "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = %s"),
    ("routine", "SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s"),
    ("event", "SELECT event_name FROM information_schema.events WHERE event_schema = %s"),
    (
        "foreign key from outside",
        (
            "SELECT table_name FROM information_schema.key_column_usage"
            " WHERE referenced_table_schema = %s AND table_schema <> referenced_table_schema"
        ),
    ),
)


@dataclass(frozen=True, slots=True)
class Exchange:
    """What was moved: the live database's former tables are in `outgoing`, those of `incoming` are live."""

    live: str
    incoming: str
    outgoing: str
    moved_out: tuple[str, ...]
    moved_in: tuple[str, ...]


def require_exchangeable(connection: Connection, databases: Iterable[str]) -> None:
    """Raise `RefusedError` that names everything a RENAME cannot move."""
    if is_mariadb(connection):
        raise ConfigurationError(
            "a swap needs MySQL 8 or newer: MariaDB does not rename several tables atomically",
            hint="restore into a new database with --into, and point the registry at it",
        )
    found = [
        f"{kind} {name} in {database}"
        for database in databases
        for kind, query in _NOT_TABLES
        for (name,) in execute(connection, query, [database])
    ]
    if found:
        raise RefusedError(
            f"only databases of tables can be swapped: {', '.join(found)}",
            hint="restore into a new database with --into, and point the registry at it",
        )


def exchange(connection: Connection, lease: Lease, live: str, incoming: str, outgoing: Target, origin: str) -> Exchange:
    """Move every table of `live` to `outgoing`, and every table of `incoming` to `live`, at once.

    The live database is made where it is missing. `origin` is the backup that the tables came from, for the mark.
    `BusyError` if the registry holds its tables for longer than three tries of five seconds; then, and on any
    error before the RENAME, nothing has changed.
    """
    charset, collation = _character_set(connection, incoming)
    if targets.exists(connection, live):
        require_exchangeable(connection, (live, incoming))
    else:
        require_exchangeable(connection, (incoming,))
        execute(connection, f"CREATE DATABASE {quote(live)} DEFAULT CHARACTER SET {charset} COLLATE {collation}")
    out, moved_in = targets.tables(connection, live), targets.tables(connection, incoming)
    former = _character_set(connection, live)
    targets.create(connection, outgoing, *former)
    try:
        targets.mark(connection, outgoing, origin)
        _set_character_set(connection, live, charset, collation)
        _rename(connection, lease, live, incoming, outgoing.database, out, moved_in)
    except BaseException:
        _set_character_set(connection, live, *former)
        targets.empty(connection, outgoing.database, (), drop=True)
        raise
    return Exchange(live, incoming, outgoing.database, tuple(out), tuple(moved_in))


def finish(connection: Connection, done: Exchange) -> tuple[str, ...]:
    """After an exchange, drop the database that is empty now, and return tables that have no business in `live`."""
    targets.drop_if_spent(connection, done.incoming)
    return tuple(sorted(set(targets.tables(connection, done.live)) ^ set(done.moved_in)))


def _set_character_set(connection: Connection, database: str, charset: str, collation: str) -> None:
    if _character_set(connection, database) != (charset, collation):
        execute(connection, f"ALTER DATABASE {quote(database)} DEFAULT CHARACTER SET {charset} COLLATE {collation}")


def _rename(
    connection: Connection, lease: Lease, live: str, incoming: str, outgoing: str, out: list[str], moved_in: list[str]
) -> None:
    moves = [(live, outgoing, table) for table in out] + [(incoming, live, table) for table in moved_in]
    statement = "RENAME TABLE " + ", ".join(
        f"{quote(source)}.{quote(table)} TO {quote(destination)}.{quote(table)}" for source, destination, table in moves
    )
    for _ in range(_TRIES):
        try:
            lease.execute(statement)
        except UnavailableError as error:
            if error_number(error) != _LOCK_WAIT_TIMEOUT:
                _settle(connection, live, incoming, out, moved_in, error)
                return
        else:
            return
    raise BusyError(
        "the registry holds its tables: the swap did not get them within three tries",
        hint="stop the registry (scale it to 0, or end its long transaction) and run it again",
    )


def _settle(
    connection: Connection, live: str, incoming: str, out: list[str], moved_in: list[str], error: UnavailableError
) -> None:
    """After an answer that was lost, look whether the rename happened: it did as a whole, or not at all."""
    if sorted(targets.tables(connection, incoming)) == sorted(moved_in):
        raise error
    if sorted(targets.tables(connection, live)) != sorted(moved_in):
        raise UnavailableError(
            f"{error.message}; the tables of {live!r} are neither the former ({len(out)}) nor the new ones",
            hint="look at the database before anything else runs",
        ) from error


def _character_set(connection: Connection, database: str) -> tuple[str, str]:
    rows = execute(
        connection,
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
        " WHERE schema_name = %s",
        [database],
    )
    return str(rows[0][0]), str(rows[0][1])
