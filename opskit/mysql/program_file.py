"""Files of programs: written with DELIMITER for the `mysql` client, and read back."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from opskit.errors import CorruptError
from opskit.mysql.connection import quote
from opskit.mysql.program_text import DEFINER, HEADS, IDENTIFIER, Program, ProgramKind, reads_alike, unquoted


@dataclass(frozen=True, slots=True)
class Expected:
    """What the manifest says of one program: its DEFINER, a trigger's table, the state an event had."""

    definer: str
    table: str | None = None
    event_state: str | None = None


Expectations = Mapping[tuple[ProgramKind, str], Expected]

_PLACEHOLDER = re.compile(
    rb"CREATE VIEW (?P<name>" + IDENTIFIER + rb") AS SELECT 1 AS " + IDENTIFIER + rb"(?:, 1 AS " + IDENTIFIER + rb")*"
)
_ALTER_EVENT = re.compile(
    rb"ALTER " + DEFINER + rb"EVENT (?P<name>" + IDENTIFIER + rb") (?P<state>ENABLE|DISABLE ON (?:SLAVE|REPLICA))"
)
_SESSION = re.compile(
    rb"SET SESSION character_set_client = (?P<character_set>\w+), collation_connection = \w+,"
    rb" sql_mode = '(?P<sql_mode>[A-Z0-9_,]*)', time_zone = '[A-Za-z0-9_+:/-]+'"
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
    """One statement of a program file, and what it is: a session setting, a placeholder, the program, its state.

    `without_definer` is the statement that makes the program belong to whoever runs it.
    """

    role: Literal["session", "placeholder", "create", "state"]
    statement: bytes
    kind: ProgramKind | None = None
    name: str = ""
    definer: str = ""
    without_definer: bytes = b""


def parse(content: bytes, expected: Expectations) -> list[ProgramStatement]:
    """Read a program file back: every program that is expected in it, once, and nothing else.

    `CorruptError` for anything that `render` would not have written of these programs.
    """
    lines = re.fullmatch(rb"DELIMITER (?P<delimiter>;;|//\d{1,3}//)\n(?P<body>.*)DELIMITER ;\n", content, re.DOTALL)
    if lines is None:
        raise CorruptError("a file of programs has a form that opskit does not write")
    *texts, rest = lines["body"].split(lines["delimiter"] + b"\n")
    if rest:
        raise CorruptError("a file of programs ends in the middle of a statement")
    judge = _Judge(expected)
    statements = [judge.judge(text) for text in texts]
    created = [(statement.kind, statement.name) for statement in statements if statement.role == "create"]
    if missing := [f"{kind} {name!r}" for kind, name in expected if (kind, name) not in created]:
        raise CorruptError(f"the manifest has {', '.join(missing[:3])}, its file has not")
    if len(set(created)) != len(created):
        raise CorruptError("a program stands in its file twice")
    return statements


class _Judge:
    """Tells statements that opskit writes from all others; knows the session that the file has set so far."""

    def __init__(self, expected: Expectations) -> None:
        self._expected = expected
        self._character_set = "utf8mb4"
        self._sql_mode = ""

    def judge(self, text: bytes) -> ProgramStatement:
        if session := _SESSION.fullmatch(text):
            self._character_set = session["character_set"].decode()
            self._sql_mode = session["sql_mode"].decode()
            return ProgramStatement("session", text)
        if placeholder := _PLACEHOLDER.fullmatch(text):
            name = unquoted(placeholder["name"])
            self._find("view", name)
            return ProgramStatement("placeholder", text, "view", name)
        if altered := _ALTER_EVENT.fullmatch(text):
            state = self._program("state", "event", altered)
            if self._expected["event", state.name].event_state != altered["state"].decode():
                raise CorruptError(f"event {state.name!r} gets another state than the manifest says")
            return state
        for kind, pattern in HEADS.items():
            if head := pattern.match(text):
                return self._created(kind, head)
        raise CorruptError(f"a statement that opskit does not write: {text[:60]!r}")

    def _find(self, kind: ProgramKind, name: str) -> Expected:
        if (kind, name) not in self._expected:
            raise CorruptError(f"{kind} {name!r} is not in the manifest, or not in this file")
        return self._expected[kind, name]

    def _created(self, kind: ProgramKind, head: re.Match[bytes]) -> ProgramStatement:
        created = self._program("create", kind, head)
        if kind == "trigger" and unquoted(head["table"]) != self._expected[kind, created.name].table:
            raise CorruptError(f"trigger {created.name!r} is for another table than the manifest says")
        if kind == "event" and head["state"] != b"DISABLE":
            raise CorruptError(f"event {created.name!r} would start by itself")
        return created

    def _program(self, role: Literal["create", "state"], kind: ProgramKind, head: re.Match[bytes]) -> ProgramStatement:
        text, name, definer = head.string, unquoted(head["name"]), head["definer"].decode("utf-8", "replace")
        wanted = self._find(kind, name)
        if not reads_alike(head[0], self._character_set, self._sql_mode):
            raise CorruptError(f"{kind} {name!r} reads differently in the session that its file sets")
        if definer != wanted.definer:
            raise CorruptError(f"{kind} {name!r} has DEFINER {definer}, the manifest says {wanted.definer}")
        start, end = head.span("definer")
        owned = text[: start - len("DEFINER=")] + text[end + 1 :]
        return ProgramStatement(role, text, kind, name, definer, without_definer=owned)
