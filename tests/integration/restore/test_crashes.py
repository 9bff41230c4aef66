"""Whenever a run ends, in whatever way: the live registry is the old one or the new one, and the next run goes on."""

import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest

from opskit.backup.manifest import Manifest
from opskit.errors import OpskitError, UnavailableError
from opskit.mysql.connection import Endpoint, connect, execute
from opskit.mysql.wire import sever
from opskit.restore.exchange import UNTOUCHED
from opskit.restore.made import Made
from opskit.restore.rehearse import rehearse
from opskit.restore.rollback import cleanup, rollback
from opskit.restore.run import Options, restore
from opskit.restore.swap import SwapReport, plan_swap, restore_and_swap
from opskit.restore.target import Target
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Server
from tests.integration.restore.conftest import REGISTRY, CommandLine
from tests.integration.restore.databases import State, beside, content
from tests.mysql_wire import Hold, MySQLWire, mysql_wire
from tests.unit.command_line import opskit_command
from tests.waiting import eventually

PATIENT = Options(workers=2, lease_wait_seconds=30)


@pytest.fixture
def wire(mysql: Server) -> Iterator[MySQLWire]:
    with mysql_wire(mysql.port) as wire:
        yield wire


@pytest.fixture
def watched(source: Endpoint, wire: MySQLWire) -> Endpoint:
    """The same server, reached through the wire."""
    return replace(source, port=wire.port, tls_mode="disabled")


@pytest.fixture
def saved(mysql: Server, database: str, manifest: Manifest) -> State:
    """The registry as it was when it was backed up; now every other artifact is missing."""
    del manifest
    state = content(mysql, database)
    mysql.execute(f"DELETE FROM `{database}`.Artifact WHERE id % 2")
    return state


@pytest.fixture
def killed(command_line: CommandLine, wire: MySQLWire, watched: Endpoint, database: str) -> Callable[..., None]:
    """Run opskit up to a statement, or up to its answer, and kill it there with SIGKILL."""
    command_line.add(REGISTRY, watched, database)

    def kill(pattern: str, *arguments: str, answer_bytes: int | None = None) -> None:
        hold = wire.hold(pattern, answer_bytes=answer_bytes)
        with subprocess.Popen(
            opskit_command(*arguments), cwd=command_line.folder, env=command_line.configured(), stdout=subprocess.PIPE
        ) as process:
            hold.wait()
            process.kill()
        hold.drop()

    return kill


SWAP = ("restore", "run", "2", "--swap", "--yes")  # a prefix of the only backup's id
BEFORE_THE_RENAME = {
    "the lease": r"GET_LOCK",
    "reading for the safety backup": r"^SELECT .* FROM `Artifact`",
    "making the staging database": r"^CREATE DATABASE `\w+_opskit_restore_",
    "marking it": r"^CREATE TABLE `\w+_opskit_restore_\w+`.`_opskit_marker`",
    "filling in the mark": r"^INSERT INTO `\w+_opskit_restore_\w+`.`_opskit_marker`",
    "making tables": r"^CREATE TABLE `Context`",
    "loading rows": r"^INSERT INTO `ArtifactProperty`",
    "adding keys": r"^ALTER TABLE `",
    "comparing": r"^SET SESSION character_set_results = utf8mb4",
    "making room for the former tables": r"^CREATE DATABASE `\w+_opskit_before_",
    "marking that": r"^INSERT INTO `\w+_opskit_before_\w+`.`_opskit_marker`",
    "the RENAME": r"^RENAME TABLE",
}
AFTER_THE_RENAME = {
    "the answer to the RENAME": (r"^RENAME TABLE", 0),
    "dropping the empty database": (r"^DROP DATABASE", None),
    "counting what is not live any more": (r"NOT EXISTS", None),
}


