"""The cut-over: every live table out, every other table in, in one RENAME TABLE.

RENAME TABLE of several tables is atomic in MySQL 8 and newer: a crash or a bad name in the list changes nothing
(measured on 9.7). It cannot move what is not a table: a view cannot be renamed across databases (1450), and a
trigger stops the rename (1435). Registries are databases of tables only.
"""

import contextlib
import time
from collections.abc import Iterable
from dataclasses import dataclass

from opskit.errors import (
    BusyError,
    ConfigurationError,
    DeniedError,
    OpskitError,
    RefusedError,
    UnavailableError,
    advise,
    advised,
)
from opskit.mysql.connection import (
    Connection,
    Endpoint,
    ServerError,
    connect,
    error_number,
    execute,
    is_mariadb,
    quote,
)
from opskit.mysql.grants import exchange_grant, may_exchange
from opskit.mysql.lease import Lease
from opskit.restore import target as targets
from opskit.restore.target import Target

UNTOUCHED = "the live registry was not touched"

# A long transaction of the registry is given time to end. A RENAME that waits stops every new reader of its tables, so
# it waits a second at a time, and lets them through in between.
_TRIES = 10
_LOCK_SECONDS = 1
_LOCK_WAIT_TIMEOUT = 1205
_NOT_RENAMED = {
    1435,  # a trigger
    1450,  # a view
}
# A server that crashed in the middle of the RENAME is asked what became of it when it is back.
_SETTLE_SECONDS = 60.0

