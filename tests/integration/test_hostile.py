"""Backups that somebody changed who can write the bucket: digests and manifest fit, and still nothing is executed."""

import secrets
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import zstandard
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from benchmarks.measure import FailedError, measured
from opskit.backup.catalog import find
from opskit.backup.check import check_backup
from opskit.backup.create import create_backup
from opskit.backup.manifest import backup_key
from opskit.errors import CorruptError
from opskit.restore.run import Options, restore
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Server
from tests.conftest import fresh_database
from tests.endpoints import endpoint
from tests.forger import Forger
from tests.unit.command_line import environment, opskit_command, run

REGISTRY = "r"
CHANGING = (
    "create",
    "drop",
    "alter",
    "insert",
    "update",
    "delete",
    "replace",
    "load",
    "grant",
    "call",
    "rename",
    "truncate",
)


def changes(server: Server) -> dict[str, int]:
    """How many statements of each changing kind the server has executed since it started."""
    rows = server.execute(r"SHOW GLOBAL STATUS LIKE 'Com\_%'")
    return {name: int(count) for name, count in rows if name.removeprefix("Com_").startswith(CHANGING)}


@pytest.fixture(scope="module")
def source(mysql: Server) -> Iterator[str]:
    with fresh_database(mysql) as database:
        with mysql.connect(database=database) as connection, connection.cursor() as cursor:
            for statement in (
                "CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(50))",
                "INSERT INTO t VALUES (1, 'one'), (2, 'two')",
                "CREATE TABLE u (id INT, w VARCHAR(50))",
                "INSERT INTO u VALUES (1, 'canary')",
                "CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW SET NEW.v = NEW.v",
                "CREATE VIEW v AS SELECT id FROM t",
                "CREATE EVENT e ON SCHEDULE EVERY 1 HOUR DISABLE DO SELECT 1",
                "CREATE PROCEDURE p() SELECT 1",
            ):
                cursor.execute(statement)
        yield database


@pytest.fixture(scope="module")
def honest(mysql: Server, source: str, tmp_path_factory: pytest.TempPathFactory) -> Forger:
    """An honest backup, never changed itself."""
    folder = tmp_path_factory.mktemp("honest")
    manifest = create_backup(endpoint(mysql), source, DirectoryStorage(folder), REGISTRY)
    return Forger(folder / REGISTRY / manifest.id)


def copied(honest: Forger, folder: Path) -> Forger:
    return Forger(Path(shutil.copytree(honest.folder, folder / REGISTRY / honest.backup_id)))


@pytest.fixture
def forger(honest: Forger, tmp_path: Path) -> Forger:
    return copied(honest, tmp_path / "backups")


def drop(forger: Forger) -> bytes:
    return b"DROP DATABASE `%b`" % forger.database.encode()


def federated(forger: Forger) -> None:
    forger.replace(".t-schema", b"ENGINE=InnoDB", b"ENGINE=FEDERATED")
    forger.table("t", lambda table: table.update(engine="FEDERATED"))