@pytest.mark.parametrize("step", BEFORE_THE_RENAME)
def test_kill_before_the_rename_leaves_the_old_registry_and_the_next_swap_succeeds(
    step: str,
    mysql: Server,
    source: Endpoint,
    database: str,
    storage: DirectoryStorage,
    manifest: Manifest,
    saved: State,
    killed: Callable[..., None],
) -> None:
    damaged = content(mysql, database)
    killed(BEFORE_THE_RENAME[step], *SWAP)
    assert content(mysql, database) == damaged
    left = beside(mysql, database)
    plan = plan_swap(source, database, manifest)
    report = restore_and_swap(source, source, database, storage, manifest, PATIENT, safety_backup=None)
    assert content(mysql, database) == saved
    found = [each.database for each in report.found]
    assert ([each.database for each in plan.found], sorted(found)) == (found, sorted(set(left) & set(found)))
    rollback(source, database, lease_wait_seconds=30)
    assert content(mysql, database) == damaged
    # What a crash left without its mark is named, not dropped.
    unmarked = cleanup(source, database, older_than_seconds=0, apply=True).unmarked
    assert set(left) == {*found, *unmarked}
    assert beside(mysql, database) == list(unmarked)
    assert all(content(mysql, name) == {} for name in unmarked)


@pytest.mark.parametrize("step", AFTER_THE_RENAME)
def test_kill_after_the_rename_leaves_the_new_registry_and_the_former_can_be_brought_back(
    step: str,
    mysql: Server,
    source: Endpoint,
    database: str,
    saved: State,
    killed: Callable[..., None],
) -> None:
    damaged = content(mysql, database)
    pattern, answer_bytes = AFTER_THE_RENAME[step]
    killed(pattern, *SWAP, answer_bytes=answer_bytes)
    assert content(mysql, database) == saved
    assert content(mysql, *beside(mysql, database, "before%")) == damaged
    rollback(source, database, lease_wait_seconds=30)
    assert content(mysql, database) == damaged


REHEARSAL = {
    "the lease": r"GET_LOCK",
    "making the scratch database": r"^CREATE DATABASE `\w+_opskit_rehearse_",
    "marking it": r"^CREATE TABLE `\w+_opskit_rehearse_\w+`.`_opskit_marker`",
    "filling in the mark": r"^INSERT INTO `\w+_opskit_rehearse_\w+`.`_opskit_marker`",
    "making tables": r"^CREATE TABLE `Context`",
    "loading rows": r"^INSERT INTO `ArtifactProperty`",
    "adding keys": r"^ALTER TABLE `",
    "comparing": r"^SET SESSION character_set_results = utf8mb4",
    "dropping it": r"^DROP DATABASE",
}


