"""One run at a time, and a run that lost its lease writes no manifest."""

import hashlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import replace

import pytest

from opskit.backup.create import Options, create_backup
from opskit.errors import BusyError, OpskitError
from opskit.mysql.connection import connect
from opskit.mysql.lease import Lease
from opskit.storage import Storage
from opskit.workers import Stop, Watch
from sandbox.server import Account, Server
from tests.endpoints import endpoint
from tests.integration.resilience.running import (
    REGISTRY,
    arrive,
    backup_of,
    failure,
    manifests,
    through,
)
from tests.mysql_wire import PATIENCE_SECONDS, MySQLWire
from tests.waiting import eventually

pytestmark = pytest.mark.mysql

ROWS_OF_BIG = r"^SELECT .* FROM `big`$"


def holder(server: Server, database: str) -> int | None:
    """The session that holds the lease of a database, by the name that every version of opskit must use."""
    name = "opskit:" + hashlib.sha256(database.encode()).hexdigest()[:32]
    found: int | None = server.execute(f"SELECT IS_USED_LOCK('{name}')")[0][0]
    return found


@pytest.fixture
def leases(mysql: Server) -> Iterator[Callable[..., Lease]]:
    """Make leases, each on a connection of its own."""
    with ExitStack() as stack:

        def make(database: str, **options: float) -> Lease:
            return stack.enter_context(Lease(connect(endpoint(mysql)), database, **options))

        yield make


def test_second_holder_is_told_to_try_later(leases: Callable[..., Lease]) -> None:
    leases("registry").acquire()
    with pytest.raises(BusyError, match="another opskit run works on this database") as caught:
        leases("registry").acquire()
    assert caught.value.exit_code == 75


def test_databases_whose_names_differ_in_case_or_accents_have_leases_of_their_own(
    leases: Callable[..., Lease],
) -> None:
    """The server itself compares the names of locks without either."""
    for name in ("registry", "Registry", "régistry", "r" * 64, "r" * 63 + "q"):
        leases(name).acquire()


def test_lease_is_free_at_once_after_success(mysql: Server) -> None:
    for _ in range(20):
        with Lease(connect(endpoint(mysql)), "registry") as lease:
            lease.acquire()


def test_killed_session_has_lost_its_lease(mysql: Server, leases: Callable[..., Lease]) -> None:
    lease = leases("lost")
    lease.acquire()
    mysql.execute(f"KILL {holder(mysql, 'lost')}")
    with pytest.raises(BusyError, match="the lease was lost") as caught:
        lease.check()
    assert caught.value.exit_code == 75
    with pytest.raises(OpskitError):  # on no other connection either
        lease.execute("DO 1")
    leases("lost").acquire(PATIENCE_SECONDS)


def test_loss_is_noticed_by_the_ping(mysql: Server, leases: Callable[..., Lease]) -> None:
    lease = leases("pinged", ping_seconds=0.0)
    lease.acquire()
    stop = Stop()
    with Watch(lease.check_when_due, stop, every_seconds=0.05):
        mysql.execute(f"KILL {holder(mysql, 'pinged')}")
        eventually(lambda: stop.reason, "the watch stops the job")
    assert isinstance(stop.reason, BusyError)


def test_silent_network_loses_the_lease(mysql: Server, wire: MySQLWire) -> None:
    with Lease(connect(replace(through(wire, mysql), read_timeout=1)), "silent") as lease:
        lease.acquire()
        lease.check()
        wire.freeze()
        with pytest.raises(BusyError, match="the lease was lost"):
            lease.check()


def test_backup_without_its_lease_is_not_committed(
    mysql: Server, tables: str, storage: Storage, wire: MySQLWire
) -> None:
    hold = wire.hold(ROWS_OF_BIG)
    with backup_of(through(wire, mysql), tables, storage) as backup:
        arrive(backup, hold)
        mysql.execute(f"KILL {holder(mysql, tables)}")
        hold.release()
        error = failure(backup)
    assert error.exit_code == 75
    assert manifests(storage) == []


def test_second_backup_is_told_to_try_later_and_the_first_goes_on(
    mysql: Server, tables: str, storage: Storage, wire: MySQLWire
) -> None:
    hold = wire.hold(ROWS_OF_BIG)
    with backup_of(through(wire, mysql), tables, storage) as backup:
        arrive(backup, hold)
        with pytest.raises(BusyError) as caught:
            create_backup(endpoint(mysql), tables, storage, REGISTRY)
        hold.release()
        manifest = backup.result()
    assert caught.value.exit_code == 75
    assert [manifest.id in key for key in manifests(storage)] == [True]


def test_second_backup_waits_when_told(mysql: Server, tables: str, storage: Storage, wire: MySQLWire) -> None:
    hold = wire.hold(ROWS_OF_BIG)
    with backup_of(through(wire, mysql), tables, storage) as first:
        arrive(first, hold)
        with backup_of(endpoint(mysql), tables, storage, Options(lease_wait_seconds=PATIENCE_SECONDS)) as second:
            assert not second.done()
            hold.release()
            ids = {first.result().id, second.result().id}
    assert len(ids) == len(manifests(storage)) == 2


def test_backup_of_another_user_has_the_same_lease(
    leases: Callable[..., Lease],
    mysql: Server,
    tables: str,
    storage: Storage,
    mysql_user: Callable[..., Account],
) -> None:
    user = mysql_user(f"ALL ON `{tables}`.*")
    leases(tables).acquire()
    with pytest.raises(BusyError):
        create_backup(endpoint(mysql, user), tables, storage, REGISTRY)
