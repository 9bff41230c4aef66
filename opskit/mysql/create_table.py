"""CREATE TABLE statements, judged: only what SHOW CREATE TABLE prints for a table of its own.

A backup is hostile input. The statement is split by a scanner that knows quotes and comments, never by lines or
commas alone, since names, comments and defaults may hold anything; what the scanner does not know is refused. The
danger is a text that the server reads otherwise than the scanner does: a quote that opens in a comment which the
server skips, a number that ends where a word begins. Such forms are not among the tokens.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

from opskit.errors import CorruptError

_TOKEN = re.compile(
    r"""
      (?P<name> `(?:[^`]++|``)++` )
    | (?P<text> '(?:[^'\\]++|\\.|'')*+' )
    | (?P<opening> /\*M?!\d{5,6}(?!\d) )
    | (?P<closing> \*/ )
    | (?P<number> 0x[0-9A-Fa-f]++(?![\w$]) | \d++(?:\.\d++)?(?:[eE][-+]?\d++)?(?![\w$.]) )
    | (?P<word> [A-Za-z_$\u0080-\U0010FFFF][\w$\u0080-\U0010FFFF]*+ )
    | (?P<space> [ \t\r\n]++ )
    | (?P<mark> [(),=+%<>!&|^~] | -(?!-) | \*(?!/) | /(?!\*) )
    """,
    re.VERBOSE | re.DOTALL | re.ASCII,
)
# The most that a table can have (1,017 columns, 8,192 partitions, each with a comment) is far below.
_MAXIMUM_TOKENS = 1_000_000
# Every supported server executes comments of these versions: MariaDB skips 50700 to 99999 (its manual, "Comments").
_ALWAYS_EXECUTED = range(50000, 50700)
# None of these stands in a table that SHOW CREATE TABLE printed for a table of its own rows and files.
_FORBIDDEN_WORDS = {
    "CALL",
    "CONNECTION",
    "DIRECTORY",
    "DUMPFILE",
    "EXECUTE",
    "INTO",
    "LOAD_FILE",
    "OUTFILE",
    "PROCEDURE",
    "SELECT",
    "TABLE",
    "UNION",
}
# They keep their rows themselves; others reach for files and servers by what a table's options or comment say.
ENGINES = {"archive", "aria", "blackhole", "csv", "innodb", "memory", "myisam", "ndbcluster", "rocksdb", "tokudb"}
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
# What may stand beside the parentheses of a key or a constraint.
_KEY_WORD = re.compile(
    r"PRIMARY|UNIQUE|KEY|FULLTEXT|SPATIAL|CONSTRAINT|PERIOD|FOR|SYSTEM_TIME|USING|BTREE|HASH|RTREE|COMMENT"
    r"|KEY_BLOCK_SIZE|WITH|PARSER|INVISIBLE|VISIBLE|IGNORED|CLUSTERING|WITHOUT|OVERLAPS|FOREIGN|REFERENCES|ON|DELETE"
    r"|UPDATE|CASCADE|SET|NULL|DEFAULT|NO|ACTION|RESTRICT|MATCH|FULL|PARTIAL|SIMPLE|CHECK|NOT|ENFORCED"
)
# Over the shape of the options: words in upper case, `…` for a name, '…' for a text, 0 for a number.
_OPTIONS = re.compile(
    r"(?:"
    r"(?:ENGINE|AUTO_INCREMENT|DEFAULT CHARSET|COLLATE|MIN_ROWS|MAX_ROWS|AVG_ROW_LENGTH|PACK_KEYS|STATS_PERSISTENT"
    r"|STATS_AUTO_RECALC|STATS_SAMPLE_PAGES|CHECKSUM|DELAY_KEY_WRITE|ROW_FORMAT|KEY_BLOCK_SIZE|COMPRESSION|ENCRYPTION"
    r"|COMMENT|AUTOEXTEND_SIZE|PAGE_CHECKSUM|TRANSACTIONAL|INSERT_METHOD|`) = (?:[\w$]+|') "
    r"|TABLESPACE ` |WITH SYSTEM VERSIONING |, "
    r")*(?P<partitions>PARTITION BY .*)?"
)


@dataclass(frozen=True, slots=True)
class CreateTable:
    """A CREATE TABLE statement: `items` are its columns, keys and constraints, `options` what follows them."""

    name: str
    items: tuple[str, ...]
    options: str
    engine: str

    @property
    def columns(self) -> tuple[str, ...]:
        """The columns that rows bring: all but the generated ones, invisible ones included."""
        return tuple(column_name(item) for item in self.items if item.startswith("`") and not _is_generated(item))


def column_name(text: str) -> str:
    """Return the name in backticks at the start of the text, or nothing where there is none."""
    match = re.match(r"`((?:[^`]|``)*)`", text)
    return match[1].replace("``", "`") if match else ""


def parse_create_table(statement: str) -> CreateTable:
    """Take the statement apart; `CorruptError` if it is anything but one plain CREATE TABLE."""
    tokens = list(_tokens(statement))
    if [token[0].upper() for token in tokens[:2]] != ["CREATE", "TABLE"] or _kinds(tokens[2:4]) != ["name", "mark"]:
        raise CorruptError("not a CREATE TABLE statement of a table in this backup")
    _judge_words(tokens[2:])
    _judge_comments(tokens)
    items, taken = _parts(statement, tokens[3:])
    for item in items:
        _judge_item(item)
    after = 3 + taken
    return CreateTable(
        name=column_name(tokens[2][0]),
        items=tuple(items),
        options=statement[tokens[after - 1].end() :].strip(),
        engine=_judge_options(tokens[after:]),
    )


