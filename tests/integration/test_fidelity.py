"""What goes into a backup comes back as it was; mysqldump, CHECKSUM TABLE and information_schema bear witness."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from opskit.backup.create import create_backup
from opskit.restore.run import Options, restore
from opskit.storage.directory import DirectoryStorage
from sandbox.mlmd import MODEL_NAME, Library
from sandbox.server import OwnServer, Server
from tests.conftest import fresh_database
from tests.endpoints import endpoint
from tests.integration.fidelity import programs, structure, values, witness
from tests.integration.fidelity.filling import fill
from tests.integration.fidelity.trip import Trip, round_trip
from tests.unit.command_line import environment, opskit_command, run

# CHECKSUM TABLE of a multi-valued key over numbers is another one each time (measured on MySQL 9.7.4).
UNSTABLE = frozenset({"functional"})


def test_mysqldump_of_source_and_target_is_identical(everything: Trip) -> None:
    everything.require_same_dump()


def test_the_servers_own_checksum_of_every_table_is_equal(everything: Trip) -> None:
    found = [
        witness.checksums(everything.server, database, without=UNSTABLE)
        for database in (everything.source, everything.target)
    ]
    assert len(found[0]) > 100
    assert found[0] == found[1]


@pytest.mark.parametrize("view", witness.VIEWS_OF_A_DATABASE)
def test_information_schema_tells_the_same_of_both(everything: Trip, view: str) -> None:
    found = [witness.facts(everything.server, database, view) for database in (everything.source, everything.target)]
    assert found[0]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("table", "columns"),
    [("floating", ("d", "f")), ("floating_forms", ("fu", "fz", "fd", "du", "dz", "dd", "ddz", "p"))],
)
def test_every_bit_of_a_floating_number_comes_back(everything: Trip, table: str, columns: tuple[str, ...]) -> None:
    # mysqldump prints six digits of a FLOAT; a DOUBLE is printed so that it reads back as itself.
    exact = [f"CAST({column} AS DOUBLE)" for column in columns]
    found = [witness.rows(everything.server, each, table, *exact) for each in (everything.source, everything.target)]
    assert found[0] == found[1]
    printed = {value for row in found[0] for value in row}
    assert "16777216" in printed
    if everything.server.product == "MySQL":
        assert "-0" in printed  # MariaDB shows 0 for it


def test_rows_that_refer_to_nothing_are_kept_and_counted(everything: Trip) -> None:
    assert everything.report.orphans == {
        "a_child.a_child_ibfk_1": 1,
        "a_child.é to parents": 1,
        "cycle_b.cycle_b_ibfk_1": 1,
    }


def test_every_row_was_compared_and_nothing_warned_about(everything: Trip) -> None:
    report = everything.report
    assert report.not_compared == ()
    assert report.warnings == ()
    assert {each.table for each in report.tables} == set(witness.base_tables(everything.server, everything.source))


def test_a_database_whose_character_set_is_latin1_comes_back(mysql: Server, database: str, tmp_path: Path) -> None:
    mysql.execute(f"ALTER DATABASE `{database}` CHARACTER SET latin1")
    tables = {**values.TABLES, "latin_columns": structure.TABLES["latin_columns"], **programs.TABLES}
    fill(mysql, database, tables, programs.STATEMENTS)
    with round_trip(mysql, database, tmp_path, made_by_restore=True) as trip:
        trip.require_same_dump()
        assert witness.facts(mysql, trip.target, "SCHEMATA") == witness.facts(mysql, database, "SCHEMATA")


def test_rows_of_many_megabytes_come_back(mysql: Server, database: str, tmp_path: Path) -> None:
    every_byte = "0x" + bytes(range(256)).hex()
    special = "'é''\\\\;\\n'"
    # With it and 8 bytes of lengths the row fills a packet of the protocol to the last byte, and an empty one follows.
    to_the_brim = 0xFFFFFF - 8
    mysql.execute(
        f"USE `{database}`",
        "CREATE TABLE large (id INT PRIMARY KEY, t LONGTEXT, b LONGBLOB, l LONGTEXT CHARACTER SET latin1)",
        # Over 1 MB a value is quoted and no longer hexadecimal.
        f"INSERT INTO large VALUES (1, REPEAT({special}, 200000), REPEAT({every_byte}, 4097), REPEAT('ß', 1048577)),"
        f" (2, NULL, REPEAT({every_byte}, 4096), REPEAT('ß', 1048576)), (3, REPEAT('a', {to_the_brim}), NULL, NULL),"
        f" (4, REPEAT('0123456789', 1000000), REPEAT({every_byte}, 40000), ''), (5, '', '', '')",
    )
    with round_trip(mysql, database, tmp_path) as trip:
        trip.require_same_dump()
        assert witness.checksums(mysql, trip.target) == witness.checksums(mysql, database)
    assert trip.manifest.largest_statement > 20_000_000


def test_json_that_no_text_can_say_is_counted_named_warned_about_and_compared_as_reparsed(
    mysql: Server, database: str, tmp_path: Path
) -> None:
    mysql.execute(
        f"USE `{database}`",
        "CREATE TABLE opaque (id INT PRIMARY KEY, `a ``j` JSON, plain JSON, computed JSON AS (JSON_ARRAY(id, 1.10)))",
        "INSERT INTO opaque (id, `a ``j`, plain) VALUES (1, JSON_OBJECT('d', CAST('1.10' AS DECIMAL(5,2))), '1.5'),"
        " (2, CAST(DATE'2020-01-02' AS JSON), NULL), (3, JSON_ARRAY(TIME'10:00:00', x'ff00'), '[]'),"
        " (4, '{\"t\": 1.10}', '0.1'), (5, NULL, NULL)",
    )
    with round_trip(mysql, database, tmp_path) as trip:
        (table,) = trip.manifest.tables
        assert table.reparsed == ("a `j: 3 rows",)
        assert [each for each in trip.report.warnings if "a `j: 3 rows" in each and "'opaque'" in each]
        assert trip.report.not_compared == ()
        again = "CAST(CAST(`a ``j` AS CHAR) AS JSON)"
        expected = witness.rows(mysql, database, "opaque", "id", again, "plain", "computed")
        assert witness.rows(mysql, trip.target, "opaque", "id", "`a ``j`", "plain", "computed") == expected


def test_events_stay_disabled_and_definers_are_dropped_and_both_are_listed(
    mysql: Server, database: str, tmp_path: Path
) -> None:
    fill(mysql, database, programs.TABLES, programs.STATEMENTS)
    with round_trip(mysql, database, tmp_path, keep_all=False) as trip:
        states = mysql.execute(f"SELECT status FROM information_schema.events WHERE event_schema = '{trip.target}'")
        definers = mysql.execute(
            f"SELECT definer FROM information_schema.views WHERE table_schema = '{trip.target}' UNION"
            f" SELECT definer FROM information_schema.triggers WHERE trigger_schema = '{trip.target}' UNION"
            f" SELECT definer FROM information_schema.routines WHERE routine_schema = '{trip.target}' UNION"
            f" SELECT definer FROM information_schema.events WHERE event_schema = '{trip.target}'"
        )
    assert set(states) == {("DISABLED",)}
    assert set(trip.report.events_disabled) == {"once", "elsewhere", "yearly", "latin_event"}
    assert definers == mysql.execute("SELECT CURRENT_USER()")
    assert "event yearly (`gone`@`%`)" in trip.report.definers_dropped
    assert len(trip.report.definers_dropped) == len(trip.manifest.programs)


def test_settings_of_the_server_change_nothing(own_mysql: Callable[..., OwnServer], tmp_path: Path) -> None:
    server = own_mysql("--character-set-server=latin1")
    server.execute("CREATE DATABASE source CHARACTER SET utf8mb4")
    chosen = {name: structure.TABLES[name] for name in ("invisible_key", "automatic_zero", "defaults")}
    fill(server, "source", {**values.TABLES, **chosen, **programs.TABLES}, programs.STATEMENTS)
    settings = {
        "sql_mode": "'ANSI_QUOTES,NO_BACKSLASH_ESCAPES,STRICT_ALL_TABLES,NO_ZERO_DATE,PAD_CHAR_TO_FULL_LENGTH'",
        "time_zone": "'+05:30'",
        "sql_select_limit": "1",
        "max_execution_time": "1",
        "sql_quote_show_create": "OFF",
        "autocommit": "OFF",
        "completion_type": "'CHAIN'",
        "foreign_key_checks": "ON",
        "show_gipk_in_create_table_and_information_schema": "OFF",
        "collation_connection": "latin1_german1_ci",
    }
    before = {name: server.execute(f"SELECT @@GLOBAL.{name}")[0][0] for name in settings}
    server.execute(*(f"SET GLOBAL {name} = {value}" for name, value in settings.items()))
    storage = DirectoryStorage(tmp_path)
    manifest = create_backup(endpoint(server), "source", storage, "registry")
    restore(endpoint(server), storage, manifest, Options(into="target", keep_definer=True, enable_events=True))
    with server.connect() as connection, connection.cursor() as cursor:
        for name, value in before.items():
            cursor.execute(f"SET GLOBAL {name} = %s", [value])
    witness.require_same_dump(server, "source", "target")


def test_an_event_whose_time_has_passed_is_not_missed_silently(mysql: Server, database: str, tmp_path: Path) -> None:
    mysql.execute(
        f"USE `{database}`",
        "CREATE TABLE t (id INT PRIMARY KEY)",
        "SET SESSION timestamp = UNIX_TIMESTAMP('2001-01-01')",
        "CREATE EVENT passed ON SCHEDULE AT '2001-01-02 00:00:00' DISABLE ON SLAVE DO SET @x = 1",
        "CREATE EVENT kept ON SCHEDULE AT '2001-01-02 00:00:00' ON COMPLETION PRESERVE DISABLE ON SLAVE DO SET @x = 1",
    )
    with round_trip(mysql, database, tmp_path) as trip:
        left = mysql.execute(f"SELECT event_name FROM information_schema.events WHERE event_schema = '{trip.target}'")
    assert left == (("kept",),)
    assert trip.report.warnings == ("event 'passed': its time has passed, and the server dropped it",)
    assert trip.report.events_disabled == ("passed",)


def test_a_database_may_be_called_anything(mysql: Server, database: str, tmp_path: Path) -> None:
    odd = f"{database}_opskit_é/../%41.'\"; --"  # the fixture drops it, too
    mysql.execute(f"CREATE DATABASE `{odd}`")
    fill(mysql, odd, {**programs.TABLES, "..": structure.TABLES[".."]}, programs.STATEMENTS)
    with round_trip(mysql, odd, tmp_path) as trip:
        trip.require_same_dump()
    assert all(each.parent == trip.folder for each in tmp_path.rglob("*.zst"))


def test_registry_that_its_own_library_wrote_is_read_by_it_after_a_restore(
    mariadb: Server, mariadb_database: str, mlmd: Library, tmp_path: Path
) -> None:
    mlmd.write(mariadb, mariadb_database)
    with round_trip(mariadb, mariadb_database, tmp_path) as trip:
        trip.require_same_dump()
        registry = mlmd.read(mariadb, trip.target)
    assert registry == mlmd.read(mariadb, mariadb_database)
    assert MODEL_NAME in [each["name"] for each in registry["contexts"]]


def test_the_command_line_makes_the_same_round_trip(mysql: Server, database: str, tmp_path: Path) -> None:
    fill(mysql, database, {**values.TABLES, **programs.TABLES}, programs.STATEMENTS)
    (tmp_path / "password").write_text(mysql.password)
    variables = environment(
        OPSKIT_MYSQL_URL=f"{mysql.url}/{database}",
        OPSKIT_MYSQL_PASSWORD_FILE=str(tmp_path / "password"),
        OPSKIT_STORAGE_URL=str(tmp_path / "backups"),
    )
    with fresh_database(mysql) as target:
        options = ["--into", target, "--keep-definer", "--enable-events"]
        for command in (["backup", "create"], ["restore", "run", "latest", *options]):
            done = run(opskit_command(*command, "--json"), tmp_path, variables)
            assert done.returncode == 0, done.stderr
        witness.require_same_dump(mysql, database, target)
        assert json.loads(done.stdout)["database"] == target
        assert witness.facts(mysql, database, "EVENTS") == witness.facts(mysql, target, "EVENTS")