_NOT_TABLES = (
    ("view", "SELECT table_name FROM information_schema.views WHERE table_schema = %s"),
    ("trigger", "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = %s"),
    ("routine", "SELECT routine_name FROM information_schema.routines WHERE routine_schema = %s"),
    ("event", "SELECT event_name FROM information_schema.events WHERE event_schema = %s"),
    (
        "foreign key from outside",
        (
            "SELECT DISTINCT CONCAT(table_schema, '.', table_name) FROM information_schema.key_column_usage"
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
    """Raise `RefusedError` that names everything a RENAME cannot move, as far as this user may see it."""
    if is_mariadb(connection):
        raise ConfigurationError(
            "a swap needs MySQL 8 or newer: MariaDB does not rename several tables atomically",
            hint="restore into a new database with --into, and point the registry at it",
        )
    refuse_programs(
        f"{kind} {name} in {database}"
        for database in databases
        for kind, query in _NOT_TABLES
        for (name,) in execute(connection, query, [database])
    )


def refuse_programs(found: Iterable[str]) -> None:
    """Raise `RefusedError` that names what was found, if anything was, beside tables."""
    if names := list(found):
        raise RefusedError(
            f"only databases of tables can be swapped: {', '.join(names)}",
            hint="restore into a new database with --into, and point the registry at it",
        )


def require_allowed(connection: Connection, live: str) -> None:
    """Raise `DeniedError` with the GRANT that lets this user move tables out of and into `live`."""
    if not may_exchange(connection, live):
        raise DeniedError(
            f"this user may not rename tables of {live!r}",
            hint=f"run as an administrator: {exchange_grant(connection, live)};",
        )


def exchange(
    server: Endpoint,
    lease: Lease,
    live: str,
    incoming: str,
    outgoing: Target,
    origin: str,
    untouched: str = UNTOUCHED,
) -> Exchange:
    """Move every table of `live` to `outgoing`, and every table of `incoming` to `live`, at once.

    The live database is made where it is missing. `origin` is the backup that holds the tables moved out, for the
    mark. `BusyError` if the registry holds its tables for longer than ten tries of a second. Whatever goes
    wrong, the tables were moved all together or not at all, and the error says which: `untouched` where they were not.
    """
    with advised(untouched):
        connected = connect(server)
    with contextlib.closing(connected) as connection:
        with advised(untouched):
            wanted = _character_set(connection, incoming)
            _make_live(connection, live, incoming, wanted)
            former = _character_set(connection, live)
            out, moved_in = targets.tables(connection, live), targets.tables(connection, incoming)
            if not moved_in:
                raise RefusedError(f"there is no table in {incoming!r}: the registry would be empty")
            targets.create(connection, outgoing, *former)
        done = Exchange(live, incoming, outgoing.database, tuple(out), tuple(moved_in))
        try:
            targets.mark(connection, outgoing, origin)
            _set_character_set(connection, live, wanted)
            _rename(lease, done, exchange_grant(connection, live))
        except BaseException as error:
            if not _took_place(server, lease, done, former):
                advise(error, untouched)
                raise
            if not isinstance(error, OpskitError):  # an interruption that came too late; else an answer was lost
                advise(error, f"the tables were exchanged; those of before are in {outgoing.database}")
                raise
    return done


def finish(connection: Connection, done: Exchange) -> tuple[str, ...]:
    """After an exchange, drop databases that are empty now, and return tables that have no business in `live`."""
    for database in (done.incoming, done.outgoing):
        targets.drop_if_spent(connection, database)
    return tuple(sorted(set(targets.tables(connection, done.live)) ^ set(done.moved_in)))


def _make_live(connection: Connection, live: str, incoming: str, character_set: tuple[str, str]) -> None:
    if targets.exists(connection, live):
        require_exchangeable(connection, (live, incoming))
        return
    require_exchangeable(connection, (incoming,))
    targets.create(connection, Target(live, staging=False), *character_set)


def _set_character_set(connection: Connection, database: str, wanted: tuple[str, str]) -> None:
    if _character_set(connection, database) != wanted:
        charset, collation = wanted
        execute(connection, f"ALTER DATABASE {quote(database)} DEFAULT CHARACTER SET {charset} COLLATE {collation}")


def _rename(lease: Lease, planned: Exchange, grant: str) -> None:
    moves = [(planned.live, planned.outgoing, table) for table in planned.moved_out]
    moves += [(planned.incoming, planned.live, table) for table in planned.moved_in]
    statement = "RENAME TABLE " + ", ".join(
        f"{quote(source)}.{quote(table)} TO {quote(destination)}.{quote(table)}" for source, destination, table in moves
    )
    lease.execute(f"SET SESSION lock_wait_timeout = {_LOCK_SECONDS}")
    for number in range(_TRIES):
        if number:
            time.sleep(_LOCK_SECONDS)
        try:
            lease.execute(statement)
        except UnavailableError as error:
            if error_number(error) != _LOCK_WAIT_TIMEOUT:
                raise
        except DeniedError as error:
            raise DeniedError(error.message, hint=f"run as an administrator: {grant};") from error
        except ServerError as error:
            if error.number in _NOT_RENAMED:  # made since they were looked for, or hidden from this user
                raise RefusedError(error.message, hint="only databases of tables can be swapped") from error
            raise
        else:
            return
    raise BusyError(
        "the registry holds its tables: the swap did not get them within ten tries",
        hint="stop the registry (scale it to 0, or end its long transaction) and run it again",
    )


def _took_place(server: Endpoint, lease: Lease, planned: Exchange, former: tuple[str, str]) -> bool:
    """Tell whether the RENAME took place, once it cannot any more; if it did not, undo what was done for it."""
    try:
        with contextlib.closing(_connect_patiently(server)) as connection:
            lease.end(connection)
            if not targets.tables(connection, planned.incoming):
                return True
            with contextlib.suppress(OpskitError):
                _set_character_set(connection, planned.live, former)
                targets.drop_if_spent(connection, planned.outgoing)
            return False
    except OpskitError as error:
        raise UnavailableError(
            f"whether the tables were exchanged is not known: {error.message}",
            hint=f"look when the server is back: if tables are in {planned.outgoing}, they are the former ones, and the"
            " swap took place; if not, nothing was changed; `opskit restore cleanup` lists both",
        ) from error


def _connect_patiently(server: Endpoint) -> Connection:
    deadline = time.monotonic() + _SETTLE_SECONDS
    while True:
        try:
            return connect(server)
        except UnavailableError:
            if time.monotonic() >= deadline:
                raise
            time.sleep(1)


def _character_set(connection: Connection, database: str) -> tuple[str, str]:
    rows = execute(
        connection,
        "SELECT default_character_set_name, default_collation_name FROM information_schema.schemata"
        " WHERE schema_name = %s",
        [database],
    )
    return str(rows[0][0]), str(rows[0][1])
