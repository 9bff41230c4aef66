"""Definitions as somebody might write them who can write the bucket: none of them is opskit's."""

import pytest

from opskit.errors import CorruptError
from opskit.mysql.create_table import parse_create_table
from opskit.mysql.ddl import stage
from opskit.mysql.program_file import Expected, parse
from opskit.mysql.program_text import ProgramKind

OPTIONS = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci"


def table(items: str = "`a` int DEFAULT NULL", options: str = OPTIONS) -> str:
    return f"CREATE TABLE `t` (\n  {items}\n) {options}"


HONEST = [
    table(),
    table("`a` varchar(9) DEFAULT 'it''s \\\\ ; -- # /* x' COMMENT 'SELECT * FROM `x`.`y`', KEY `a` (`a`(3) DESC)"),
    table("`a` int GENERATED ALWAYS AS ((`b` + -(1.5e-3))) VIRTUAL /*!80023 INVISIBLE */,\n  `b` int NOT NULL"),
    table("`a` point NOT NULL /*!80003 SRID 4326 */, SPATIAL KEY `a` (`a`)"),
    table("`a` text /*M!100301 COMPRESSED*/ DEFAULT NULL", OPTIONS + " COMMENT='x' WITH SYSTEM VERSIONING"),
    table("`a` int, CONSTRAINT `c` CHECK ((`a` <> 0x1F)) /*!80016 NOT ENFORCED */"),
    table("`a` int, CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `t` (`a`) ON DELETE SET NULL"),
    table(
        options=OPTIONS + "\n/*!50100 PARTITION BY RANGE (`a`)\n(PARTITION p0 VALUES LESS THAN (1) ENGINE = InnoDB) */"
    ),
    table(options=OPTIONS + " PARTITION BY LIST (`a`)\n(PARTITION `p0` VALUES IN (1,2) COMMENT = 'x' ENGINE = InnoDB)"),
    table(options="/*!50100 TABLESPACE `innodb_file_per_table` */ " + OPTIONS + " /*!80016 ENCRYPTION='Y' */"),
]


@pytest.mark.parametrize("statement", HONEST)
def test_what_show_create_table_prints_is_taken(statement: str) -> None:
    assert parse_create_table(statement).name == "t"


HOSTILE = {
    "another statement": "DROP TABLE `t`",
    "no columns": "CREATE TABLE `t` LIKE `u`",
    "columns of another table": table("LIKE `u`"),
    "a second statement": table() + "; DROP DATABASE `x`",
    "a qualified name": f"CREATE TABLE `x`.`t` (`a` int) {OPTIONS}",
    "a name in double quotes": f'CREATE TABLE "t" (`a` int) {OPTIONS}',
    "a query": table(options=OPTIONS + " SELECT 1 AS `a`"),
    "a query behind AS": table(options=OPTIONS + " AS SELECT 1 AS `a`"),
    "a table for a query": table(options=OPTIONS + " TABLE `u`"),
    "rows for a query": table(options=OPTIONS + " VALUES ROW(1)"),
    "a query where a number ends": table(options=OPTIONS + " AVG_ROW_LENGTH=1.0SELECT 1"),
    "a subquery": table("`a` int DEFAULT ((SELECT 1))"),
    "a subquery in a list": table("`a` int CHECK (`a` in (1, (SELECT 1)))"),
    "a function of another database": table("`a` int DEFAULT (`x`.`f`())"),
    "a reference to another database": table("`a` int, CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `x`.`u` (`a`)"),
    "a reference behind a comment": table("`a` int, CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES x./*!50100 */u (a)"),
    "a file elsewhere": table(options=OPTIONS + " DATA DIRECTORY='/var/lib'"),
    "a partition's file elsewhere": table(
        options=OPTIONS + "\n/*!50100 PARTITION BY KEY (a) (PARTITION p0 DATA DIRECTORY = '/tmp' ENGINE = InnoDB) */"
    ),
    "another server": table(options="ENGINE=FEDERATED CONNECTION='mysql://u:p@h/d/t'"),
    "another server in a comment": table(options="ENGINE=SPIDER COMMENT='host \"127.0.0.1\"'"),
    "an engine that reads files": table(options="ENGINE=CONNECT `TABLE_TYPE`=CSV `FILE_NAME`='/etc/passwd'"),
    "tables of others": table(options="ENGINE=MRG_MyISAM UNION=(`u`)"),
    "an engine behind a comment that names another": table(options="COMMENT='ENGINE=InnoDB' ENGINE=FEDERATED"),
    "two engines": table(options="ENGINE=InnoDB ENGINE=MEMORY"),
    "a partition of another engine": table(
        options=OPTIONS + " PARTITION BY KEY (a) (PARTITION p0 ENGINE = FEDERATED)"
    ),
    "no engine": table(options="DEFAULT CHARSET=utf8mb4"),
    "an option that is not printed": table(options=OPTIONS + " START TRANSACTION"),
    "a quote that a skipped comment opens": table("`a` int /*!99999 ' */, `b` int DEFAULT (SLEEP(9)) /*!99999 ' */"),
    "a parenthesis that a skipped comment opens": table("`a` int DEFAULT /*!99999 ( */ 1, `b` int /*!99999 ) */"),
    "a comment with six digits": table("`a` int /*!501001 DEFAULT (1, */ , `b` int /*!501001 ) */"),
    "a comment that only looks executable": table("`a` int /*Mx ' */, `b` int /* ' */"),
    "a comment without a version": table("`a` int /*! DEFAULT 1 */"),
    "a plain comment": table("`a` int /* x */"),
    "a comment to the end of the line": table("`a` int -- x\n"),
    "another comment to the end of the line": table("`a` int # x\n"),
    "a comment without an end": table(options=OPTIONS + " /*!50100 PARTITION BY KEY (a)"),
    "a comment in a comment": table(options=OPTIONS + " /*!50100 PARTITION BY /*!50100 KEY (a) */ */"),
    "a variable": table("`a` int DEFAULT (@@global.server_id)"),
    "a file that is read": table("`a` text DEFAULT (LOAD_FILE('/etc/passwd'))"),
    "a key that adds more": table("`a` int, KEY `k` (`a`) REMOVE PARTITIONING"),
    "a key without columns": table("`a` int, KEY `k`"),
    "something else in the list": table("`a` int, DROP COLUMN `a`"),
    "a null character": table("`a` int\0"),
    "an identifier that begins with a digit": table("`a` int DEFAULT (1a)"),
    "too few parentheses": f"CREATE TABLE `t` (`a` int {OPTIONS}",
    "too many parentheses": table("`a` int)"),
}  # fmt: skip