def key_parts(item: str) -> list[str]:
    """Return the parts of a key: a column with its length and order, or an expression in parentheses."""
    tokens = list(_tokens(item))
    opening = next((number for number, token in enumerate(tokens) if token[0] == "("), None)
    if opening is None:
        raise CorruptError(f"a key or constraint without columns: {item[:60]!r}")
    return _parts(item, tokens[opening:])[0]


def outer_words(item: str) -> str:
    """Return the words of a column, key or constraint, in upper case, without those in quotes or parentheses."""
    words, depth = [], 0
    for token in _tokens(item):
        depth += _depth(token)
        if depth == 0 and token.lastgroup == "word":
            words.append(token[0].upper())
    return " ".join(words)


def _tokens(statement: str) -> Iterator[re.Match[str]]:
    position = count = 0
    while position < len(statement):
        token = _TOKEN.match(statement, position)
        count += 1
        if token is None or count > _MAXIMUM_TOKENS:
            raise CorruptError(f"a CREATE TABLE statement must not hold {statement[position : position + 20]!r}")
        position = token.end()
        if token.lastgroup != "space":
            yield token


def _kinds(tokens: list[re.Match[str]]) -> list[str | None]:
    return [token.lastgroup for token in tokens]


def _judge_words(tokens: list[re.Match[str]]) -> None:
    for token, following in zip(tokens, [*tokens[1:], None], strict=True):
        word = token[0].upper() if token.lastgroup == "word" else ""
        # VALUES in any other place begins rows.
        stray = word == "VALUES" and (following is None or following[0].upper() not in ("LESS", "IN"))
        if word in _FORBIDDEN_WORDS or stray:
            raise CorruptError(f"{word} has no place in a CREATE TABLE statement")


def _judge_comments(tokens: list[re.Match[str]]) -> None:
    """Refuse comments that read differently on a server that executes them and on one that skips them."""
    opened: re.Match[str] | None = None
    for token in tokens:
        kind = token.lastgroup
        if (kind == "opening" and opened) or (kind == "closing" and not opened):
            raise CorruptError("the comments of a CREATE TABLE statement are not in pairs")
        if kind == "opening":
            opened = token
        elif kind == "closing":
            opened = None
        elif opened and not _is_always_executed(opened) and (token[0] in "()," or "*/" in token[0]):
            raise CorruptError(f"{token[0]!r} has no place in a comment of CREATE TABLE")
    if opened:
        raise CorruptError("a comment of a CREATE TABLE statement has no end")


def _is_always_executed(opening: re.Match[str]) -> bool:
    text = opening[0].removeprefix("/*!")
    return text.isdecimal() and int(text) in _ALWAYS_EXECUTED


def _parts(text: str, tokens: list[re.Match[str]]) -> tuple[list[str], int]:
    """Return what commas part between the first parenthesis and its mate, and how many tokens that took."""
    parts, depth, start = [], 0, tokens[0].end()
    for number, token in enumerate(tokens, start=1):
        depth += _depth(token)
        if depth == 0 or (depth == 1 and token[0] == ","):
            parts.append(text[start : token.start()].strip())
            start = token.end()
        if depth == 0:
            return parts, number
    raise CorruptError("a CREATE TABLE statement ends too early")


def _depth(token: re.Match[str]) -> int:
    return {"(": 1, ")": -1}.get(token[0], 0)


def _judge_item(item: str) -> None:
    if not item.startswith(_ITEM_STARTS):
        raise CorruptError(f"unexpected definition in CREATE TABLE: {item[:60]!r}")
    if item.startswith("`"):
        return
    key_parts(item)
    for word in outer_words(item).split():
        if not _KEY_WORD.fullmatch(word):
            raise CorruptError(f"{word} has no place in a key or constraint: {item[:60]!r}")


def _is_generated(item: str) -> bool:
    return re.search(r"\bGENERATED ALWAYS AS\b|\bAS (?:VIRTUAL|STORED|PERSISTENT)\b", outer_words(item)) is not None


def _judge_options(tokens: list[re.Match[str]]) -> str:
    """Return the storage engine; `CorruptError` for an option that SHOW CREATE TABLE does not print."""
    plain = [token for token in tokens if token.lastgroup not in ("opening", "closing")]
    shape = "".join(_shape(token) + " " for token in plain)
    matched = _OPTIONS.fullmatch(shape)
    if matched is None:
        raise CorruptError(f"a CREATE TABLE statement must not have these options: {shape[:100]!r}")
    # Each partition names its engine too.
    engines = [plain[number + 2][0] for number, token in enumerate(plain[:-2]) if token[0].upper() == "ENGINE"]
    if len({engine.lower() for engine in engines}) != 1 or engines[0].lower() not in ENGINES:
        raise CorruptError(f"a table must have one storage engine that keeps its own rows, not {', '.join(engines)}")
    return engines[0]


def _shape(token: re.Match[str]) -> str:
    short = {"name": "`", "text": "'", "number": "0"}
    return short.get(str(token.lastgroup)) or token[0].upper()
