"""The commands as people use them: what is damaged is marked, JSON is one document, an interrupt leaves nothing."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from opskit.backup.catalog import list_backups
from opskit.backup.check import check_all
from opskit.backup.create import create_backup
from opskit.errors import CorruptError, DeniedError, OpskitError, UnavailableError
from opskit.storage.directory import DirectoryStorage
from sandbox.registry import Shape, generate
from sandbox.server import Server
from tests.backups import write_backup
from tests.conftest import fresh_database
from tests.endpoints import endpoint
from tests.unit.command_line import environment, opskit_command, run
from tests.waiting import eventually

Opskit = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def database_of_two(mysql: Server) -> Iterator[tuple[str, str]]:
    with fresh_database(mysql) as one, fresh_database(mysql) as other:
        for each in (one, other):
            with mysql.connect(database=each) as connection:
                generate(connection, Shape("embedmd", models=5))
        yield one, other


@pytest.fixture(scope="module")
def stored(mysql: Server, database_of_two: tuple[str, str], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Four backups of registry `one` and one of `other`, never changed themselves."""
    folder = tmp_path_factory.mktemp("stored")
    one, other = database_of_two
    for database, registry in ((one, "one"), (one, "one"), (one, "one"), (one, "one"), (other, "other")):
        create_backup(endpoint(mysql), database, DirectoryStorage(folder), registry)
    return folder


@pytest.fixture
def opskit(mysql: Server, database_of_two: tuple[str, str], stored: Path, tmp_path: Path) -> "Opskit":
    """Run opskit with a configuration of two registries, `one` and `other`."""
    registries = [
        {
            "name": name,
            "mysql": {
                "host": mysql.host,
                "port": mysql.port,
                "user": mysql.user,
                "password": mysql.password,
                "database": database,
            },
        }
        for name, database in zip(("one", "other"), database_of_two, strict=True)
    ]
    shutil.copytree(stored, tmp_path / "backups")
    config = tmp_path / "opskit.yaml"
    config.write_text(json.dumps({"storage": {"url": (tmp_path / "backups").as_uri()}, "registries": registries}))

    def command(*arguments: str) -> "subprocess.CompletedProcess[str]":
        variables = environment(OPSKIT_CONFIG=str(config))
        return run(opskit_command(*arguments, "--quiet"), tmp_path, variables)

    return command


def document(ended: "subprocess.CompletedProcess[str]", code: int = 0) -> Any:  # noqa: ANN401 - any JSON
    assert ended.returncode == code, ended.stderr
    return json.loads(ended.stdout)


def folders(tmp_path: Path, registry: str) -> list[Path]:
    return sorted((tmp_path / "backups" / registry).iterdir())


def test_damaged_backups_are_marked_and_found(opskit: Opskit, tmp_path: Path) -> None:
    whole, short, gone, broken = folders(tmp_path, "one")
    next(short.glob("*.Artifact.00001*")).write_bytes(b"")
    next(gone.glob("*.Artifact.00001*")).unlink()
    (broken / "manifest.json").write_text("{")
    (tmp_path / "backups/one/20200101T000000Z-aaaaaa").mkdir()
    (tmp_path / "backups/one/20200101T000000Z-aaaaaa/d.t.00001.sql.zst").write_bytes(b"debris")
    listed = document(opskit("backup", "list", "--registry", "one", "--json"))["backups"]
    states = {each["id"]: each["state"] for each in listed}
    assert states == {
        "20200101T000000Z-aaaaaa": "unfinished",
        whole.name: "complete",
        short.name: "damaged",
        gone.name: "damaged",
        broken.name: "damaged",
    }
    text = opskit("backup", "list", "--registry", "one").stdout
    assert all(name in text for name in (*states, "has 0 bytes instead of", "is missing", "is not JSON"))
    assert opskit("backup", "check", whole.name).returncode == 2  # of which registry?
    assert opskit("backup", "check", whole.name, "--registry", "one").returncode == 0
    ended = opskit("backup", "check", "--all", "--registry", "one")
    assert ended.returncode == 65
    assert all(each.name in ended.stderr for each in (short, gone, broken))
    assert whole.name not in ended.stderr


def test_recent_backup_makes_another_needless(opskit: Opskit, tmp_path: Path) -> None:
    create = ("backup", "create", "--registry", "one", "--json")
    newest = folders(tmp_path, "one")[-1]
    (skipped,) = document(opskit(*create, "--skip-recent"))["backups"]
    assert (skipped["id"], skipped["new"]) == (newest.name, False)
    next(newest.glob("*.Artifact.00001*")).unlink()  # a damaged one does not count, however recent
    (skipped,) = document(opskit(*create, "--skip-recent"))["backups"]
    assert skipped["id"] == folders(tmp_path, "one")[-2].name
    (made,) = document(opskit(*create))["backups"]
    assert (made["id"], made["new"]) == (folders(tmp_path, "one")[-1].name, True)
    assert len(folders(tmp_path, "one")) == 5


def test_backup_from_the_future_makes_none_needless(opskit: Opskit, tmp_path: Path) -> None:
    create = ("backup", "create", "--registry", "one", "--skip-recent", "--json")
    forged = folders(tmp_path, "one")[-1] / "manifest.json"
    manifest = json.loads(forged.read_text())
    manifest["snapshot"]["time"] = "2999-01-01T00:00:00Z"
    forged.write_text(json.dumps(manifest))
    (made,) = document(opskit(*create))["backups"]
    assert made["new"]
    write_backup(DirectoryStorage(tmp_path / "backups"), "one", datetime(2999, 1, 1, tzinfo=UTC))
    (skipped,) = document(opskit(*create))["backups"]
    assert (skipped["id"], skipped["new"]) == (made["id"], False)