@pytest.mark.parametrize("statement", HOSTILE.values(), ids=HOSTILE)
def test_create_table_is_nothing_but_a_table(statement: str) -> None:
    with pytest.raises(CorruptError):
        stage(parse_create_table(statement))


def test_statement_of_nothing_but_marks_is_refused_soon() -> None:
    with pytest.raises(CorruptError):
        parse_create_table(table("(" * 2_000_000))


def test_columns_are_those_that_rows_bring() -> None:
    text = (
        "`a` int COMMENT 'GENERATED ALWAYS AS', `b``` int GENERATED ALWAYS AS (1) STORED"
        ", ```c` int /*!80023 INVISIBLE */"
    )
    assert parse_create_table(table(text)).columns == ("a", "`c")


SESSION = (
    "SET SESSION character_set_client = {charset}, collation_connection = utf8mb4_bin, sql_mode = '{mode}',"
    " time_zone = '+00:00'"
)
EVENT = "CREATE DEFINER=`d`@`%` EVENT `e` ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00'"
DISABLED = EVENT + " ON COMPLETION NOT PRESERVE DISABLE DO SELECT 1"
EXPECTED: dict[tuple[ProgramKind, str], Expected] = {
    ("event", "e"): Expected("`d`@`%`", event_state="ENABLE"),
    ("trigger", "g"): Expected("`d`@`%`", table="t"),
    ("view", "v"): Expected("`d`@`%`"),
}
TRIGGER = "CREATE DEFINER=`d`@`%` TRIGGER `g` BEFORE INSERT ON `t` FOR EACH ROW SET @a = 1"
VIEW = "CREATE OR REPLACE ALGORITHM=UNDEFINED DEFINER=`d`@`%` SQL SECURITY DEFINER VIEW `v` AS select 1 AS `a`"


def file_of(*statements: str | bytes, charset: str = "utf8mb4", mode: str = "") -> bytes:
    texts = [each if isinstance(each, bytes) else each.encode() for each in statements]
    session = SESSION.format(charset=charset, mode=mode).encode()
    return b"DELIMITER ;;\n" + b"".join(text + b";;\n" for text in [session, *texts]) + b"DELIMITER ;\n"


def test_programs_that_the_manifest_names_are_taken() -> None:
    content = file_of(
        "CREATE VIEW `v` AS SELECT 1 AS `a`", DISABLED, TRIGGER, VIEW, "ALTER DEFINER=`d`@`%` EVENT `e` ENABLE"
    )
    assert [each.role for each in parse(content, EXPECTED)] == [
        "session", "placeholder", "create", "create", "create", "state",
    ]  # fmt: skip


