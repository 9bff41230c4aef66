"""What views, triggers, routines and events look like as text.

A program's text is handled as bytes: the server keeps it in the character set of the client that made it, and
gives it back unchanged only when character_set_results is NULL.
"""

import re
from dataclasses import dataclass
from typing import Literal

ProgramKind = Literal["view", "procedure", "function", "event", "trigger"]

# In double quotes where the program was made under ANSI_QUOTES.
IDENTIFIER = rb"""(?:`(?:[^`]|``)+`|"(?:[^"]|"")+")"""
DEFINER = rb"DEFINER=(?P<definer>" + IDENTIFIER + rb"@" + IDENTIFIER + rb"|" + IDENTIFIER + rb") "
HEADS = {
    "procedure": re.compile(rb"CREATE " + DEFINER + rb"PROCEDURE (?P<name>" + IDENTIFIER + rb")\s*\("),
    "function": re.compile(rb"CREATE " + DEFINER + rb"(?:AGGREGATE )?FUNCTION (?P<name>" + IDENTIFIER + rb")\s*\("),
    "event": re.compile(rb"CREATE " + DEFINER + rb"EVENT (?P<name>" + IDENTIFIER + rb") ON SCHEDULE "),
    "view": re.compile(
        rb"CREATE (?:OR REPLACE )?(?:ALGORITHM=\w+ )?" + DEFINER + rb"SQL SECURITY (?:DEFINER|INVOKER) VIEW "
        rb"(?P<name>" + IDENTIFIER + rb")(?: \([^()]*\))? AS ",
        re.IGNORECASE,
    ),
    "trigger": re.compile(
        rb"CREATE " + DEFINER + rb"TRIGGER\s+(?P<name>" + IDENTIFIER + rb"|[\w$]+)\s+(?:BEFORE|AFTER)\s+"
        rb"(?:INSERT|UPDATE|DELETE)\s+ON\s+(?P<table>" + IDENTIFIER + rb"|[\w$]+)\s+FOR\s+EACH\s+ROW\s+",
        re.IGNORECASE,
    ),
}
EVENT_STATE = re.compile(rb"( ON COMPLETION (?:NOT )?PRESERVE )(ENABLE|DISABLE ON (?:SLAVE|REPLICA)|DISABLE)\b")


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
        return re.search(rb"(?<![\w$])[`\"]?" + name + rb"[`\"]?\s*\.", self.create) is not None


def unquoted(identifier: bytes) -> str:
    """Return the name that an identifier, quoted in either way or bare, stands for."""
    text = identifier.decode("utf-8", "replace")
    mark = text[0]
    return text[1:-1].replace(mark * 2, mark) if mark in '`"' else text
