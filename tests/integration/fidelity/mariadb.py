"""What MariaDB takes of the test data, and what it has in its own way."""

from tests.integration.fidelity import mysql_values, programs, structure, text, values
from tests.integration.fidelity.values import Tables

# Types, syntax and variables that only MySQL has.
_MYSQL_ONLY = {
    "text_gb18030", "computed", "invisible_key", "compressed", "full_text", "functional", "prefix_and_order",
    "key_order", "checked", "defaults", "documents", "spatial_references", "vectors",
}  # fmt: skip

_OWN: Tables = {
    "computed": [
        "CREATE TABLE computed (a INT, v INT AS (a + 1) VIRTUAL, b VARCHAR(20) COMMENT 'PERSISTENT GENERATED',"
        " s VARCHAR(40) GENERATED ALWAYS AS (CONCAT(b, ';\\n*/', 'it''s')) PERSISTENT, c INT INVISIBLE,"
        " l INT AS (CHAR_LENGTH(b)) VIRTUAL INVISIBLE, KEY kv (v), KEY ks (s(3)))",
        "INSERT INTO computed (a, b, c) VALUES (1, 'one', 5), (2, 'two', NULL), (NULL, '', 7)",
    ],
    "checked": [
        "CREATE TABLE checked (a INT CHECK (a > 0), b VARCHAR(10), CONSTRAINT `odd ``name` CHECK (b <> ';\\n*/ it''s'))",
        "INSERT INTO checked VALUES (1, 'x')",
        # The server lets rows in that no CHECK would, when it is told to.
        "SET SESSION check_constraint_checks = 0",
        "INSERT INTO checked VALUES (-1, ';\\n*/ it''s')",
        "SET SESSION check_constraint_checks = 1",
    ],
    "defaults": [
        "CREATE TABLE defaults (id INT PRIMARY KEY, a VARCHAR(50) DEFAULT 'it''s \\ \n ; */ é 😀', b BINARY(3) DEFAULT (UNHEX('FFFE00')),"
        " vb VARBINARY(3) DEFAULT 0x00, l VARCHAR(5) CHARACTER SET latin1 DEFAULT 'é', t TEXT DEFAULT (CONCAT('a', UUID())),"
        " n INT DEFAULT (1 + 2), c TIMESTAMP(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),"
        " d DATETIME DEFAULT '0000-00-00', e ENUM('a', '') DEFAULT '', f FLOAT DEFAULT 0.1, bit3 BIT(3) DEFAULT b'101',"
        " nn TEXT NOT NULL, s SET('a','b') DEFAULT 'a,b')",
        "INSERT INTO defaults (id, nn) VALUES (1, ''), (2, 'x')",
    ],
    "addresses": [
        "CREATE TABLE addresses (u UUID PRIMARY KEY, v4 INET4, v6 INET6)",
        "INSERT INTO addresses VALUES ('00112233-4455-6677-8899-aabbccddeeff', '10.0.0.255', '2001:db8::1'),"
        " ('00000000-0000-0000-0000-000000000000', '0.0.0.0', '::ffff:192.0.2.1'),"
        " ('ffffffff-ffff-ffff-ffff-ffffffffffff', NULL, NULL)",
    ],
    "documents": [
        "CREATE TABLE documents (id INT AUTO_INCREMENT PRIMARY KEY, j JSON)",
        *(
            f"INSERT INTO documents (j) VALUES ('{each}')"
            for each in mysql_values.DOCUMENTS
            if not each.startswith("[[")  # MariaDB's parser goes 32 levels deep
        ),
        "INSERT INTO documents (j) VALUES (NULL), ('{\"a\":  1.10 , \"a\": 2}')",
    ],
    "packed": [
        "CREATE TABLE packed (id INT PRIMARY KEY, t TEXT COMPRESSED, b LONGBLOB COMPRESSED, v VARCHAR(2000) COMPRESSED)",
        "INSERT INTO packed VALUES (1, REPEAT('abc', 10000), REPEAT(0x00FF, 10000), ''), (2, NULL, '', NULL)",
    ],
    "periods": [
        "CREATE TABLE periods (id INT, a DATE, b DATE, PERIOD FOR shown (a, b), UNIQUE KEY u (id, shown WITHOUT OVERLAPS))",
        "INSERT INTO periods VALUES (1, '2020-01-01', '2020-02-01'), (1, '2020-02-01', '2020-03-01')",
    ],
    "ignored_key": [
        "CREATE TABLE ignored_key (a VARCHAR(50), b INT, KEY k1 (a(3), b DESC), KEY k2 (b) IGNORED, KEY k3 (b) USING BTREE)",
        "INSERT INTO ignored_key VALUES ('abcdef', 1), (NULL, NULL)",
    ],
    "full_text": [
        "CREATE TABLE full_text (id INT PRIMARY KEY, a TEXT, b VARCHAR(99), KEY kb (b), FULLTEXT KEY f1 (a, b), KEY ka (a(5)),"
        " FULLTEXT KEY f2 (b), FTS_DOC_ID BIGINT UNSIGNED NOT NULL AUTO_INCREMENT UNIQUE)",
        "INSERT INTO full_text (id, a, b) VALUES (1, 'the quick brown fox', 'jumps'), (2, NULL, '日本語')",
    ],
    "places": [
        "CREATE TABLE places (id INT PRIMARY KEY, a POINT REF_SYSTEM_ID=4326 NOT NULL, SPATIAL KEY ka (a))",
        "INSERT INTO places VALUES (1, ST_GeomFromText('POINT(52.5 13.4)', 4326)), (2, ST_GeomFromText('POINT(1 1)'))",
    ],
}  # fmt: skip

TABLES: Tables = {
    name: statements
    for each in (values, text, structure, programs)
    for name, statements in each.TABLES.items()
    if name not in _MYSQL_ONLY
} | {"shapes": mysql_values.SHAPES, **_OWN}
