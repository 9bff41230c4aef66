"""A registry that is used all the time, and programs that would act on it: neither loses anything to a restore."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from opskit.backup.create import create_backup
from opskit.mysql.connection import Endpoint
from opskit.restore.rehearse import rehearse
from opskit.restore.run import Options, restore
from opskit.restore.swap import restore_and_swap
from opskit.storage.directory import DirectoryStorage
from sandbox.registry import Shape, generate
from sandbox.server import OwnServer, Server
from tests.endpoints import endpoint
from tests.integration.restore.conftest import REGISTRY
from tests.waiting import eventually


class Writer:
    """A client that registers artifacts one after another and notes what the server has acknowledged."""

    def __init__(self, server: Server, database: str) -> None:
        self.acknowledged: set[str] = set()
        self.failures: list[Exception] = []
        self.stopped = threading.Event()
        self._server = server
        self._database = database

    def run(self) -> None:
        with self._server.connect(database=self._database) as connection, connection.cursor() as cursor:
            number = 0
            while not self.stopped.is_set():
                number += 1
                name = f"acknowledged-{number}"
                try:
                    cursor.execute("INSERT INTO Artifact (type_id, name) VALUES (1, %s)", [name])
                except Exception as error:  # noqa: BLE001 - whatever a client would be told
                    self.failures.append(error)
                    return
                self.acknowledged.add(name)

    def has_written(self, more: int) -> None:
        """Return when so many more were acknowledged."""
        wanted = len(self.acknowledged) + more
        eventually(lambda: len(self.acknowledged) >= wanted or self.failures, f"{more} more writes")


@contextmanager
def writing(server: Server, database: str) -> Iterator[Writer]:
    writer = Writer(server, database)
    thread = threading.Thread(target=writer.run, daemon=True)
    thread.start()
    try:
        yield writer
    finally:
        writer.stopped.set()
        thread.join()


def written(server: Server, database: str) -> set[str]:
    return {
        name for (name,) in server.execute(f"SELECT name FROM `{database}`.Artifact WHERE name LIKE 'acknowledged-%'")
    }


def test_swap_under_a_client_that_writes_all_the_time_loses_no_acknowledged_write(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage
) -> None:
    with writing(mysql, database) as writer:
        writer.has_written(20)
        manifest = create_backup(source, database, storage, REGISTRY)
        writer.has_written(20)
        report = restore_and_swap(source, source, database, storage, manifest)
        writer.has_written(20)
    former, live = written(mysql, report.settled.exchange.outgoing), written(mysql, database)
    assert writer.failures == []
    assert former | live == writer.acknowledged
    assert len(former - live) >= 20
    assert report.settled.lost == {"Artifact": len(former - live)}


def test_events_and_triggers_of_a_backup_act_on_nothing_but_staging(
    own_mysql: Callable[..., OwnServer], storage: DirectoryStorage
) -> None:
    server = own_mysql("--event-scheduler=ON")
    here = endpoint(server)
    server.execute("CREATE DATABASE live")
    with server.connect(database="live") as connection:
        generate(connection, Shape("embedmd", models=1))
    # In a program DATABASE() is the one that it is in.
    server.execute(
        "CREATE TABLE live.log (source TEXT)",
        "CREATE TRIGGER live.fires BEFORE INSERT ON live.Artifact FOR EACH ROW"
        " INSERT INTO live.log VALUES (CONCAT('trigger in ', DATABASE()))",
        "CREATE EVENT live.ticks ON SCHEDULE EVERY 1 SECOND DO"
        " INSERT INTO live.log VALUES (CONCAT('event in ', DATABASE()))",
    )
    manifest = create_backup(here, "live", storage, REGISTRY)
    assert [each.event_state for each in manifest.programs if each.kind == "event"] == ["ENABLE"]
    rehearsed = rehearse(here, storage, manifest, beside="live")
    report = restore(here, storage, manifest, Options(beside="live"))
    assert rehearsed.verdict == "passed"
    assert sorted(report.names_source) == ["event ticks", "trigger fires"]
    assert server.execute("SELECT event_name, status FROM information_schema.events ORDER BY event_schema") == (
        ("ticks", "ENABLED"),
        ("ticks", "DISABLED"),
    )
    # Had the restored event been left enabled, it would run as often as the one in the source.
    ticks = "SELECT COUNT(*) FROM live.log"
    seen = server.execute(ticks)[0][0]
    eventually(lambda: server.execute(ticks)[0][0] >= seen + 3, "the source's event goes on")
    assert server.execute("SELECT DISTINCT source FROM live.log") == (("event in live",),)
