"""Whatever breaks in the middle: the contract's exit code, and no manifest."""

import signal
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Literal

import pytest

from opskit.backup.catalog import folders
from opskit.backup.create import Options, create_backup
from opskit.errors import NoSpaceError, OpskitError, UnavailableError
from opskit.storage import Storage, StoredObject
from sandbox.server import OwnServer, Server
from tests.endpoints import endpoint
from tests.faulty import FaultyStorage
from tests.integration.resilience.running import (
    REGISTRY,
    HeldStorage,
    arrive,
    backup_of,
    failure,
    make_tables,
    manifests,
    restored,
    sessions,
    through,
)
from tests.mysql_wire import mysql_wire

pytestmark = pytest.mark.mysql

ROWS_OF_BIG = r"^SELECT .* FROM `big`$"
MEGABYTE = 1_000_000


@pytest.mark.parametrize("kill", ["KILL QUERY", "KILL CONNECTION"])
@pytest.mark.parametrize("tls", ["required", "disabled"])
def test_killed_reader_leaves_no_backup(
    mysql: Server, tables: str, storage: Storage, kill: str, tls: Literal["required", "disabled"]
) -> None:
    held = HeldStorage(storage, ".big.00001.")
    with backup_of(replace(endpoint(mysql), tls_mode=tls), tables, held) as backup:
        arrive(backup, held)
        (session,) = sessions(mysql, info=ROWS_OF_BIG)
        mysql.execute(f"{kill} {session}")
        held.release()
        assert failure(backup).exit_code == 69
    assert manifests(storage) == []


@pytest.mark.parametrize("end", [signal.SIGTERM, signal.SIGKILL], ids=["stopped", "crashed"])
def test_server_that_goes_away_leaves_no_backup(
    own_mysql: Callable[..., OwnServer], storage: Storage, end: signal.Signals
) -> None:
    server = own_mysql()
    server.execute("CREATE DATABASE registry")
    make_tables(server, "registry")
    held = HeldStorage(storage, ".big.00001.")
    with backup_of(endpoint(server), "registry", held) as backup:
        arrive(backup, held)
        server.stop(end)
        held.release()
        assert failure(backup).exit_code == 69
    assert manifests(storage) == []


def test_frozen_server_is_left_when_the_time_is_up(own_mysql: Callable[..., OwnServer], storage: Storage) -> None:
    server = own_mysql()
    server.execute("CREATE DATABASE registry")
    make_tables(server, "registry")
    with mysql_wire(server.port) as wire:
        hold = wire.hold(ROWS_OF_BIG, answer_bytes=MEGABYTE)
        with backup_of(through(wire, server), "registry", storage, Options(max_duration_seconds=5)) as backup:
            arrive(backup, hold)
            server.pause()
            hold.release()
            error = failure(backup)
            server.resume()
    assert error.exit_code == 75
    assert "max_duration" in error.message
    assert manifests(storage) == []


def puts_of_a_backup(mysql: Server, database: str, storage: Storage) -> int:
    counting = FaultyStorage(storage)
    create_backup(endpoint(mysql), database, counting, "another")
    return counting.calls["put"]


@pytest.mark.parametrize("which", ["first", "middle", "last"])
@pytest.mark.parametrize("error", [UnavailableError("the store is down"), NoSpaceError("the store is full")])
def test_failing_put_leaves_no_backup(
    mysql: Server, tables: str, storage: Storage, which: str, error: OpskitError
) -> None:
    puts = puts_of_a_backup(mysql, tables, storage)
    number = {"first": 1, "middle": puts // 2, "last": puts}[which]
    faulty = FaultyStorage(storage, fail={"put": {number}}, error=error)
    with pytest.raises(OpskitError) as caught:
        create_backup(endpoint(mysql), tables, faulty, REGISTRY)
    assert caught.value.exit_code == error.exit_code
    assert not [key for key in manifests(storage) if key.startswith(REGISTRY)]
    if which == "middle":
        (left,) = folders(storage, REGISTRY)
        assert f"what is stored of backup {left} is no backup: `opskit backup prune" in str(caught.value.hint)


class LossyStorage(FaultyStorage):
    """Loses an object before the backup's folder is listed."""

    def __init__(self, inner: Storage, ending: str, *, cut: bool) -> None:
        super().__init__(inner)
        self._ending = ending
        self._cut = cut

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        (key,) = (each.key for each in self.inner.list(prefix) if each.key.endswith(self._ending))
        whole = b"".join(self.inner.get(key))
        self.inner.delete([key])
        if self._cut:
            self.inner.put(key, [whole[:-1]])
        return super().list(prefix)


@pytest.mark.parametrize("cut", [False, True], ids=["gone", "shorter"])
def test_object_that_storage_lost_leaves_no_backup(mysql: Server, tables: str, storage: Storage, *, cut: bool) -> None:
    with pytest.raises(UnavailableError, match=r"storage lost .*\.big\.00001\.sql\.zst"):
        create_backup(endpoint(mysql), tables, LossyStorage(storage, ".big.00001.sql.zst", cut=cut), REGISTRY)
    assert manifests(storage) == []


def test_debris_of_a_failed_backup_does_not_disturb_the_next(mysql: Server, tables: str, storage: Storage) -> None:
    with pytest.raises(UnavailableError):
        create_backup(endpoint(mysql), tables, FaultyStorage(storage, fail={"put": {4}}), REGISTRY)
    assert list(storage.list(REGISTRY))
    manifest = create_backup(endpoint(mysql), tables, storage, REGISTRY, Options(lease_wait_seconds=30))
    restored(mysql, storage, manifest, f"{tables}_opskit_again")