@pytest.mark.parametrize("step", REHEARSAL)
def test_killed_rehearsal_leaves_what_the_next_one_removes(
    step: str,
    mysql: Server,
    source: Endpoint,
    database: str,
    storage: DirectoryStorage,
    manifest: Manifest,
    killed: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    live = content(mysql, database)
    killed(REHEARSAL[step], "backup", "rehearse")
    left = beside(mysql, database)
    done = rehearse(source, storage, manifest, PATIENT, beside=database, stale_seconds=0)
    assert done.verdict == "passed"
    # What has no mark yet is empty, and may be anybody's: it is named, not dropped.
    unmarked = [name for name in left if step in ("marking it", "filling in the mark")]
    assert len(left) == (step not in ("the lease", "making the scratch database"))
    assert done.removed == tuple(name for name in left if name not in unmarked)
    assert all(name in caplog.text and content(mysql, name) == {} for name in unmarked)
    assert (content(mysql, database), beside(mysql, database)) == (live, unmarked)


@pytest.fixture
def swapping(
    source: Endpoint, watched: Endpoint, database: str, storage: DirectoryStorage, manifest: Manifest
) -> Callable[[Hold], SwapReport]:
    """Swap through the wire, and lose the connection where it is held."""

    def swap(hold: Hold) -> SwapReport:
        def lose() -> None:
            hold.wait()
            hold.drop()

        thread = threading.Thread(target=lose, daemon=True)
        thread.start()
        try:
            return restore_and_swap(watched, source, database, storage, manifest, PATIENT, safety_backup=None)
        finally:
            thread.join()

    return swap


def test_lost_rename_changes_nothing_and_says_so(
    mysql: Server, database: str, saved: State, wire: MySQLWire, swapping: Callable[[Hold], SwapReport]
) -> None:
    damaged = content(mysql, database)
    with pytest.raises(UnavailableError) as caught:
        swapping(wire.hold(r"^RENAME TABLE"))
    assert str(caught.value.hint).endswith(UNTOUCHED)
    assert content(mysql, database) == damaged != saved
    assert beside(mysql, database, "before%") == []


def test_lost_answer_to_a_rename_that_took_place_is_no_failure(
    mysql: Server, database: str, saved: State, wire: MySQLWire, swapping: Callable[[Hold], SwapReport]
) -> None:
    damaged = content(mysql, database)
    report = swapping(wire.hold(r"^RENAME TABLE", answer_bytes=0))
    assert content(mysql, database) == saved
    assert content(mysql, report.settled.exchange.outgoing) == damaged


@pytest.mark.parametrize(("answer_bytes", "outcome"), [(None, "old"), (0, "new")])
def test_termination_in_the_middle_of_the_rename_says_on_which_side_it_ended(
    answer_bytes: int | None,
    outcome: str,
    mysql: Server,
    database: str,
    saved: State,
    wire: MySQLWire,
    watched: Endpoint,
    command_line: CommandLine,
) -> None:
    damaged = content(mysql, database)
    command_line.add(REGISTRY, watched, database)
    hold = wire.hold(r"^RENAME TABLE", answer_bytes=answer_bytes)
    with subprocess.Popen(
        opskit_command(*SWAP, "--no-safety-backup"),
        cwd=command_line.folder,
        env=command_line.configured(),
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        hold.wait()
        process.terminate()
        _, said = process.communicate(timeout=60)
    hold.drop()
    assert process.returncode == 143
    assert content(mysql, database) == {"old": damaged, "new": saved}[outcome]
    assert beside(mysql, database, "restore%") == []
    told = {
        "old": UNTOUCHED,
        "new": f"the tables were exchanged; those of before are in {''.join(beside(mysql, database, 'before%'))}",
    }
    assert said.splitlines()[-1] == f"hint: {told[outcome]}"


def test_statement_that_goes_on_without_its_client_does_not_keep_a_database_from_being_dropped(
    mysql: Server, source: Endpoint, database: str
) -> None:
    staging = f"{database}_opskit_restore_20261123021500abcd"
    mysql.execute(
        f"CREATE DATABASE `{staging}`", f"CREATE TABLE `{staging}`.t (a INT)", f"INSERT INTO `{staging}`.t VALUES (1)"
    )
    with closing(connect(source)) as admin, ThreadPoolExecutor(1) as pool:
        client = connect(source, staging)
        waiting = pool.submit(execute, client, "SELECT BENCHMARK(1000000000000, SHA2('x', 512)) FROM t")
        eventually(
            lambda: [row for row in mysql.execute("SHOW PROCESSLIST") if row[3] == staging and row[7]], "it runs"
        )
        sever(client)
        assert isinstance(waiting.exception(), OpskitError)
        Made(Target(staging, staging=True), is_new=True, sessions=[client.thread_id()]).undo(admin)
    assert beside(mysql, database) == []


def test_restore_that_cannot_be_undone_says_what_it_left(
    source: Endpoint,
    database: str,
    manifest: Manifest,
    mysql: Server,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    into = f"{database}_opskit_left"
    with mysql.connect(autocommit=False) as connection, connection.cursor() as reader:

        class Failing(DirectoryStorage):
            """Fails when rows are loaded, while somebody looks at a table that has to go again."""

            def get(self, key: str) -> Iterator[bytes]:
                if ".Artifact.00001." in key and mysql.execute(f"SHOW DATABASES LIKE '{into}'"):
                    reader.execute(f"SELECT 1 FROM `{into}`.Artifact")
                    raise UnavailableError("a fault")
                return super().get(key)

        with pytest.raises(UnavailableError, match="a fault"):
            restore(source, Failing(tmp_path / "backups"), manifest, Options(into=into, workers=1))
    assert f"what was restored so far is left in database {into}: " in caplog.text