EVENT_STATE = b" ON COMPLETION NOT PRESERVE DISABLE"
FORGERIES: dict[str, Callable[[Forger], object]] = {
    "a second statement in a chunk": lambda it: it.replace(".t.00001", b");\n", b"); " + drop(it) + b";\n"),
    "a statement of its own in a chunk": lambda it: it.write(".t.00001", it.text(".t.00001") + drop(it) + b";\n"),
    "rows for another table": lambda it: it.replace(".t.00001", b"`t`", b"`u`"),
    "a qualified name": lambda it: it.replace(".t.00001", b"`t`", b"`%b`.`u`" % it.database.encode()),
    "a query for a value": lambda it: it.replace(".t.00001", b"'one'", b"(SELECT w FROM u)"),
    "an update for rows": lambda it: it.replace(".t.00001", b");\n", b") ON DUPLICATE KEY UPDATE id = 3;\n"),
    "another session": lambda it: it.replace(".t.00001", b"unique_checks = 0", b"unique_checks = 0, sql_log_bin = 0"),
    "another character set": lambda it: it.replace(".t.00001", b"NAMES utf8mb4", b"NAMES gbk"),
    "a chunk without an end": lambda it: it.write(".t.00001", it.text(".t.00001")[:-2]),
    "a line without an end": lambda it: it.write(".t.00001", it.text(".t.00001") + b"x" * 1_000_000),
    "a file that is not compressed": lambda it: it.put(".t.00001", it.text(".t.00001")),
    "two frames": lambda it: it.put(".t.00001", it.path(".t.00001").read_bytes() * 2),
    "a query for a table": lambda it: it.replace(".t-schema", b";\n", b" SELECT * FROM u;\n"),
    "a second statement in a definition": lambda it: it.replace(".t-schema", b";\n", b"; " + drop(it) + b";\n"),
    "a table elsewhere": lambda it: it.replace(".t-schema", b"`t`", b"`%b`.`x`" % it.database.encode()),
    "one more column": lambda it: it.replace(".t-schema", b"  PRIMARY", b"  `x` int DEFAULT '0',\n  PRIMARY"),
    "a file elsewhere": lambda it: it.replace(".t-schema", b"ENGINE=InnoDB", b"ENGINE=InnoDB DATA DIRECTORY='/tmp'"),
    "a comment that is not always code": lambda it: it.replace(
        ".t-schema", b"DEFAULT NULL", b"/*!99999 ' */ DEFAULT (SLEEP(9)) /*!99999 ' */"
    ),
    "another engine": lambda it: it.replace(".t-schema", b"ENGINE=InnoDB", b"ENGINE=MyISAM"),
    "an engine that reaches out": federated,
    "an event that fires": lambda it: it.replace("-schema-events", EVENT_STATE, b" ON COMPLETION PRESERVE ENABLE"),
    "an event that says that it does not fire": lambda it: it.replace(
        "-schema-events", EVENT_STATE + b" DO SELECT 1", b" ON COMPLETION PRESERVE DO SELECT '" + EVENT_STATE + b"'"
    ),
    "a trigger of another DEFINER": lambda it: it.replace("-schema-triggers", b"DEFINER=`root`", b"DEFINER=`admin`"),
    "a trigger on another table": lambda it: it.replace("-schema-triggers", b"ON `t`", b"ON `u`"),
    "a user among the programs": lambda it: it.replace("-schema-post", b";;\n", b";;\nCREATE USER x;;\n"),
    "a program that is not in the manifest": lambda it: it.manifest(lambda manifest: manifest["programs"].append(
        {"kind": "procedure", "name": "q", "definer": "`root`@`%`"}
    )),
    "a program of another name": lambda it: it.replace("-schema-post", b"`p`", b"`q`"),
    "another session among the programs": lambda it: it.replace("-schema-post", b"SET SESSION", b"SET GLOBAL"),
    "a key that leads out": lambda it: it.manifest(lambda manifest: (
        manifest["files"][0].update(name="../" + manifest["files"][0]["name"])
    )),
    "a table that is in no file": lambda it: it.manifest(lambda manifest: manifest["tables"].append(
        {**manifest["tables"][0], "name": "x"}
    )),
    "a file twice": lambda it: it.manifest(lambda manifest: manifest["files"].append(manifest["files"][0])),
    "a query for a column": lambda it: it.table("t", lambda table: table.update(select=["`id`", "(SELECT w FROM u)"])),
    "a range that is SQL": lambda it: it.table("t", lambda table: table["chunks"][0].update(first="1 OR SLEEP(9)")),
    "a collation that is SQL": lambda it: it.manifest(lambda manifest: manifest["database"].update(
        collation="utf8mb4_bin; " + drop(it).decode()
    )),
    "a digest of another kind": lambda it: it.manifest(lambda manifest: manifest.update(digest_algorithm="sum")),
}  # fmt: skip


@pytest.mark.parametrize("forge", FORGERIES.values(), ids=FORGERIES)
def test_forged_backup_is_65_and_nothing_is_executed(
    forge: Callable[[Forger], object], forger: Forger, mysql: Server
) -> None:
    forge(forger)
    before = changes(mysql)
    with pytest.raises(CorruptError):
        restore(endpoint(mysql), forger.storage, find(forger.storage, REGISTRY, "latest"))
    assert changes(mysql) == before


def test_honest_backup_is_restored(honest: Forger, mysql: Server) -> None:
    report = restore(endpoint(mysql), honest.storage, find(honest.storage, REGISTRY, "latest"))
    assert report.rows == 3
    mysql.execute(f"DROP DATABASE `{report.database}`")


def test_exit_code_and_hint_of_a_forged_backup(forger: Forger, mysql: Server, tmp_path: Path) -> None:
    FORGERIES["a second statement in a chunk"](forger)
    variables = environment(
        OPSKIT_MYSQL_URL=f"{mysql.url}/{REGISTRY}",
        OPSKIT_MYSQL_PASSWORD=mysql.password,
        OPSKIT_STORAGE_URL=(tmp_path / "backups").as_uri(),
    )
    ended = run(opskit_command("restore", "run", "latest", "--quiet"), tmp_path, variables)
    assert ended.returncode == 65
    assert "a statement that opskit does not write" in ended.stderr
    assert "hint: nothing was executed" in ended.stderr


