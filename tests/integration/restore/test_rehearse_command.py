"""`opskit backup rehearse` from the command line: every registry, and a server of its own that leaves no trace."""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from opskit.backup.create import create_backup
from opskit.backup.manifest import Manifest
from opskit.mysql.connection import Endpoint
from opskit.storage.directory import DirectoryStorage
from sandbox.server import OwnServer, Server
from tests.integration.restore.conftest import REGISTRY, CommandLine
from tests.integration.restore.databases import beside
from tests.unit.command_line import environment
from tests.waiting import eventually


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files which a server that gave up root can reach; pytest's own it cannot."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


def test_all_registries_are_rehearsed_and_the_gravest_code_ends_the_run(
    mysql: Server,
    source: Endpoint,
    database: str,
    storage: DirectoryStorage,
    manifest: Manifest,
    command_line: CommandLine,
) -> None:
    mysql.execute(f"UPDATE `{database}`.schema_migrations SET dirty = 1")
    create_backup(source, database, storage, "dirty")
    for name in ("never-saved", "dirty", REGISTRY):
        command_line.add(name, source, database)
    ended = command_line.run("backup", "rehearse", "--json")
    assert ended.returncode == 65
    unsaved, dirty, sound = json.loads(ended.stdout)["rehearsals"]
    assert "does not have any backup" in unsaved["error"]["message"]
    assert "the schema is dirty: migration 21 was not completed" in dirty["error"]["message"]
    assert (sound["registry"], sound["rehearsal"]["backup_id"]) == (REGISTRY, manifest.id)
    assert sound["rehearsal"]["verdict"] == "passed"
    listed = command_line.run("backup", "list")
    assert re.search(r"failed +complete, dirty$", listed.stdout, re.MULTILINE)
    assert "the schema is dirty" in listed.stdout
    assert beside(mysql, database) == []


def test_restoring_a_dirty_registry_warns(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, command_line: CommandLine
) -> None:
    mysql.execute(f"UPDATE `{database}`.schema_migrations SET dirty = 1")
    create_backup(source, database, storage, REGISTRY)
    command_line.add(REGISTRY, source, database)
    ended = command_line.run("restore", "run", "latest")
    assert (ended.returncode, "warning: the schema is dirty" in ended.stdout) == (0, True)
    plan = command_line.run("restore", "run", "latest", "--swap")
    assert (plan.returncode, "may not start on" in plan.stderr) == (0, True)


@pytest.mark.usefixtures("manifest")
def test_backup_too_large_for_the_live_server_is_refused_and_fits_in_a_sandbox(
    source: Endpoint, database: str, command_line: CommandLine, mysqld: Path, temporary: Path
) -> None:
    command_line.add(REGISTRY, source, database)
    command_line.document["rehearse"] = {"max_bytes": 0}
    refused = command_line.run("backup", "rehearse")
    assert refused.returncode == 73
    assert "--sandbox" in refused.stderr
    ended = command_line.run("backup", "rehearse", "--sandbox", "--mysqld", str(mysqld), TMPDIR=str(temporary))
    assert (ended.returncode, ended.stderr.count("error")) == (0, 0), ended.stderr
    assert "as a registry it is sound" in ended.stdout
    assert list(temporary.iterdir()) == []
    assert processes_of(temporary) == []


@pytest.mark.usefixtures("manifest")
def test_server_for_rehearsals_is_taken_before_the_live_one_and_has_no_limit(
    mysql: Server, database: str, command_line: CommandLine, own_mysql: Callable[..., OwnServer]
) -> None:
    other = own_mysql()
    login = {"host": other.host, "port": other.port, "user": other.user, "password": other.password}
    unreachable = Endpoint("127.0.0.1", 1, mysql.user)
    command_line.add(REGISTRY, unreachable, database, rehearse=login)
    command_line.document["rehearse"] = {"max_bytes": 0}
    ended = command_line.run("backup", "rehearse")
    assert ended.returncode == 0, ended.stderr
    assert f"was restored on {other.version}" in ended.stdout
    assert other.execute(f"SHOW DATABASES LIKE '{database}%'") == ()


def processes_of(folder: Path) -> list[str]:
    """The command lines of all processes that name a folder."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            continue
        if str(folder) in line:
            found.append(line)
    return found


STARTS_A_SERVER = """
import sys
from pathlib import Path
from opskit.mysql.connection import connect, execute
from opskit.mysql.throwaway import throwaway_server
from tests.waiting import eventually
with throwaway_server(Path(sys.argv[1])) as server:
    print(execute(connect(server), "SELECT CURRENT_USER()")[0][0], flush=True)
    sys.stdin.read()
"""


def test_killed_run_leaves_no_server_and_no_folder(mysqld: Path, temporary: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", STARTS_A_SERVER, str(mysqld)],
        env=environment(TMPDIR=str(temporary)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == "root@localhost\n"
        (folder,) = temporary.iterdir()
        running = processes_of(folder)
        assert running
        assert not [line for line in running if "--port" in line]
        run.kill()
    eventually(lambda: not folder.exists() and not processes_of(folder), "server and folder are gone")


@pytest.mark.parametrize(
    ("script", "said"),
    [
        (None, "no program that can be run"),
        ("echo mysqld  Ver 10.11.6-MariaDB", "is not MySQL"),
        ("exit 3", "is not MySQL"),
        ('case "$*" in --version) echo Ver 9.9.9;; *) echo no room here; exit 1;; esac', "no room here"),
    ],
)
@pytest.mark.usefixtures("manifest")
def test_sandbox_without_a_usable_server_program_is_78(
    script: str | None,
    said: str,
    source: Endpoint,
    database: str,
    command_line: CommandLine,
    tmp_path: Path,
    temporary: Path,
) -> None:
    program = tmp_path / "mysqld"
    if script:
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    command_line.add(REGISTRY, source, database)
    ended = command_line.run("backup", "rehearse", "--sandbox", "--mysqld", str(program), TMPDIR=str(temporary))
    assert ended.returncode == 78, ended.stderr
    assert said in ended.stderr
    assert list(temporary.iterdir()) == []


def test_sandbox_looks_on_the_path(source: Endpoint, database: str, command_line: CommandLine, tmp_path: Path) -> None:
    program = tmp_path / "mysqld"
    program.write_text("#!/bin/sh\necho this one was run\n")
    program.chmod(0o755)
    command_line.add(REGISTRY, source, database)
    ended = command_line.run("backup", "rehearse", "--sandbox", PATH=f"{tmp_path}:/usr/bin:/bin")
    assert (ended.returncode, "this one was run" in ended.stderr) == (78, True)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--mysqld", "/bin/true"], 2),
        (["--workers", "0"], 2),
        (["--lease-wait", "soon"], 2),
        (["one", "two"], 2),
        (["20260101T000000Z-abcdef"], 66),
        (["nothing-like-it"], 66),
        ([""], 2),
    ],
)
@pytest.mark.usefixtures("manifest")
def test_bad_input_is_refused(
    arguments: list[str], code: int, source: Endpoint, database: str, command_line: CommandLine
) -> None:
    command_line.add(REGISTRY, source, database)
    ended = command_line.run("backup", "rehearse", *arguments)
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
