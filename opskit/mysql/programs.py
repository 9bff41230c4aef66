"""Views, triggers, routines and events: read, written to files with DELIMITER, and read back.

A program's text is handled as bytes: the server keeps it in the character set of the client that made it, and
gives it back unchanged only when character_set_results is NULL.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

from opskit.errors import ConfigurationError, CorruptError
from opskit.mysql.connection import Connection, execute, quote

ProgramKind = Literal["view", "procedure", "function", "event", "trigger"]
# (kind, name) → (definer, table), as the manifest has them.
Expected = Mapping[tuple[ProgramKind, str], tuple[str, str | None]]

_ROUTINES = (
    "SELECT routine_type, routine_name, definer FROM information_schema.routines WHERE routine_schema = %s"
    " ORDER BY routine_type, routine_name"
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

_IDENTIFIER = rb"`(?:[^`]|``)+`"
_DEFINER = rb"DEFINER=(?P<definer>" + _IDENTIFIER + rb"@" + _IDENTIFIER + rb"|" + _IDENTIFIER + rb") "
_HEADS = {
    "procedure": re.compile(rb"CREATE " + _DEFINER + rb"PROCEDURE (?P<name>" + _IDENTIFIER + rb")\s*\("),
    "function": re.compile(rb"CREATE " + _DEFINER + rb"(?:AGGREGATE )?FUNCTION (?P<name>" + _IDENTIFIER + rb")\s*\("),
    "event": re.compile(rb"CREATE " + _DEFINER + rb"EVENT (?P<name>" + _IDENTIFIER + rb") ON SCHEDULE "),
    "view": re.compile(
        rb"CREATE (?:OR REPLACE )?(?:ALGORITHM=\w+ )?" + _DEFINER + rb"SQL SECURITY (?:DEFINER|INVOKER) VIEW "
        rb"(?P<name>" + _IDENTIFIER + rb")(?: \([^()]*\))? AS ",
        re.IGNORECASE,
    ),
    "trigger": re.compile(
        rb"CREATE " + _DEFINER + rb"TRIGGER\s+(?P<name>" + _IDENTIFIER + rb"|[\w$]+)\s+(?:BEFORE|AFTER)\s+"
        rb"(?:INSERT|UPDATE|DELETE)\s+ON\s+(?P<table>" + _IDENTIFIER + rb"|[\w$]+)\s+FOR\s+EACH\s+ROW\s+",
        re.IGNORECASE,
    ),
}
_PLACEHOLDER = re.compile(
    rb"CREATE VIEW (?P<name>"
    + _IDENTIFIER
    + rb") AS SELECT 1 AS "
    + _IDENTIFIER
    + rb"(?:, 1 AS "
    + _IDENTIFIER
    + rb")*"
)
_EVENT_STATE = re.compile(rb"( ON COMPLETION (?:NOT )?PRESERVE )(ENABLE|DISABLE ON (?:SLAVE|REPLICA)|DISABLE)\b")
_ALTER_EVENT = re.compile(
    rb"ALTER EVENT (?P<name>" + _IDENTIFIER + rb") (?:ENABLE|DISABLE ON (?:SLAVE|REPLICA)|DISABLE)"
)
_SESSION = re.compile(
    rb"SET SESSION character_set_client = \w+, collation_connection = \w+, sql_mode = '[A-Z0-9_,]*',"
    rb" time_zone = '[A-Za-z0-9_+:/-]+'"
)


@dataclass(frozen=True, slots=True)
class Program:
    """One view, routine, event or trigger: the statement that makes it, and the session it wants.

    `columns` are a view's, `event_state` is an event's recorded state, as its statement spells it.
    """

    kind: ProgramKind
    name: str
    create: bytes
    definer: str
    sql_mode: str
    character_set: str
    collation: str
    time_zone: str
    table: str | None = None
    columns: tuple[str, ...] = ()
    event_state: str | None = None

    def names_database(self, database: str) -> bool:
        """Tell whether the text mentions the database, as far as text can tell."""
        name = re.escape(database.encode())
        return re.search(rb"(?<![\w$])`?" + name + rb"`?\s*\.", self.create) is not None


def read_programs(connection: Connection, database: str, *, skip_routines: bool = False) -> list[Program]:
    """Read every routine, event, view and trigger, in the order in which they are restored.

    One whose body this user may not see, and a view that is broken, raise `ConfigurationError`: nothing is
    skipped unless told.
    """
    programs = []
    if not skip_routines:
        for kind, name, _ in execute(connection, _ROUTINES, [database]):
            if kind not in ("PROCEDURE", "FUNCTION"):
                raise ConfigurationError(f"{kind.lower()} {name!r} cannot be saved")
            programs.append(_read(connection, "procedure" if kind == "PROCEDURE" else "function", name))
    programs += [_read(connection, "event", name) for name, _, _ in execute(connection, _EVENTS, [database])]
    for name, _ in execute(connection, _VIEWS, [database]):
        columns = tuple(column for (column,) in execute(connection, _VIEW_COLUMNS, [database, name]))
        if not columns:
            raise ConfigurationError(
                f"view {name!r} refers to something that is gone: it could not be restored",
                hint="repair the view, or drop it",
            )
        programs.append(_read(connection, "view", name, columns=columns))
    programs += [
        _read(connection, "trigger", name, table=table, fires=f"{timing} {event}")
        for name, _, table, timing, event in execute(connection, _TRIGGERS, [database])
    ]
    return programs


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
    state = _EVENT_STATE.search(create) if kind == "event" else None
    create = _canonical(kind, name, table, fires, create)
    head = _HEADS[kind].match(create)
    if head is None:
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
        event_state=state[2].decode() if state else None,
    )


def _canonical(kind: ProgramKind, name: str, table: str | None, fires: str, create: bytes) -> bytes:
    if kind == "view":
        return create.replace(b"CREATE ", b"CREATE OR REPLACE ", 1)
    if kind == "event":
        # An enabled event fires as soon as it is there, rows or no rows; its state follows at the end.
        return _EVENT_STATE.sub(rb"\1DISABLE", create, count=1)
    if kind == "trigger" and not _names(_HEADS["trigger"].match(create), name, table):
        # The server keeps the head as it was typed, with the database's name perhaps.
        typed = re.match(
            rb"CREATE (" + _DEFINER + rb")TRIGGER\b.*?\bFOR\s+EACH\s+ROW\s+(?P<body>.*)",
            create,
            re.DOTALL | re.IGNORECASE,
        )
        if typed is None or table is None:
            raise ConfigurationError(f"trigger {name!r} has a definition that opskit does not understand")
        head = f"TRIGGER {quote(name)} {fires} ON {quote(table)} FOR EACH ROW ".encode()
        return b"CREATE " + typed[1] + head + typed["body"]
    return create


def _unquoted(identifier: bytes) -> str:
    text = identifier.decode("utf-8", "replace")
    return text[1:-1].replace("``", "`") if text.startswith("`") else text


def _names(head: re.Match[bytes] | None, name: str, table: str | None) -> bool:
    return head is not None and _unquoted(head["name"]) == name and (table is None or _unquoted(head["table"]) == table)


def render(programs: list[Program]) -> bytes:
    """Return the content of one file of programs, ready for the `mysql` client."""
    statements: list[bytes] = []
    for program in programs:
        if program.kind == "view":
            columns = ", ".join(f"1 AS {quote(column)}" for column in program.columns)
            statements.append(f"CREATE VIEW {quote(program.name)} AS SELECT {columns}".encode())
    for program in programs:
        statements.append(
            f"SET SESSION character_set_client = {program.character_set}, collation_connection = {program.collation},"
            f" sql_mode = '{program.sql_mode}', time_zone = '{program.time_zone}'".encode()
        )
        statements.append(program.create)
    statements += [
        f"ALTER EVENT {quote(program.name)} {program.event_state}".encode()
        for program in programs
        if program.event_state not in (None, "DISABLE")
    ]
    delimiter = _free_delimiter(statements)
    ended = b"".join(statement + delimiter + b"\n" for statement in statements)
    return b"DELIMITER " + delimiter + b"\n" + ended + b"DELIMITER ;\n"


def _free_delimiter(statements: list[bytes]) -> bytes:
    text = b"\n".join(statements)
    candidates = [b";;", *(b"//%d//" % number for number in range(1000))]
    return next(candidate for candidate in candidates if candidate not in text)


@dataclass(frozen=True, slots=True)
class ProgramStatement:
    """One statement of a program file, and what it is: a session setting, a placeholder, the program, its state."""

    role: Literal["session", "placeholder", "create", "state"]
    statement: bytes
    kind: ProgramKind | None = None
    name: str = ""
    definer: str = ""


def parse(content: bytes, expected: Expected) -> list[ProgramStatement]:
    """Read a program file back; `expected` maps (kind, name) to (definer, table), as the manifest has them.

    `CorruptError` for anything that `render` would not have written, or that the manifest does not name.
    """
    lines = re.fullmatch(rb"DELIMITER (?P<delimiter>;;|//\d{1,3}//)\n(?P<body>.*)DELIMITER ;\n", content, re.DOTALL)
    if lines is None:
        raise CorruptError("a file of programs has a form that opskit does not write")
    *statements, rest = lines["body"].split(lines["delimiter"] + b"\n")
    if rest:
        raise CorruptError("a file of programs ends in the middle of a statement")
    return [_judge(statement, expected) for statement in statements]


def _judge(statement: bytes, expected: Expected) -> ProgramStatement:
    if _SESSION.fullmatch(statement):
        return ProgramStatement("session", statement)
    if (placeholder := _PLACEHOLDER.fullmatch(statement)) and (
        "view",
        _unquoted(placeholder["name"]),
    ) in expected:
        return ProgramStatement("placeholder", statement, "view", _unquoted(placeholder["name"]))
    if (state := _ALTER_EVENT.fullmatch(statement)) and ("event", _unquoted(state["name"])) in expected:
        return ProgramStatement("state", statement, "event", _unquoted(state["name"]))
    kinds: tuple[ProgramKind, ...] = ("procedure", "function", "event", "view", "trigger")
    for kind in kinds:
        head = _HEADS[kind].match(statement)
        if head is None:
            continue
        name, definer = _unquoted(head["name"]), head["definer"].decode("utf-8", "replace")
        if (kind, name) not in expected:
            raise CorruptError(f"{kind} {name!r} is not in the manifest")
        wanted_definer, wanted_table = expected[kind, name]
        if definer != wanted_definer:
            raise CorruptError(f"{kind} {name!r} has DEFINER {definer}, the manifest says {wanted_definer}")
        if kind == "trigger" and _unquoted(head["table"]) != wanted_table:
            raise CorruptError(f"trigger {name!r} is for another table than the manifest says")
        if kind == "event" and not re.search(rb" ON COMPLETION (?:NOT )?PRESERVE DISABLE\b", statement):
            raise CorruptError(f"event {name!r} would start by itself")
        return ProgramStatement("create", statement, kind, name, definer)
    raise CorruptError(f"a statement that opskit does not write: {statement[:60]!r}")


def without_definer(statement: bytes) -> bytes:
    """Return the statement that makes the program belong to whoever runs it."""
    return re.sub(_DEFINER, b"", statement, count=1)
