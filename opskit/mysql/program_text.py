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
_SCHEDULE = rb"(?:AT '[0-9 :.-]+'|EVERY (?:-?\d+|'[0-9 :.-]+') [A-Z_]+(?: STARTS '[0-9 :.-]+')?(?: ENDS '[0-9 :.-]+')?)"
HEADS: dict[ProgramKind, re.Pattern[bytes]] = {
    "procedure": re.compile(rb"CREATE " + DEFINER + rb"PROCEDURE (?P<name>" + IDENTIFIER + rb")\s*\("),
    "function": re.compile(rb"CREATE " + DEFINER + rb"(?:AGGREGATE )?FUNCTION (?P<name>" + IDENTIFIER + rb")\s*\("),
    # To the state: whatever stands behind it cannot be another one.
    "event": re.compile(
        rb"CREATE " + DEFINER + rb"EVENT (?P<name>" + IDENTIFIER + rb") ON SCHEDULE " + _SCHEDULE + rb" ON COMPLETION "
        rb"(?:NOT )?PRESERVE (?P<state>ENABLE|DISABLE ON (?:SLAVE|REPLICA)|DISABLE)(?= COMMENT '| DO )"
    ),
    "view": re.compile(
        rb"CREATE (?:OR REPLACE )?(?:ALGORITHM=\w+ )?" + DEFINER + rb"SQL SECURITY (?:DEFINER|INVOKER) VIEW "
        rb"(?P<name>" + IDENTIFIER + rb")(?: \(" + IDENTIFIER + rb"(?:,\s?" + IDENTIFIER + rb")*\))? AS ",
        re.IGNORECASE,
    ),
    "trigger": re.compile(
        rb"CREATE " + DEFINER + rb"TRIGGER\s+(?P<name>" + IDENTIFIER + rb"|[\w$]+)\s+(?:BEFORE|AFTER)\s+"
        rb"(?:INSERT|UPDATE|DELETE)\s+ON\s+(?P<table>" + IDENTIFIER + rb"|[\w$]+)\s+FOR\s+EACH\s+ROW\s+",
        re.IGNORECASE,
    ),
}
# Client character sets in which a quote mark or a backslash may be the second half of a character, and Python's name
# for each, or for a larger one.
_DOUBLE = {"big5": "cp950", "cp932": "cp932", "gb18030": "gb18030", "gbk": "gbk", "sjis": "cp932"}
_SPECIAL = b"`'\"\\"
_IN_BACKTICKS = re.compile(rb"`(?:[^`]|``)*`")


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


def reads_alike(head: bytes, character_set: str, sql_mode: str) -> bool:
    """Tell whether a server with this session finds the same quotes in the head of a program as the patterns here.

    It does not where half a character looks like a quote mark, or where double quotes hold a string.
    """
    if b'"' in _IN_BACKTICKS.sub(b"", head) and "ANSI_QUOTES" not in sql_mode.split(","):
        return False
    codec = _DOUBLE.get(character_set.lower())
    if codec is None or head.isascii():
        return True
    try:
        text = head.decode(codec)
    except UnicodeDecodeError:
        return False
    return all(text.count(chr(mark)) == head.count(mark) for mark in _SPECIAL)
