"""`restore run --swap`, `rollback` and `cleanup` as anybody would type them."""

import base64
import json
import re
import shlex
import threading
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from opskit.backup.create import create_backup
from opskit.backup.manifest import Manifest
from opskit.backup.signing import SignedStorage
from opskit.mysql.connection import Endpoint, connect
from opskit.mysql.lease import Lease
from opskit.restore.exchange import UNTOUCHED
from opskit.restore.swap import restore_and_swap
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Server
from tests.integration.restore.conftest import REGISTRY, CommandLine, Swap
from tests.integration.restore.databases import beside, content, damage
from tests.waiting import eventually


@pytest.mark.parametrize(
    "arguments",
    [
        ["run", "latest", "--swap", "--into", "other"],
        ["run", "latest", "--yes"],
        ["run", "latest", "--restart"],
        ["run", "latest", "--no-safety-backup"],
        ["run", "latest", "--swap", "--run-id", "1; DROP DATABASE x"],
        ["run", "--swap", "--yes"],
        ["run", "", "--swap", "--yes"],
        ["cleanup", "--older-than", "-1d"],
        ["cleanup", "--older-than", "yesterday", "--apply"],
        ["cleanup", "mysql", "--apply"],
    ],
)
def test_wrong_usage_is_2_before_any_server_is_asked(arguments: list[str], command_line: CommandLine) -> None:
    command_line.add(REGISTRY, Endpoint("127.0.0.1", 1, "nobody"), "nowhere")
    ended = command_line.run("restore", *arguments)
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr


@pytest.mark.usefixtures("manifest")
def test_what_is_not_there_is_66_and_nothing_is_changed(
    mysql: Server, source: Endpoint, database: str, command_line: CommandLine
) -> None:
    command_line.add(REGISTRY, source, database)
    for arguments in (
        ["run", "20260101T000000Z-abcdef", "--swap", "--yes"],
        ["rollback", "--yes"],
        ["rollback", "--yes", "--to", "mysql"],
    ):
        ended = command_line.run("restore", *arguments)
        assert (ended.returncode, ended.stdout) == (66, ""), ended.stderr
        assert ended.stderr.splitlines()[-1].endswith(UNTOUCHED)
    assert beside(mysql, database) == []


def test_swap_refuses_latest_and_shows_which_backup_that_is(
    mysql: Server, source: Endpoint, database: str, manifest: Manifest, command_line: CommandLine
) -> None:
    command_line.add(REGISTRY, source, database)
    damage(mysql, database)
    damaged = content(mysql, database)
    ended = command_line.run("restore", "run", "latest", "--swap", "--yes")
    assert (ended.returncode, ended.stdout) == (2, ""), ended.stderr
    plan = f"opskit restore run {manifest.id} --swap"
    assert f"hint: latest is {manifest.id} now; its plan: {plan}; {UNTOUCHED}\n" in ended.stderr
    assert content(mysql, database) == damaged
    assert command_line.run(*shlex.split(plan)[1:]).returncode == 0


def told_command(plan: str) -> list[str]:
    """The command that a plan tells to carry it out, without the program's name."""
    (found,) = re.findall(r"nothing was changed; to .*: opskit (.*)", plan)
    return shlex.split(found)


@pytest.mark.usefixtures("manifest")
def test_what_a_plan_tells_to_run_does_what_it_showed_whatever_came_between(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, command_line: CommandLine
) -> None:
    command_line.add(REGISTRY, source, database)
    command_line.add("another", Endpoint("127.0.0.1", 1, "nobody"), "nowhere")
    chosen = ("--registry", REGISTRY)
    saved = content(mysql, database)
    mysql.execute(f"DELETE FROM `{database}`.Artifact")
    damaged = content(mysql, database)
    planned = command_line.run("restore", "run", "latest", "--swap", *chosen)
    later = create_backup(source, database, storage, REGISTRY)
    assert command_line.run(*told_command(planned.stdout)).returncode == 0
    assert content(mysql, database) == saved
    planned = command_line.run("restore", "rollback", *chosen)
    restore_and_swap(source, source, database, storage, later, safety_backup=None)
    assert command_line.run(*told_command(planned.stdout)).returncode == 0
    assert content(mysql, database) == damaged
    planned = command_line.run("restore", "cleanup", "--older-than", "0s", *chosen)
    assert command_line.run(*told_command(planned.stdout)).returncode == 0
    assert beside(mysql, database) == []


def test_plan_tells_to_run_it_with_the_options_that_it_was_given(
    source: Endpoint, database: str, manifest: Manifest, command_line: CommandLine
) -> None:
    command_line.add(REGISTRY, source, database)
    options = ["--no-safety-backup", "--restart", "--run-id=20261123021500abcd"]
    planned = command_line.run("restore", "run", "latest", "--swap", *options)
    assert told_command(planned.stdout) == ["restore", "run", manifest.id, "--swap", *options, "--yes"]


def test_safety_backup_is_believed_where_the_backup_was(
    source: Endpoint, database: str, storage: DirectoryStorage, tmp_path: Path, command_line: CommandLine
) -> None:
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    trusted = [base64.b64encode(key.public_key().public_bytes_raw()).decode()]
    saved = create_backup(source, database, SignedStorage(storage, key), REGISTRY)
    command_line.add(REGISTRY, source, database)
    command_line.document["signing"] = {"key_file": str(tmp_path / "key.pem"), "trusted_keys": trusted}
    ended = command_line.run("restore", "run", saved.id, "--swap", "--yes")
    assert ended.returncode == 0, ended.stderr
    command_line.document["signing"] = {"trusted_keys": trusted}
    listed = command_line.run("backup", "list", "--json")
    assert [each["state"] for each in json.loads(listed.stdout)["backups"]] == ["complete", "complete"]


@pytest.mark.parametrize("arguments", [["rollback", "--yes"], ["cleanup", "--older-than", "0s", "--apply"]])
def test_whoever_waits_for_another_run_is_let_in_when_it_ends(
    arguments: list[str], mysql: Server, source: Endpoint, database: str, swap: Swap, command_line: CommandLine
) -> None:
    statements = "performance_schema.events_statements_summary_by_digest"
    asked = f"SELECT digest_text FROM {statements} WHERE digest_text LIKE 'SELECT `GET_LOCK`%'"
    swap()
    command_line.add(REGISTRY, source, database)
    with Lease(connect(source), database) as lease:
        lease.acquire()
        assert command_line.run("restore", *arguments).returncode == 75
        mysql.execute(f"TRUNCATE TABLE {statements}")

        def end() -> None:
            eventually(lambda: mysql.execute(asked), "the command has asked for the lease, in vain")
            lease.release()

        ending = threading.Thread(target=end)
        ending.start()
        ended = command_line.run("restore", *arguments, "--lease-wait", "2m")
        ending.join()
    assert ended.returncode == 0, ended.stderr
