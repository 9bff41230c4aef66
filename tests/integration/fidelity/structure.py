"""Columns, keys, partitions and constraints as tables of MySQL may have them."""

from tests.integration.fidelity.values import Tables

_COLUMNS: Tables = {
    "computed": [
        "CREATE TABLE computed (a INT, v INT AS (a + 1) VIRTUAL, b VARCHAR(20) COMMENT 'STORED GENERATED',"
        " s VARCHAR(40) GENERATED ALWAYS AS (CONCAT(b, ';\\n*/', 'it''s')) STORED NOT NULL, c INT,"
        " k INT AS (c * 2) STORED PRIMARY KEY, j JSON, x INT AS (j->>'$.x'), y INT AS (v + 1) UNIQUE,"
        " l INT AS (CHAR_LENGTH(b)) INVISIBLE, KEY kv (v), KEY ks (s(3)))",
        "INSERT INTO computed (a, b, c, j) VALUES (1, 'one', 5, '{\"x\": 7}'), (2, 'two', 6, '{}'), (3, '', 7, NULL)",
    ],
    "invisible": [
        "CREATE TABLE invisible (id INT PRIMARY KEY, shown INT, hidden VARCHAR(9) INVISIBLE DEFAULT 'x', last INT)",
        "INSERT INTO invisible (id, shown, hidden, last) VALUES (1, 2, 'kept', 3), (2, NULL, NULL, NULL)",
        "INSERT INTO invisible VALUES (3, 4, 5)",
    ],
    "invisible_key": [
        "SET SESSION sql_generate_invisible_primary_key = ON",
        "CREATE TABLE invisible_key (a INT)",
        "SET SESSION sql_generate_invisible_primary_key = OFF",
        "INSERT INTO invisible_key VALUES (5), (4), (5)",
        "DELETE FROM invisible_key WHERE my_row_id = 2",
    ],
    "defaults": [
        "CREATE TABLE defaults (id INT PRIMARY KEY, a VARCHAR(50) DEFAULT 'it''s \\\\ \\n ; */ é 😀', b BINARY(3) DEFAULT 0xFFFE00,"
        " vb VARBINARY(3) DEFAULT 0x00, l VARCHAR(5) CHARACTER SET latin1 DEFAULT 'é', t TEXT DEFAULT (CONCAT('a', UUID())),"
        " j JSON DEFAULT (JSON_ARRAY(1, 'x')), p POINT DEFAULT (POINT(1, 2)), n INT DEFAULT (1 + 2),"
        " c TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3), d DATETIME DEFAULT '0000-00-00',"
        " e ENUM('a', '') DEFAULT '', f FLOAT DEFAULT 0.1, bit3 BIT(3) DEFAULT b'101', nn TEXT NOT NULL, s SET('a','b') DEFAULT 'a,b',"
        " blo BLOB DEFAULT (0x00FF))",
        "INSERT INTO defaults (id, nn) VALUES (1, ''), (2, 'x')",
    ],
    "commented": [
        "CREATE TABLE commented (`a` INT COMMENT 'it''s; */ -- # /* \\\\ \\n 😀 `x` \"y\" AUTO_INCREMENT NOT NULL',"
        " b INT, KEY kb (b) COMMENT 'a key, it''s (b), ;\\n') COMMENT='it''s ENGINE=MyISAM ) ; \\n */ PRIMARY KEY'",
        "INSERT INTO commented VALUES (1, 2)",
    ],
    "options": [
        "CREATE TABLE options (a INT, b VARCHAR(100) COLLATE utf8mb4_bin, KEY (b) KEY_BLOCK_SIZE=4) ENGINE=InnoDB AVG_ROW_LENGTH=10"
        " CHECKSUM=1 DELAY_KEY_WRITE=1 MAX_ROWS=100 MIN_ROWS=1 PACK_KEYS=1 ROW_FORMAT=COMPRESSED KEY_BLOCK_SIZE=8"
        " STATS_AUTO_RECALC=0 STATS_PERSISTENT=1 STATS_SAMPLE_PAGES=7 DEFAULT CHARSET=cp1251 COLLATE=cp1251_bin",
        "INSERT INTO options VALUES (1, 'a')",
    ],
    "compressed": ["CREATE TABLE compressed (a INT) COMPRESSION='zlib' AUTOEXTEND_SIZE=4M"],
    "wide": [
        f"CREATE TABLE wide ({', '.join(f'c{n} TINYINT' for n in range(1017))})",
        f"INSERT INTO wide VALUES ({', '.join('1' for _ in range(1017))}), ({', '.join('NULL' for _ in range(1017))})",
    ],
    "empty_table": ["CREATE TABLE empty_table (a INT PRIMARY KEY, b TEXT)"],
    "latin_columns": [
        "CREATE TABLE latin_columns (a VARCHAR(10), b CHAR(3), c TEXT)",
        "INSERT INTO latin_columns VALUES ('é', 'ß', 'ÿ€')",
    ],
}