FOREIGN = {
    "another statement": "DROP DATABASE `x`",
    "two statements": DISABLED + ";\nDROP DATABASE `x`;;\nDROP DATABASE `x`",
    "another session setting": "SET GLOBAL event_scheduler = ON",
    "more in the session setting": SESSION.format(charset="utf8mb4", mode="") + ", sql_log_bin = 0",
    "an event that is enabled": EVENT + " ON COMPLETION PRESERVE ENABLE DO SELECT 1",
    "an event that says so twice": EVENT + " ON COMPLETION PRESERVE ENABLE DO SELECT ' ON COMPLETION PRESERVE DISABLE'",
    "an event whose schedule is code": DISABLED.replace("1 DAY", "(SELECT 1) DAY"),
    "another event": DISABLED.replace("`e`", "`f`"),
    "another DEFINER": DISABLED.replace("`d`@`%`", "`root`@`localhost`"),
    "a trigger on another table": TRIGGER.replace("`t`", "`u`"),
    "a trigger on a table elsewhere": TRIGGER.replace("`t`", "`x`.`t`"),
    "a trigger with another DEFINER": TRIGGER.replace("`d`@`%`", "`root`@`localhost`"),
    "a trigger of another name": TRIGGER.replace("`g`", "`h`"),
    "a view elsewhere": VIEW.replace("`v`", "`x`.`v`"),
    "a placeholder that reads": "CREATE VIEW `v` AS SELECT 1 AS `a` FROM `t`",
    "a placeholder of another name": "CREATE VIEW `w` AS SELECT 1 AS `a`",
    "a routine": "CREATE DEFINER=`d`@`%` PROCEDURE `p`()\nDROP DATABASE `x`",
    "a loadable function": "CREATE DEFINER=`d`@`%` FUNCTION `f` RETURNS STRING SONAME 'f.so'",
    "another state": "ALTER DEFINER=`d`@`%` EVENT `e` DISABLE ON SLAVE",
    "a state with another DEFINER": "ALTER DEFINER=`root`@`localhost` EVENT `e` ENABLE",
    "a state without a DEFINER": "ALTER EVENT `e` ENABLE",
    "a state and more": "ALTER DEFINER=`d`@`%` EVENT `e` ENABLE DO DROP DATABASE `x`",
    "a user": "CREATE USER `x`",
}  # fmt: skip


@pytest.mark.parametrize("statement", FOREIGN.values(), ids=FOREIGN)
def test_a_file_of_programs_holds_nothing_else(statement: str) -> None:
    honest = [each for each in (DISABLED, TRIGGER, VIEW) if each.split(" ")[2] not in statement]
    with pytest.raises(CorruptError):
        parse(file_of(*honest, statement), EXPECTED)
    with pytest.raises(CorruptError):
        parse(file_of(DISABLED, TRIGGER, VIEW, statement), EXPECTED)


def test_a_program_that_is_not_in_its_file_is_missed() -> None:
    with pytest.raises(CorruptError, match="trigger 'g'"):
        parse(file_of(DISABLED, VIEW), EXPECTED)


def test_a_program_stands_in_its_file_once() -> None:
    with pytest.raises(CorruptError, match="twice"):
        parse(file_of(DISABLED, TRIGGER, VIEW, VIEW), EXPECTED)


def test_no_spelling_keeps_the_definer() -> None:
    shouted = VIEW.replace("DEFINER=`", "definer=`")
    for content in (file_of(VIEW), file_of(shouted)):
        created = parse(content, {("view", "v"): EXPECTED["view", "v"]})[-1]
        assert b"`d`@`%`" not in created.without_definer
        assert b"SQL SECURITY DEFINER VIEW `v`" in created.without_definer


# Each head reads as an event that is disabled; the server would read one that is enabled.
QUIET = b" EVENT `e` ON SCHEDULE EVERY 1 DAY ON COMPLETION PRESERVE DISABLE DO SELECT "
READ_OTHERWISE = [("gbk", b"`\x81`", b"`"), ("sjis", b"`\x95`", b"`"), ("utf8mb4", b'"h\\"', b'"')]


@pytest.mark.parametrize(("charset", "host", "quote"), READ_OTHERWISE)
def test_a_head_reads_alike_to_the_server(charset: str, host: bytes, quote: bytes) -> None:
    loud = b" EVENT `e` ON SCHEDULE EVERY 1 SECOND ON COMPLETION PRESERVE ENABLE DO DROP DATABASE `x`"
    statement = b"CREATE DEFINER=`d`@" + host + QUIET + quote + loud
    definer = f"`d`@{host.decode('utf-8', 'replace')}"
    with pytest.raises(CorruptError, match="reads differently"):
        parse(file_of(statement, charset=charset), {("event", "e"): Expected(definer)})


def test_names_of_such_character_sets_are_taken_where_no_half_is_a_quote() -> None:
    name = "あ".encode("cp932")
    statement = DISABLED.encode().replace(b"`d`@", b"`" + name + b"`@")
    definer = f"`{name.decode('utf-8', 'replace')}`@`%`"
    assert parse(file_of(statement, charset="sjis"), {("event", "e"): Expected(definer)})