def test_first_backup_of_a_schedule_makes_its_directory(opskit: Opskit, tmp_path: Path) -> None:
    create = ("backup", "create", "--registry", "one", "--skip-recent", "--json", "--storage")
    (made,) = document(opskit(*create, str(tmp_path / "not there yet")))["backups"]
    assert made["new"]
    assert (tmp_path / "not there yet" / "one" / made["id"] / "manifest.json").is_file()


def test_check_goes_over_all_registries_and_ends_with_the_gravest(opskit: Opskit, tmp_path: Path) -> None:
    both = document(opskit("backup", "check", "--json"))["checked"]
    assert [each["registry"] for each in both] == ["one", "other"]
    next(folders(tmp_path, "one")[-1].glob("*.Artifact.00001*")).write_bytes(b"")
    for arguments in (["latest"], ["--all"], []):
        checked = document(opskit("backup", "check", *arguments, "--json"), 65)["checked"]
        assert {each["registry"] for each in checked if "error" in each} == {"one"}
        assert [each["registry"] for each in checked if "files" in each] == ["other"]


@pytest.mark.parametrize("error", [DeniedError("403"), UnavailableError("503")], ids=["denied", "unavailable"])
def test_manifest_that_the_store_does_not_give_is_not_called_damaged(
    error: OpskitError, opskit: Opskit, tmp_path: Path
) -> None:
    assert opskit("backup", "list").returncode == 0
    unreadable, whole = (folder.name for folder in folders(tmp_path, "one")[:2])

    class Refusing(DirectoryStorage):
        def get(self, key: str) -> Iterator[bytes]:
            if key == f"one/{unreadable}/manifest.json":
                raise error
            return super().get(key)

    storage = Refusing(tmp_path / "backups")
    assert [each.state for each in list_backups(storage, "one")] == ["unreadable", *["complete"] * 3]
    with pytest.raises(type(error)):
        check_all(storage, "one")
    next((tmp_path / "backups/one" / whole).glob("*.Artifact.00001*")).unlink()
    with pytest.raises(CorruptError, match=whole):
        check_all(storage, "one")


@pytest.mark.parametrize(
    "arguments",
    [
        ("backup", "create"),
        ("backup", "list"),
        ("backup", "show"),
        ("backup", "check"),
        ("backup", "rehearse"),
        ("restore", "run", "latest"),
        ("restore", "run", "latest", "--swap"),
        ("restore", "cleanup"),
        ("config", "check"),
    ],
    ids=" ".join,
)
def test_json_is_one_document_whatever_happens(arguments: tuple[str, ...], opskit: Opskit, tmp_path: Path) -> None:
    assert document(opskit(*arguments, "--registry", "one", "--json"))
    (tmp_path / "opskit.yaml").write_text("storage: 5")
    assert document(opskit(*arguments, "--json"), 78)["error"]["exit_code"] == 78


def sessions(server: Server, database: str) -> int:
    """How many sessions do something in this database, or in one that opskit made beside it."""
    rows = server.execute("SELECT db FROM information_schema.processlist WHERE command <> 'Sleep'")
    return sum(str(name).startswith(database) for (name,) in rows)


@pytest.fixture
def large(mysql: Server) -> Iterator[str]:
    """A database that takes seconds to restore."""
    with fresh_database(mysql) as database:
        mysql.execute(
            f"CREATE TABLE `{database}`.t (id INT PRIMARY KEY, v LONGTEXT)",
            *(f"INSERT INTO `{database}`.t VALUES ({n}, REPEAT(SHA2({n}, 256), 250000))" for n in range(8)),
        )
        yield database


@pytest.mark.parametrize("command", [("backup", "create"), ("restore", "run", "latest")], ids=" ".join)
def test_interrupted_command_leaves_nothing(
    command: tuple[str, ...], mysql: Server, large: str, tmp_path: Path
) -> None:
    variables = environment(
        OPSKIT_MYSQL_URL=f"{mysql.url}/{large}",
        OPSKIT_MYSQL_PASSWORD=mysql.password,
        OPSKIT_STORAGE_URL=(tmp_path / "backups").as_uri(),
    )
    with contextlib.ExitStack() as stack:
        if command[0] == "restore":
            create_backup(endpoint(mysql), large, DirectoryStorage(tmp_path / "backups"), large)
        else:
            # The backup waits for this lock.
            holder = stack.enter_context(mysql.connect(database=large))
            holder.query("LOCK TABLES t WRITE")
        before = mysql.execute("SHOW DATABASES")
        # A shell's background jobs ignore SIGINT, and pytest may be one.
        program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
        program += "; from opskit import cli; cli.main()"
        process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-c", program, *command],
                cwd=tmp_path,
                env=variables,
                stderr=subprocess.PIPE,
                text=True,
            )
        )
        eventually(lambda: sessions(mysql, large), "the command is at work")
        process.send_signal(signal.SIGINT)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130, stderr
    assert stderr.splitlines()[-1] == "error: interrupted"
    eventually(lambda: not sessions(mysql, large), "nothing is at work any more")
    assert mysql.execute("SHOW DATABASES") == before
    assert len(list((tmp_path / "backups").rglob("manifest.json"))) == (1 if command[0] == "restore" else 0)


def test_closed_pipe_is_141(opskit: Opskit, tmp_path: Path) -> None:
    assert opskit("backup", "list").returncode == 0
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        ended = subprocess.run(
            opskit_command("backup", "list", "--registry", "one", "--quiet"),
            cwd=tmp_path,
            env=environment(OPSKIT_CONFIG=str(tmp_path / "opskit.yaml")),
            stdout=pipe,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert (ended.returncode, b"Traceback" in ended.stderr) == (141, False)
