"""Which keys a table has while its rows are loaded, and which are built afterwards."""

import pytest

from opskit.mysql.create_table import parse_create_table
from opskit.mysql.ddl import StagedTable, stage


def staged(*items: str, options: str = "ENGINE=InnoDB DEFAULT CHARSET=utf8mb4") -> StagedTable:
    return stage(parse_create_table("CREATE TABLE `t` (\n  " + ",\n  ".join(items) + f"\n) {options}"))


A, B, C = "`a` int NOT NULL", "`b` int DEFAULT NULL", "`c` varchar(9) NOT NULL"


def kept(table: StagedTable, key: str) -> bool:
    """Tell where the key is; it is in exactly one place."""
    places = [key in table.create, any(key in (addition or "") for addition in [*table.additions, table.foreign_keys])]
    assert sum(places) == 1
    return places[0]


@pytest.mark.parametrize(
    ("items", "key", "stays"),
    [
        # The rows lie in the order of the primary key, or of what stands in for it.
        ([A, B, "PRIMARY KEY (`a`)"], "PRIMARY KEY (`a`)", True),
        ([A, B, "UNIQUE KEY `u` (`a`)"], "UNIQUE KEY `u` (`a`)", True),
        ([A, C, "UNIQUE KEY `u` (`a`,`c`)"], "UNIQUE KEY `u` (`a`,`c`)", True),
        ([A, B, "UNIQUE KEY `u` (`b`)"], "UNIQUE KEY `u` (`b`)", False),
        ([A, B, "UNIQUE KEY `u` (`a`,`b`)"], "UNIQUE KEY `u` (`a`,`b`)", False),
        ([A, C, "UNIQUE KEY `u` (`c`(3))"], "UNIQUE KEY `u` (`c`(3))", False),
        ([A, B, "PRIMARY KEY (`a`)", "UNIQUE KEY `u` (`a`)"], "UNIQUE KEY `u` (`a`)", False),
        ([A, C, "UNIQUE KEY `u` (`a`)", "UNIQUE KEY `v` (`c`)"], "UNIQUE KEY `v` (`c`)", False),
        # What only says that it is NOT NULL is not.
        (["`a` int DEFAULT NULL COMMENT 'NOT NULL'", "UNIQUE KEY `u` (`a`)"], "UNIQUE KEY `u` (`a`)", False),
        # A counter needs its key.
        (["`a` int NOT NULL AUTO_INCREMENT", "KEY `k` (`a`)"], "KEY `k` (`a`)", True),
        (["`a` int NOT NULL AUTO_INCREMENT", B, "KEY `k` (`a`,`b`)"], "KEY `k` (`a`,`b`)", True),
        (["`a` int NOT NULL COMMENT 'AUTO_INCREMENT'", "KEY `k` (`a`)"], "KEY `k` (`a`)", False),
        # An ALTER TABLE that adds one of these copies the table.
        ([A, "KEY `k` ((`a` + 1))"], "KEY `k` ((`a` + 1))", True),
        ([A, B, "KEY `k` (`b`,(lower(`a`)) DESC)"], "KEY `k` (`b`,(lower(`a`)) DESC)", True),
        (["`p` point NOT NULL", "SPATIAL KEY `k` (`p`)"], "SPATIAL KEY `k` (`p`)", True),
        ([A, B, "KEY `k` (`b`)"], "KEY `k` (`b`)", False),
        ([A, "KEY `k (1,(2))` (`a`) COMMENT 'a (b), c'"], "KEY `k (1,(2))` (`a`) COMMENT 'a (b), c'", False),
        ([C, "FULLTEXT KEY `k` (`c`)"], "FULLTEXT KEY `k` (`c`)", False),
        # Keys before one that stays stay, too: the server lists them in the order in which they came.
        ([A, B, "KEY `k` (`b`)", "KEY `l` ((`a` + 1))"], "KEY `k` (`b`)", True),
        ([A, B, "KEY `k` ((`a` + 1))", "KEY `l` (`b`)"], "KEY `l` (`b`)", False),
        ([A, "CONSTRAINT `f` FOREIGN KEY (`a`) REFERENCES `t` (`a`)"], "CONSTRAINT `f` FOREIGN KEY", False),
        ([A, "CONSTRAINT ` FOREIGN KEY ` CHECK ((`a` > 0))"], "CONSTRAINT ` FOREIGN KEY ` CHECK", True),
    ],
)
def test_a_key_is_there_while_rows_come_or_is_built_afterwards(items: list[str], key: str, *, stays: bool) -> None:
    assert kept(staged(*items), key) is stays


def test_additions_are_one_alter_for_plain_keys_and_one_for_each_fulltext_key() -> None:
    table = staged(
        A, B, C, "PRIMARY KEY (`a`)", "KEY `k` (`b`)", "UNIQUE KEY `u` (`c`)", "FULLTEXT KEY `f` (`c`)",
        "FULLTEXT KEY `g` (`c`) /*!50100 WITH PARSER `ngram` */ ",
        "CONSTRAINT `x` FOREIGN KEY (`b`) REFERENCES `t` (`a`)",
        "CONSTRAINT `y` FOREIGN KEY (`a`) REFERENCES `t` (`a`) ON DELETE CASCADE",
    )  # fmt: skip
    assert table.additions == [
        "ALTER TABLE `t` ADD KEY `k` (`b`), ADD UNIQUE KEY `u` (`c`)",
        "ALTER TABLE `t` ADD FULLTEXT KEY `f` (`c`)",
        "ALTER TABLE `t` ADD FULLTEXT KEY `g` (`c`) /*!50100 WITH PARSER `ngram` */",
    ]
    assert table.foreign_keys == (
        "ALTER TABLE `t` ADD CONSTRAINT `x` FOREIGN KEY (`b`) REFERENCES `t` (`a`),"
        " ADD CONSTRAINT `y` FOREIGN KEY (`a`) REFERENCES `t` (`a`) ON DELETE CASCADE"
    )


def test_a_table_without_deferred_keys_has_no_additions() -> None:
    table = staged(A, "PRIMARY KEY (`a`)")
    assert table.additions == []
    assert table.foreign_keys is None


def test_columns_constraints_and_options_are_kept_as_they_were_printed() -> None:
    options = "ENGINE=InnoDB AUTO_INCREMENT=77 DEFAULT CHARSET=utf8mb4 COMMENT='it''s; ) PRIMARY KEY'"
    check = "CONSTRAINT `c` CHECK ((`a` <> _utf8mb4'),'))"
    assert staged(A, check, options=options).create == f"CREATE TABLE `t` (\n  {A},\n  {check}\n) {options}"
