"""CREATE TABLE statements, taken apart far enough to judge them and to add their indexes later.

The text is what SHOW CREATE TABLE prints: `CREATE TABLE`, a name, a list in parentheses, options. It is split
by a scanner that knows quotes and comments, never by lines or commas alone: names, comments and defaults may
hold anything. A backup is hostile input, so what does not look like that is refused.
"""

import re
from dataclasses import dataclass

from opskit.errors import CorruptError
from opskit.mysql.connection import quote

_TOKEN = re.compile(
    r"""
      (?P<quoted> `(?:[^`]|``)*` | '(?:[^'\\]|\\.|'')*' | "(?:[^"\\]|\\.|"")*" )
    | (?P<word> [A-Za-z_$0-9\u0080-\U0010FFFF]+ )
    | (?P<space> \s+ )
    | (?P<mark> . )
    """,
    re.VERBOSE | re.DOTALL,
)
# None of these stands in a table that SHOW CREATE TABLE printed for a table of its own engine and files.
_FORBIDDEN_WORDS = {"SELECT", "CONNECTION", "DIRECTORY", "UNION", "INTO", "DUMPFILE", "OUTFILE", "LOAD_FILE"}
_ITEM_STARTS = (
    "`",
    "PRIMARY KEY",
    "UNIQUE KEY",
    "KEY",
    "FULLTEXT KEY",
    "SPATIAL KEY",
    "CONSTRAINT",
    "PERIOD FOR",
)


@dataclass(frozen=True, slots=True)
class CreateTable:
    """A CREATE TABLE statement: `items` are its columns, keys and constraints, `options` what follows them."""

    name: str
    items: tuple[str, ...]
    options: str

    @property
    def engine(self) -> str:
        """The storage engine it asks for."""
        match = re.search(r"\bENGINE=(\w+)", self.options)
        return match[1] if match else ""


@dataclass(frozen=True, slots=True)
class StagedTable:
    """How a table is loaded: `create` first, then its rows, then the `additions`, one ALTER TABLE each."""

    create: str
    indexes: str | None
    fulltext: tuple[str, ...]
    foreign_keys: str | None

    @property
    def additions(self) -> list[str]:
        """The ALTER TABLE statements that build indexes, in their order; foreign keys are not among them."""
        return ([self.indexes] if self.indexes else []) + list(self.fulltext)


def parse_create_table(statement: str) -> CreateTable:
    """Take the statement apart; `CorruptError` if it is anything but one plain CREATE TABLE."""
    tokens = [match for match in _TOKEN.finditer(statement) if match.lastgroup != "space"]
    texts = [token[0] for token in tokens]
    if [text.upper() for text in texts[:2]] != ["CREATE", "TABLE"] or texts[3:4] != ["("]:
        raise CorruptError("not a CREATE TABLE statement of a table in this backup")
    _refuse_foreign_words(tokens)
    items, end = _split_items(statement, tokens)
    for item in items:
        if not item.startswith(_ITEM_STARTS):
            raise CorruptError(f"unexpected definition in CREATE TABLE: {item[:60]!r}")
    return CreateTable(name=texts[2].strip("`").replace("``", "`"), items=tuple(items), options=statement[end:].strip())


def _refuse_foreign_words(tokens: list[re.Match[str]]) -> None:
    for token in tokens:
        text = token[0]
        if token.lastgroup == "word" and text.upper() in _FORBIDDEN_WORDS:
            raise CorruptError(f"{text.upper()} has no place in a CREATE TABLE statement")
        if token.lastgroup != "mark":
            continue
        if text in ";'\"`":
            raise CorruptError("a CREATE TABLE statement must be one statement")
        following = token.string[token.end() :]
        if text == "." and re.match(r"\s*[`A-Za-z_$\u0080-\U0010FFFF]", following):
            raise CorruptError("a CREATE TABLE statement must not name a database")
        if text == "#" or (text == "-" and following[:1] == "-") or re.match(r"/\*(?![!M])", text + following[:2]):
            raise CorruptError("a CREATE TABLE statement must not hold comments")


