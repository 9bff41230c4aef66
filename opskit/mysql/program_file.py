"""Files of programs: written with DELIMITER for the `mysql` client, and read back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from opskit.errors import CorruptError
from opskit.mysql.connection import quote
from opskit.mysql.program_text import DEFINER, HEADS, IDENTIFIER, Program, ProgramKind, unquoted

# (kind, name) → (definer, table), as the manifest has them.
Expected = Mapping[tuple[ProgramKind, str], tuple[str, str | None]]

_PLACEHOLDER = re.compile(
    rb"CREATE VIEW (?P<name>" + IDENTIFIER + rb") AS SELECT 1 AS " + IDENTIFIER + rb"(?:, 1 AS " + IDENTIFIER + rb")*"
)
_ALTER_EVENT = re.compile(
    rb"ALTER " + DEFINER + rb"EVENT (?P<name>" + IDENTIFIER + rb") (?:ENABLE|DISABLE ON (?:SLAVE|REPLICA))"
)
_SESSION = re.compile(
    rb"SET SESSION character_set_client = \w+, collation_connection = \w+, sql_mode = '[A-Z0-9_,]*',"
    rb" time_zone = '[A-Za-z0-9_+:/-]+'"
)


def render(programs: list[Program]) -> bytes:
    """Return the content of one file of programs, ready for the `mysql` client."""
    statements: list[bytes] = []
    for program in programs:
        if program.kind == "view":
            columns = ", ".join(f"1 AS {quote(column)}" for column in program.columns)
            statements.append(f"CREATE VIEW {quote(program.name)} AS SELECT {columns}".encode())
    for program in programs:
        statements += [_session(program), program.create]
    for program in programs:
        if program.event_state not in (None, "DISABLE"):
            # ALTER EVENT gives the event to whoever runs it, in that session, unless it is told otherwise.
            altered = f"ALTER DEFINER={program.definer} EVENT {quote(program.name)} {program.event_state}"
            statements += [_session(program), altered.encode()]
    delimiter = _free_delimiter(statements)
    ended = b"".join(statement + delimiter + b"\n" for statement in statements)
    return b"DELIMITER " + delimiter + b"\n" + ended + b"DELIMITER ;\n"


def _session(program: Program) -> bytes:
    return (
        f"SET SESSION character_set_client = {program.character_set}, collation_connection = {program.collation},"
        f" sql_mode = '{program.sql_mode}', time_zone = '{program.time_zone}'".encode()
    )


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
        unquoted(placeholder["name"]),
    ) in expected:
        return ProgramStatement("placeholder", statement, "view", unquoted(placeholder["name"]))
    if state := _ALTER_EVENT.fullmatch(statement):
        return _judged("state", statement, "event", state, expected)
    kinds: tuple[ProgramKind, ...] = ("procedure", "function", "event", "view", "trigger")
    for kind in kinds:
        head = HEADS[kind].match(statement)
        if head is None:
            continue
        created = _judged("create", statement, kind, head, expected)
        if kind == "trigger" and unquoted(head["table"]) != expected[kind, created.name][1]:
            raise CorruptError(f"trigger {created.name!r} is for another table than the manifest says")
        if kind == "event" and not re.search(rb" ON COMPLETION (?:NOT )?PRESERVE DISABLE\b", statement):
            raise CorruptError(f"event {created.name!r} would start by itself")
        return created
    raise CorruptError(f"a statement that opskit does not write: {statement[:60]!r}")


def _judged(
    role: Literal["create", "state"], statement: bytes, kind: ProgramKind, head: re.Match[bytes], expected: Expected
) -> ProgramStatement:
    name, definer = unquoted(head["name"]), head["definer"].decode("utf-8", "replace")
    if (kind, name) not in expected:
        raise CorruptError(f"{kind} {name!r} is not in the manifest")
    wanted, _ = expected[kind, name]
    if definer != wanted:
        raise CorruptError(f"{kind} {name!r} has DEFINER {definer}, the manifest says {wanted}")
    return ProgramStatement(role, statement, kind, name, definer)


def without_definer(statement: bytes) -> bytes:
    """Return the statement that makes the program belong to whoever runs it."""
    return re.sub(DEFINER, b"", statement, count=1)