# What reads as opskit writes it and says something else is found when it is compared, or by the server itself.
FALSE_ROWS: dict[str, Callable[[Forger], object]] = {
    "another value": lambda it: it.replace(".t.00001", b"'one'", b"'eno'"),
    "a row less": lambda it: it.replace(".t.00001", b",(2,'two')", b""),
    "a row twice": lambda it: it.replace(".t.00001", b"(2,'two')", b"(2,'two'),(2,'two')"),
    "a row twice without a key": lambda it: it.replace(".u.00001", b"(1,'canary')", b"(1,'canary'),(1,'canary')"),
    "a value of another type": lambda it: it.replace(".t.00001", b"(2,", b"('x',"),
    "no rows": lambda it: it.write(".t.00001", b"\n".join(it.text(".t.00001").split(b"\n")[:2]) + b"\n"),
    "a program that is none": lambda it: it.replace("-schema-post", b"SELECT 1", b"SELECT 1; " + drop(it)),
}


@pytest.mark.parametrize("forge", FALSE_ROWS.values(), ids=FALSE_ROWS)
def test_false_rows_are_65_and_no_database_is_left(
    forge: Callable[[Forger], object], forger: Forger, mysql: Server
) -> None:
    forge(forger)
    before = mysql.execute("SHOW DATABASES")
    with pytest.raises(CorruptError):
        restore(endpoint(mysql), forger.storage, find(forger.storage, REGISTRY, "latest"))
    assert mysql.execute("SHOW DATABASES") == before


def test_object_that_changes_after_it_was_judged_is_judged_again(honest: Forger, mysql: Server) -> None:
    text = honest.text(".t.00001").replace(b");\n", b"); " + drop(honest) + b";\n")
    reads: list[str] = []

    class Changing(DirectoryStorage):
        def get(self, key: str) -> Iterator[bytes]:
            reads.append(key)
            if reads.count(key) > 1 and ".t.00001" in key:
                return iter([zstandard.ZstdCompressor().compress(text)])
            return super().get(key)

    before = mysql.execute("SHOW DATABASES")
    storage = Changing(honest.folder.parents[1])
    with pytest.raises(CorruptError):
        restore(endpoint(mysql), storage, find(storage, REGISTRY, "latest"))
    assert mysql.execute("SHOW DATABASES") == before


def test_bomb_takes_little_memory(forger: Forger, mysql: Server, tmp_path: Path) -> None:
    compressor = zstandard.ZstdCompressor(level=19).compressobj()
    bomb = b"".join(compressor.compress(b"0" * 2**20) for _ in range(1024)) + compressor.flush()
    assert len(bomb) < 2**17
    forger.put(".t.00001", bomb)
    forger.manifest(lambda manifest: manifest.update(largest_statement=2**30))
    variables = environment(
        OPSKIT_MYSQL_URL=f"{mysql.url}/{REGISTRY}",
        OPSKIT_MYSQL_PASSWORD=mysql.password,
        OPSKIT_STORAGE_URL=(tmp_path / "backups").as_uri(),
    )
    command = opskit_command("restore", "run", "latest", "--quiet")
    limited = ["/bin/sh", "-c", 'ulimit -v 1000000; exec "$@"', "sh", *command]
    with pytest.raises(FailedError, match="ended with 78"):
        measured(limited, environment=variables)
    mysql_packet = mysql.execute("SELECT @@global.max_allowed_packet")[0][0]
    forger.manifest(lambda manifest: manifest.update(largest_statement=mysql_packet - 2048))
    with pytest.raises(FailedError, match="ended with 65"):
        measured(limited, environment=variables)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(data=st.data())
def test_any_cut_or_flipped_bit_of_any_object_is_found_before_anything_is_loaded(
    data: st.DataObject, honest: Forger, mysql: Server, tmp_path: Path
) -> None:
    damaged = copied(honest, tmp_path / secrets.token_hex(8))
    manifest = find(damaged.storage, REGISTRY, "latest")
    victim = data.draw(st.sampled_from([file.name for file in manifest.files]))
    content = bytearray((damaged.folder / victim).read_bytes())
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        del content[place:]
    else:
        content[place] ^= 1 << data.draw(st.integers(0, 7))
    (damaged.folder / victim).write_bytes(content)
    assert len(check_backup(damaged.storage, manifest).problems) == 1
    before = changes(mysql)
    with pytest.raises(CorruptError, match=victim):
        restore(endpoint(mysql), damaged.storage, manifest, Options(into="never_made"))
    assert changes(mysql) == before


@given(place=st.integers(min_value=0))
def test_cut_manifest_is_no_manifest(place: int, honest: Forger) -> None:
    key = backup_key(REGISTRY, honest.backup_id, "manifest.json")
    whole = b"".join(honest.storage.get(key))

    class Cut(DirectoryStorage):
        def get(self, key: str) -> Iterator[bytes]:
            del key
            return iter([whole[: place % (len(whole) - 1)]])  # the last byte is a newline

    with pytest.raises(CorruptError):
        find(Cut(honest.folder.parents[1]), REGISTRY, honest.backup_id)