def _split_items(statement: str, tokens: list[re.Match[str]]) -> tuple[list[str], int]:
    items, depth, start = [], 0, tokens[3].end()
    for token in tokens[3:]:
        mark = token[0] if token.lastgroup == "mark" else ""
        if mark == "(":
            depth += 1
        elif mark == ")":
            depth -= 1
        if depth == 0 or (depth == 1 and mark == ","):
            items.append(statement[start : token.start()].strip())
            start = token.end()
        if depth == 0:
            return items, token.end()
    raise CorruptError("a CREATE TABLE statement ends too early")


def stage(table: CreateTable) -> StagedTable:
    """Decide which keys are there while rows are loaded, and which are built afterwards.

    Kept: the primary key; without one, the first UNIQUE key over NOT NULL columns; a key that starts with the
    AUTO_INCREMENT column; functional, multi-valued and SPATIAL keys; and any key listed before one that is
    kept, since the server lists keys of a kind in the order in which they came.
    """
    kept: list[str] = []
    deferred: list[str] = []
    plain, fulltext, foreign = [], [], []
    has_primary = any(item.startswith("PRIMARY KEY") for item in table.items)
    not_null = {_name(item) for item in table.items if item.startswith("`") and " NOT NULL" in item}
    automatic = {_name(item) for item in table.items if item.startswith("`") and re.search(r"\bAUTO_INCREMENT\b", item)}
    clustered = has_primary
    for item in table.items:
        if item.startswith("CONSTRAINT") and " FOREIGN KEY " in item:
            foreign.append(item)
        elif item.startswith("FULLTEXT KEY"):
            fulltext.append(item)
        elif item.startswith(("UNIQUE KEY", "KEY", "SPATIAL KEY")):
            parts = key_parts(item)
            serves_as_primary = not clustered and item.startswith("UNIQUE") and _all_in(parts, not_null)
            must_stay = (
                serves_as_primary
                or item.startswith("SPATIAL")
                or any(part.startswith("(") for part in parts)
                or _first_name(parts) in automatic
            )
            clustered = clustered or serves_as_primary
            if must_stay:
                kept += [*deferred, item]
                deferred = []
            else:
                deferred.append(item)
        else:
            plain.append(item)
    alter = f"ALTER TABLE {quote(table.name)} "
    body = ",\n  ".join([*plain, *kept])
    return StagedTable(
        create=f"CREATE TABLE {quote(table.name)} (\n  {body}\n) {table.options}",
        indexes=alter + ", ".join(f"ADD {item}" for item in deferred) if deferred else None,
        fulltext=tuple(f"{alter}ADD {item}" for item in fulltext),
        foreign_keys=alter + ", ".join(f"ADD {item}" for item in foreign) if foreign else None,
    )


def key_parts(item: str) -> list[str]:
    """Return the parts of a key: a column with its length and order, or an expression in parentheses."""
    tokens = list(_TOKEN.finditer(item))
    opening = next(index for index, token in enumerate(tokens) if token.lastgroup == "mark" and token[0] == "(")
    parts, depth, start = [], 0, tokens[opening].end()
    for token in tokens[opening:]:
        mark = token[0] if token.lastgroup == "mark" else ""
        depth += {"(": 1, ")": -1}.get(mark, 0)
        if depth == 0 or (depth == 1 and mark == ","):
            parts.append(item[start : token.start()].strip())
            start = token.end()
        if depth == 0:
            break
    return parts


def _name(item: str) -> str:
    match = re.match(r"`((?:[^`]|``)*)`", item)
    return match[1].replace("``", "`") if match else ""


def _first_name(parts: list[str]) -> str:
    return _name(parts[0])


def _all_in(parts: list[str], names: set[str]) -> bool:
    return all(_name(part) in names and not re.search(r"`\s*\(\d+\)", part) for part in parts)
