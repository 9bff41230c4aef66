"""Views, triggers, routines and events, each made by a client of its own kind."""

from tests.integration.fidelity.values import Tables

TABLES: Tables = {
    "watched": [
        "CREATE TABLE watched (id INT PRIMARY KEY, a VARCHAR(50), changed INT DEFAULT 0)",
        "INSERT INTO watched VALUES (1, 'as it was', 0), (2, NULL, 0)",
    ],
    "journal": ["CREATE TABLE journal (id INT AUTO_INCREMENT PRIMARY KEY, what VARCHAR(200))"],
}

_TRIGGERS = [
    # Were one there while rows are loaded, they would not be what they were.
    "CREATE TRIGGER z_first BEFORE INSERT ON watched FOR EACH ROW SET NEW.a = CONCAT(NEW.a, '!')",
    "CREATE TRIGGER a_second BEFORE INSERT ON watched FOR EACH ROW FOLLOWS z_first SET NEW.changed = NEW.changed + 1",
    "CREATE TRIGGER middle BEFORE INSERT ON watched FOR EACH ROW PRECEDES a_second SET NEW.changed = NEW.changed * 2",
    "CREATE TRIGGER `after ``it``` AFTER UPDATE ON watched FOR EACH ROW BEGIN\n  -- a comment; with 'quotes' */\n"
    "  INSERT INTO journal (what) VALUES ('it''s ;\\n // ;; \\\\'); /* DELIMITER // */\n  SET @x = ';;\\n';\nEND",
    "create definer = 'nobody'@'10.0.0.%' trigger loud before delete on watched for each row"
    " insert into journal (what) values (concat('gone ', old.id, ' é 😀'))",
    "SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT,STRICT_ALL_TABLES'",
    'CREATE TRIGGER "ansi" AFTER INSERT ON "watched" FOR EACH ROW INSERT INTO "journal" ("what") VALUES (NEW.a || \'x\')',
    "SET SESSION sql_mode = 'NO_BACKSLASH_ESCAPES'",
    "CREATE TRIGGER no_escapes AFTER DELETE ON watched FOR EACH ROW INSERT INTO journal (what) VALUES ('\\')",
    "SET SESSION sql_mode = ''",
]

_ROUTINES = [
    "CREATE FUNCTION plus_one(n INT) RETURNS INT DETERMINISTIC NO SQL COMMENT 'it''s; */ é' RETURN n + 1",
    "CREATE FUNCTION text_of(t VARCHAR(20)) RETURNS VARCHAR(40) CHARSET utf8mb4 READS SQL DATA SQL SECURITY INVOKER"
    " RETURN CONCAT(t, ';;', '//0//', (SELECT COUNT(*) FROM watched))",
    "CREATE PROCEDURE `odd ``name`` ()`(IN a INT, INOUT `b (` TEXT, OUT c JSON) MODIFIES SQL DATA BEGIN\n"
    "  DECLARE done INT DEFAULT 0;\n  DECLARE rows_ CURSOR FOR SELECT id FROM watched; -- the ';' in 'this'\n"
    "  DECLARE CONTINUE HANDLER FOR NOT FOUND SET done = 1;\n  /* CREATE DEFINER=`x`@`y` */\n"
    "  l: LOOP IF done THEN LEAVE l; END IF; SET done = 1; END LOOP;\n  SELECT 'DELIMITER ;\n', '😀', \"it's\";\nEND",
    'CREATE PROCEDURE `empty "body` () BEGIN END',
    "CREATE PROCEDURE written_on_windows()\r\nBEGIN\r\n  SELECT 'a\r\nb\tc';\r\nEND",
    # The same name as a function's.
    "CREATE PROCEDURE plus_one() SELECT plus_one(1)",
    "CREATE DEFINER = 'gone'@'localhost' PROCEDURE of_nobody() SELECT 1",
    "SET SESSION sql_mode = 'ANSI_QUOTES,PIPES_AS_CONCAT'",
    'CREATE PROCEDURE "quoted"() SELECT "id", \'a\' || \'b\' FROM "watched"',
    "SET SESSION sql_mode = ''",
]

# An older program speaks latin1: the body's é is one byte.
LATIN_CLIENT: list[str | bytes] = [
    "SET NAMES latin1 COLLATE latin1_german1_ci",
    "CREATE PROCEDURE latin_client() SELECT 'caf\u00e9', '\u00df' = 'ss'".encode("latin1"),
    "CREATE TRIGGER latin_trigger BEFORE UPDATE ON watched FOR EACH ROW SET NEW.a = 'caf\u00e9'".encode("latin1"),
    "CREATE VIEW latin_view AS SELECT 'caf\u00e9' AS `\u00e9`".encode("latin1"),
    "CREATE EVENT latin_event ON SCHEDULE AT '2037-01-01 00:00:00' DO SELECT 'caf\u00e9'".encode("latin1"),
    "SET NAMES utf8mb4",
]

_EVENTS = [
    "CREATE EVENT once ON SCHEDULE AT '2037-12-31 23:59:59' ON COMPLETION PRESERVE COMMENT 'it''s; */' DO DELETE FROM journal",
    "SET SESSION time_zone = '+05:30'",
    "CREATE EVENT `often ``` ON SCHEDULE EVERY '1:30' MINUTE_SECOND STARTS '2036-01-01 00:00:00' ENDS '2037-01-01 00:00:00'"
    " DISABLE DO BEGIN SELECT ' ON COMPLETION PRESERVE ENABLE'; SELECT '; ;'; END",
    "SET SESSION time_zone = DEFAULT",
    "CREATE EVENT elsewhere ON SCHEDULE EVERY 1 WEEK STARTS '2036-01-01 00:00:00' DISABLE ON SLAVE DO SET @x = 2",
    "CREATE DEFINER = 'gone'@'%' EVENT yearly ON SCHEDULE EVERY 1 YEAR STARTS '2036-01-01 00:00:00' ENABLE DO SET @x = 1",
]

_VIEWS = [
    "CREATE VIEW m_base AS SELECT id, a AS `é ;``\"`, plus_one(id) AS p FROM watched WHERE a <> ';\\n*/ it''s'",
    # It sorts before the view that it reads.
    "CREATE VIEW a_upper AS SELECT * FROM m_base WHERE id > 0 WITH CASCADED CHECK OPTION",
    "CREATE VIEW z_joined (x, `y z`) AS SELECT u.id, w.a FROM a_upper u JOIN watched w USING (id)",
    "CREATE VIEW parentheses (`a (b`, `c), d`, `e`) AS SELECT 1, 2, 3",
    "CREATE ALGORITHM = TEMPTABLE SQL SECURITY INVOKER VIEW merged AS SELECT COUNT(*) FROM z_joined UNION ALL SELECT 1",
    "CREATE ALGORITHM = MERGE DEFINER = 'gone'@'%' VIEW of_nobody AS SELECT 1 AS `1`, 'x', NULL, _latin1 0xE9 AS l",
    "CREATE VIEW `view ``/ A` AS WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 3) SELECT * FROM n",
]  # fmt: skip

STATEMENTS: list[str | bytes] = [*_ROUTINES, *_VIEWS, *_TRIGGERS, *_EVENTS, *LATIN_CLIENT]
