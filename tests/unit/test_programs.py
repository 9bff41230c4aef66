"""Programs as text: what is written is read back, whatever their bodies hold."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opskit.mysql.program_file import Expected, parse, render
from opskit.mysql.program_text import Program, ProgramKind, unquoted
from opskit.mysql.programs import _canonical, _readers_last

names = st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=12)
PIECES = (
    "SELECT 1", ";", ";;", ";;\n", "\n", "\r\n", "//0//", "//0//\n", "'", "`", '"', "\\", "é", "DELIMITER ;\n",
    "ALTER DEFINER=`d`@`%` EVENT `e` ENABLE", "CREATE DEFINER=`x`@`y` ", "/*", "*/", "-- x\n",
)  # fmt: skip
bodies = st.lists(st.sampled_from(PIECES), max_size=8).map("".join)
STATES = ("ENABLE", "DISABLE", "DISABLE ON SLAVE", "DISABLE ON REPLICA")
DEFINER = "`d`@`%`"


def quoted(name: str) -> str:
    return "`" + name.replace("`", "``") + "`"


def program(kind: ProgramKind, name: str, body: str = "SELECT 1", state: str = "ENABLE") -> Program:
    head = {
        "procedure": f"CREATE DEFINER={DEFINER} PROCEDURE {quoted(name)}()\n",
        "function": f"CREATE DEFINER={DEFINER} FUNCTION {quoted(name)}() RETURNS int\nRETURN ",
        "view": f"CREATE OR REPLACE ALGORITHM=MERGE DEFINER={DEFINER} SQL SECURITY INVOKER VIEW {quoted(name)}"
        " AS select ",
        "trigger": f"CREATE DEFINER={DEFINER} TRIGGER {quoted(name)} BEFORE INSERT ON `t` FOR EACH ROW ",
        "event": f"CREATE DEFINER={DEFINER} EVENT {quoted(name)} ON SCHEDULE EVERY 1 DAY STARTS '2030-01-01 00:00:00'"
        " ON COMPLETION PRESERVE DISABLE DO ",
    }[kind]
    return Program(
        kind=kind,
        name=name,
        create=(head + body).encode(),
        definer=DEFINER,
        sql_mode="STRICT_TRANS_TABLES,NO_ENGINE_SUBSTITUTION",
        character_set="utf8mb4",
        collation="utf8mb4_0900_ai_ci",
        time_zone="America/Argentina/Buenos_Aires",
        table="t" if kind == "trigger" else None,
        columns=("a", "b`") if kind == "view" else (),
        event_state=state if kind == "event" else None,
    )


@pytest.mark.parametrize("kind", ["procedure", "function", "view", "trigger", "event"])
@given(data=st.data())
def test_what_is_rendered_is_read_back(kind: ProgramKind, data: st.DataObject) -> None:
    named = data.draw(st.lists(names, max_size=4, unique=True))
    programs = [program(kind, name, data.draw(bodies), data.draw(st.sampled_from(STATES))) for name in named]
    expected = {(each.kind, each.name): Expected(each.definer, each.table, each.event_state) for each in programs}
    statements = parse(render(programs), expected)
    created = [each for each in statements if each.role == "create"]
    assert [(each.name, each.statement) for each in created] == [(each.name, each.create) for each in programs]
    assert all(each.without_definer == each.statement.replace(b"DEFINER=`d`@`%` ", b"", 1) for each in created)
    placeholders = [each.name for each in statements if each.role == "placeholder"]
    assert placeholders == (named if kind == "view" else [])
    enabled = [each.name for each in programs if each.event_state not in (None, "DISABLE")]
    assert [each.name for each in statements if each.role == "state"] == enabled


def test_the_state_of_an_event_is_set_by_its_definer_in_its_session_after_every_event_is_there() -> None:
    lines = render([program("event", "e"), program("event", "f", state="DISABLE")]).decode().split(";;\n")
    kinds = [re.match(r"(?:DELIMITER ;;\n)?(SET SESSION|CREATE|ALTER|DELIMITER)", line) for line in lines]
    assert [kind and kind[1] for kind in kinds] == [
        "DELIMITER", "SET SESSION", "CREATE", "SET SESSION", "CREATE", "SET SESSION", "ALTER", "DELIMITER",
    ]  # fmt: skip
    assert "ALTER DEFINER=`d`@`%` EVENT `e` ENABLE" in lines


def view(name: str, text: str) -> Program:
    return program("view", name, text)


def test_views_follow_those_that_they_read() -> None:
    views = [
        view("a", "1 from `m`"),
        view("b", "1 from (`Z` join `a`)"),
        view("m", "1 from `n`"),
        view("n", "1"),
        view("z", "1"),
    ]
    assert [each.name for each in _readers_last(views)] == ["n", "m", "a", "z", "b"]


def test_views_that_seem_to_read_each_other_are_all_there() -> None:
    views = [view("a", "'`b`' from `c`"), view("b", "'`a`'"), view("c", "1")]
    assert sorted(each.name for each in _readers_last(views)) == ["a", "b", "c"]


TYPED = "DEFINER=`d`@`%` TRIGGER {} before insert on {} for each row set @a = 'TRIGGER x ON y FOR EACH ROW '"


@pytest.mark.parametrize(
    ("name", "table"),
    [("`db`.`g`", "`db`.`t`"), ("db.g", "db.t"), ("g", "`db` . t"), ("IF NOT EXISTS `g`", "t"), ("/* x */ g", "t")],
)
def test_a_trigger_that_was_typed_with_its_database_is_written_without(name: str, table: str) -> None:
    typed = f"CREATE {TYPED.format(name, table)}".encode()
    written = _canonical("trigger", "g", "t", "BEFORE INSERT", typed)
    assert written == (
        b"CREATE DEFINER=`d`@`%` TRIGGER `g` BEFORE INSERT ON `t` FOR EACH ROW set @a = 'TRIGGER x ON y FOR EACH ROW '"
    )


def test_a_trigger_that_names_no_database_stays_as_it_was_typed() -> None:
    typed = f"CREATE {TYPED.format('g', 't')}".encode()
    assert _canonical("trigger", "g", "t", "BEFORE INSERT", typed) == typed


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("SELECT * FROM `registry`.`t`", True),
        ("SELECT * FROM registry . t", True),
        ('SELECT * FROM "registry"."t"', True),
        ("SELECT registry FROM t", False),
        ("SELECT my_registry.a FROM t", False),
        ("SELECT * FROM registry2.t", False),
    ],
)
def test_a_body_that_names_the_database_is_noticed(text: str, *, named: bool) -> None:
    assert program("procedure", "p", text).names_database("registry") is named


@pytest.mark.parametrize(
    ("identifier", "name"), [(b"`a``b`", "a`b"), (b'"a""b"', 'a"b'), (b"plain", "plain"), (b"`\xc3\xa9`", "é")]
)
def test_identifiers_are_read_in_every_way_of_quoting(identifier: bytes, name: str) -> None:
    assert unquoted(identifier) == name