_KEYS: Tables = {
    "composite": [
        "CREATE TABLE composite (b VARCHAR(10), a INT, c DATE, PRIMARY KEY (b DESC, a), UNIQUE KEY u (a, b))",
        "INSERT INTO composite VALUES ('x', 1, NULL), ('x', 2, '2020-01-01'), ('', 0, NULL)",
    ],
    "automatic_second": [
        "CREATE TABLE automatic_second (a INT NOT NULL, id INT NOT NULL AUTO_INCREMENT, b INT, z INT, UNIQUE KEY ua (a),"
        " KEY zk (z), KEY k (id, a), KEY kb (b)) AUTO_INCREMENT=1000",
        "INSERT INTO automatic_second (a, id, b) VALUES (1, 17, 1), (2, 5, 2)",
    ],
    "automatic_in_composite": [
        "CREATE TABLE automatic_in_composite (a INT, id INT AUTO_INCREMENT, PRIMARY KEY (a, id), KEY (id)) AUTO_INCREMENT=50",
        "INSERT INTO automatic_in_composite VALUES (2, 7), (1, 7), (1, 60)",
    ],
    "automatic_zero": [
        "SET SESSION sql_mode = 'NO_AUTO_VALUE_ON_ZERO'",
        "CREATE TABLE automatic_zero (id INT AUTO_INCREMENT PRIMARY KEY) AUTO_INCREMENT=77",
        "INSERT INTO automatic_zero VALUES (0), (-5), (12)",
    ],
    "automatic_most": [
        "CREATE TABLE automatic_most (id BIGINT UNSIGNED AUTO_INCREMENT PRIMARY KEY)",
        "INSERT INTO automatic_most VALUES (18446744073709551613)",
    ],
    "keyless": [
        "CREATE TABLE keyless (a INT, b TEXT)",
        "INSERT INTO keyless VALUES (2, 'x'), (1, 'y'), (2, 'x'), (NULL, NULL)",
    ],
    "unique_only": [
        "CREATE TABLE unique_only (a INT, b INT NOT NULL, c CHAR(4) NOT NULL, KEY ka (a), UNIQUE KEY prefix (c(2)),"
        " UNIQUE KEY maybe (a), UNIQUE KEY ub (b, c), UNIQUE KEY uc (c, b))",
        "INSERT INTO unique_only VALUES (NULL, 3, 'ab'), (1, 1, 'cd'), (NULL, 2, 'ef')",
    ],
    "full_text": [
        "CREATE TABLE full_text (id INT PRIMARY KEY, a TEXT, b VARCHAR(99), KEY kb (b), FULLTEXT KEY f1 (a, b), KEY ka (a(5)),"
        " FULLTEXT KEY f2 (b) /*!50100 WITH PARSER `ngram` */, FTS_DOC_ID BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE)",
        "INSERT INTO full_text (id, a, b) VALUES (1, 'the quick brown fox', 'jumps'), (2, NULL, '日本語')",
    ],
    "full_text_plain": [
        "CREATE TABLE full_text_plain (a TEXT, b TEXT, FULLTEXT KEY (a), FULLTEXT KEY (b))",
        "INSERT INTO full_text_plain VALUES ('database', 'backup')",
    ],
    "functional": [
        "CREATE TABLE functional (id INT PRIMARY KEY, a INT, b VARCHAR(20), d JSON, KEY plain (a), KEY f1 ((a + 1)),"
        " UNIQUE KEY f2 ((LOWER(b)), a DESC), KEY f3 (a, (CONCAT(b, ')', ',', '`')) DESC),"
        " KEY multi ((CAST(d->'$.tags' AS CHAR(20) ARRAY))), KEY multi2 (a, (CAST(d->'$.n' AS UNSIGNED ARRAY))), KEY after_them (b))",
        'INSERT INTO functional VALUES (1, 1, \'X\', \'{"tags": ["a", "b"], "n": [1, 2, 3]}\'), (2, NULL, NULL, NULL)',
    ],
    "prefix_and_order": [
        "CREATE TABLE prefix_and_order (a VARCHAR(50), b BLOB, c INT, KEY k1 (a(3), c DESC), KEY k2 (b(10) DESC), KEY k3 (c) INVISIBLE,"
        " KEY k4 (c DESC) USING BTREE, UNIQUE KEY k5 (a(7), b(3)), KEY `odd ``name`` (x, y) ;` (c, a))",
        "INSERT INTO prefix_and_order VALUES ('abcdef', 'blob', 1), (NULL, NULL, NULL)",
    ],
    "key_order": [
        "CREATE TABLE key_order (id INT AUTO_INCREMENT, u2 INT NOT NULL, u1 INT, v INT, j JSON, UNIQUE KEY z_nullable (u1), KEY last_first (v),"
        " UNIQUE KEY a_strict (u2), KEY automatic (id), KEY m ((u1 + u2)), KEY e (v, u1), FULLTEXT KEY none (txt), txt TEXT)",
        "INSERT INTO key_order (u2, u1, v) VALUES (1, 2, 3), (2, NULL, 4)",
    ],
}

