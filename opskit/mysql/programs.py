"""Views, triggers, routines and events, read from the server."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from opskit.errors import ConfigurationError
from opskit.mysql.connection import Connection, execute, quote
from opskit.mysql.grants import current_user
from opskit.mysql.program_text import DEFINER, HEADS, Program, ProgramKind, reads_alike, unquoted

_ROUTINES = (
    "SELECT routine_type, routine_name, definer FROM information_schema.routines WHERE routine_schema = %s"
    " ORDER BY routine_type, routine_name"
)
_HIDDEN = (
    "SELECT routine_type, routine_name FROM information_schema.routines"
    " WHERE routine_schema = %s AND routine_definition IS NULL ORDER BY routine_type, routine_name"
)
_EVENTS = (
    "SELECT event_name, definer, status FROM information_schema.events WHERE event_schema = %s ORDER BY event_name"
)
_VIEWS = "SELECT table_name, definer FROM information_schema.views WHERE table_schema = %s ORDER BY table_name"
_VIEW_COLUMNS = (
    "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s"
    " ORDER BY ordinal_position"
)
_TRIGGERS = (
    "SELECT trigger_name, definer, event_object_table, action_timing, event_manipulation"
    " FROM information_schema.triggers WHERE trigger_schema = %s"
    " ORDER BY event_object_table, action_timing, event_manipulation, action_order"
)


def read_programs(connection: Connection, database: str, *, skip_routines: bool = False) -> list[Program]:
    """Read every routine, view, trigger and event, in the order in which they are restored.

    One whose body this user may not see, and a view that is broken, raise `ConfigurationError`: nothing is
    skipped unless told.
    """
    programs = []
    if not skip_routines:
        _require_bodies(connection, database)
        for kind, name, _ in execute(connection, _ROUTINES, [database]):
            if kind not in ("PROCEDURE", "FUNCTION"):
                raise ConfigurationError(f"{kind.lower()} {name!r} cannot be saved")
            programs.append(_read(connection, "procedure" if kind == "PROCEDURE" else "function", name))
    views = [_read_view(connection, database, name) for name, _ in execute(connection, _VIEWS, [database])]
    programs += _readers_last(views)
    programs += [
        _read(connection, "trigger", name, table=table, fires=f"{timing} {event}")
        for name, _, table, timing, event in execute(connection, _TRIGGERS, [database])
    ]
    programs += [_read(connection, "event", name) for name, _, _ in execute(connection, _EVENTS, [database])]
    return programs


def _require_bodies(connection: Connection, database: str) -> None:
    """Raise one error that names every routine whose body this user may not see."""
    if hidden := [f"{kind.lower()} {name!r}" for kind, name in execute(connection, _HIDDEN, [database])]:
        raise ConfigurationError(
            f"this user may not see the body of {', '.join(hidden)}: what is hidden cannot be saved",
            hint=f"run as an administrator: GRANT SHOW_ROUTINE ON *.* TO {current_user(connection)};"
            " or leave routines out with --skip-routines",
        )


def _read_view(connection: Connection, database: str, name: str) -> Program:
    columns = tuple(column for (column,) in execute(connection, _VIEW_COLUMNS, [database, name]))
    if not columns:
        raise ConfigurationError(
            f"view {name!r} refers to something that is gone: it could not be restored",
            hint="repair the view, or drop it",
        )
    return _read(connection, "view", name, columns=columns)


def _readers_last(views: list[Program]) -> list[Program]:
    """Order views so that each follows those that it reads.

    A placeholder does not do for a view WITH CHECK OPTION: what it reads must be updatable (1368). Names are
    looked for in the text, where every one that is used stands in backticks; what merely looks like one costs
    nothing, unless it makes a circle, and then the placeholders help.
    """
    names = {quote(view.name).lower().encode(): view for view in views}
    ordered: dict[str, Program] = {}
    seen: set[str] = set()

    def visit(view: Program) -> None:
        if view.name in seen:
            return
        seen.add(view.name)
        text = view.create.decode("utf-8", "replace").lower().encode()
        for name, other in names.items():
            if name in text:
                visit(other)
        ordered[view.name] = view

    for view in views:
        visit(view)
    return list(ordered.values())


@contextmanager
def _as_bytes(connection: Connection) -> Iterator[None]:
    execute(connection, "SET SESSION character_set_results = NULL")
    connection.use_unicode = False  # an argument of its constructor, read at each result
    try:
        yield
    finally:
        connection.use_unicode = True
        execute(connection, "SET SESSION character_set_results = utf8mb4")


def _read(
    connection: Connection,
    kind: ProgramKind,
    name: str,
    *,
    table: str | None = None,
    columns: tuple[str, ...] = (),
    fires: str = "",
) -> Program:
    # Read by position: the names of these columns differ between kinds and products.
    with _as_bytes(connection):
        row = execute(connection, f"SHOW CREATE {kind.upper()} {quote(name)}")[0]
    sql_mode, time_zone = b"", b"+00:00"
    if kind == "view":
        _, create, character_set, collation = row[:4]
    elif kind == "event":
        _, sql_mode, time_zone, create, character_set, collation = row[:6]
    else:
        _, sql_mode, create, character_set, collation = row[:5]
    if not create:
        raise ConfigurationError(
            f"the body of {kind} {name!r} is not shown to this user: it cannot be saved",
            hint="GRANT SHOW_ROUTINE ON *.* to the backup user, or leave routines out with --skip-routines",
        )
    event = HEADS["event"].match(create) if kind == "event" else None
    create = _canonical(kind, name, table, fires, create)
    head = HEADS[kind].match(create)
    if head is None or not reads_alike(head[0], character_set.decode(), sql_mode.decode()):
        raise ConfigurationError(f"{kind} {name!r} has a definition that opskit does not understand")
    return Program(
        kind=kind,
        name=name,
        create=create,
        definer=head["definer"].decode(),
        sql_mode=sql_mode.decode(),
        character_set=character_set.decode(),
        collation=collation.decode(),
        time_zone=time_zone.decode(),
        table=table,
        columns=columns,
        event_state=event["state"].decode() if event else None,
    )


def _canonical(kind: ProgramKind, name: str, table: str | None, fires: str, create: bytes) -> bytes:
    if kind == "view":
        return create.replace(b"CREATE ", b"CREATE OR REPLACE ", 1)
    if kind == "event":
        # An enabled event fires as soon as it is there, rows or no rows; its state follows at the end.
        event = HEADS["event"].match(create)
        return create[: event.start("state")] + b"DISABLE" + create[event.end("state") :] if event else create
    if kind == "trigger" and not _names(HEADS["trigger"].match(create), name, table):
        # The server keeps the head as it was typed, with the database's name perhaps.
        typed = re.match(
            rb"CREATE (" + DEFINER + rb")TRIGGER\b.*?\bFOR\s+EACH\s+ROW\s+(?P<body>.*)",
            create,
            re.DOTALL | re.IGNORECASE,
        )
        if typed is None or table is None:
            raise ConfigurationError(f"trigger {name!r} has a definition that opskit does not understand")
        head = f"TRIGGER {quote(name)} {fires} ON {quote(table)} FOR EACH ROW ".encode()
        return b"CREATE " + typed[1] + head + typed["body"]
    return create


def _names(head: re.Match[bytes] | None, name: str, table: str | None) -> bool:
    return head is not None and unquoted(head["name"]) == name and (table is None or unquoted(head["table"]) == table)