_CONSTRAINTS: Tables = {
    "checked": [
        "CREATE TABLE checked (a INT, b VARCHAR(10), CONSTRAINT positive CHECK (a > 0), CHECK (b <> ';\\n*/ it''s'),"
        " CONSTRAINT `odd ``name` CHECK (a < 100) NOT ENFORCED, CHECK (b REGEXP '^[a-z(,)]*$'))",
        "INSERT INTO checked VALUES (1, 'x'), (500, NULL)",
    ],
    "by_range": [
        "CREATE TABLE by_range (id INT NOT NULL, at DATE NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (YEAR(at))"
        " (PARTITION p0 VALUES LESS THAN (2000) COMMENT = 'it''s ;', PARTITION `p 1` VALUES LESS THAN MAXVALUE)",
        "INSERT INTO by_range VALUES (1, '1999-12-31'), (1, '2000-01-01'), (-3, '2023-05-05')",
    ],
    "by_list": [
        "CREATE TABLE by_list (a VARCHAR(5), b INT) PARTITION BY LIST COLUMNS (a, b)"
        " (PARTITION p0 VALUES IN (('x)', 1), ('it''s', 2)), PARTITION p1 VALUES IN ((NULL, NULL), ('', 0)))",
        "INSERT INTO by_list VALUES ('x)', 1), (NULL, NULL), ('', 0), ('it''s', 2)",
    ],
    "by_hash": [
        "CREATE TABLE by_hash (id INT PRIMARY KEY, a INT) PARTITION BY LINEAR HASH (id) PARTITIONS 3",
        "INSERT INTO by_hash VALUES (1, 1), (2, 2), (3, 3), (-4, 4)",
    ],
    "by_key": [
        "CREATE TABLE by_key (id CHAR(3) PRIMARY KEY) PARTITION BY KEY () PARTITIONS 2",
        "INSERT INTO by_key VALUES ('a'), ('b'), ('c')",
    ],
    "sub_partitioned": [
        "CREATE TABLE sub_partitioned (a INT, b DATE) PARTITION BY RANGE (a) SUBPARTITION BY HASH (TO_DAYS(b)) SUBPARTITIONS 2"
        " (PARTITION p0 VALUES LESS THAN (10), PARTITION p1 VALUES LESS THAN (20))",
        "INSERT INTO sub_partitioned VALUES (5, '2020-01-01'), (15, NULL)",
    ],
    "parents": [
        "CREATE TABLE parents (id INT, k VARCHAR(5), PRIMARY KEY (id), UNIQUE KEY (k, id))",
        "INSERT INTO parents VALUES (1, 'a')",
    ],
    # Their names sort before those of the tables they refer to.
    "a_child": [
        "CREATE TABLE a_child (id INT PRIMARY KEY, parent INT, k VARCHAR(5), CONSTRAINT `é to parents` FOREIGN KEY (parent)"
        " REFERENCES parents (id) ON DELETE SET NULL ON UPDATE CASCADE, FOREIGN KEY (k, parent) REFERENCES parents (k, id))",
        "SET SESSION foreign_key_checks = 0",
        "INSERT INTO a_child VALUES (1, 1, 'a'), (2, 404, 'orphan'), (3, NULL, NULL)",
        "SET SESSION foreign_key_checks = 1",
    ],
    "cycle_a": [
        "SET SESSION foreign_key_checks = 0",
        "CREATE TABLE cycle_a (id INT PRIMARY KEY, b INT, KEY kb (b), CONSTRAINT to_b FOREIGN KEY (b) REFERENCES cycle_b (id))",
        "CREATE TABLE cycle_b (id INT PRIMARY KEY, a INT, own INT, CONSTRAINT to_a FOREIGN KEY (a) REFERENCES cycle_a (id)"
        " ON DELETE CASCADE, FOREIGN KEY (own) REFERENCES cycle_b (id) ON DELETE RESTRICT)",
        "INSERT INTO cycle_a VALUES (1, 2)",
        "INSERT INTO cycle_b VALUES (2, 1, 2), (3, NULL, 404)",
        "SET SESSION foreign_key_checks = 1",
    ],
    "cycle_b": [],
}

# What a table may be called.
ODD_NAMES = (
    "..", "a/b", "a.00001", "a", "A", "opskit_1", "select", "a`b", 'a"b', "it's", "a b", " lead", "%41", "a%2Fb",
    "ä", "日本", "-schema", "x-schema", ";", "*\x2f", "--", "#", "\\", "$", "1", "-schema-create", "é" * 64,
    "ﬁ", "manifest.json",
)  # fmt: skip


def _named(name: str, number: int) -> list[str]:
    quoted = "`" + name.replace("`", "``") + "`"
    return [
        f"CREATE TABLE {quoted} ({quoted} INT, `key` INT, UNIQUE KEY {quoted} ({quoted}))",
        f"INSERT INTO {quoted} VALUES ({number}, NULL)",
    ]


TABLES: Tables = {
    **_COLUMNS,
    **_KEYS,
    **_CONSTRAINTS,
    **{name: _named(name, number) for number, name in enumerate(ODD_NAMES)},
}
