"""Prune beside what runs: whoever reads a backup keeps it, and a backup under way is left alone."""

from collections.abc import Callable, Iterable, Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from opskit.backup.check import check_backup
from opskit.backup.create import create_backup
from opskit.backup.manifest import Manifest
from opskit.backup.prune import PruneReport, prune
from opskit.backup.retention import Policy
from opskit.restore.rehearse import rehearse
from opskit.restore.run import Options, restore
from opskit.storage import Storage
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Server
from tests.backups import keys, write_days
from tests.endpoints import endpoint
from tests.faulty import FaultyStorage
from tests.waiting import eventually


class Pruned(FaultyStorage):
    """A storage in which somebody prunes, and keeps one backup, whenever a file is read or written."""

    def __init__(self, inner: Storage, *, later: timedelta = timedelta(0)) -> None:
        super().__init__(inner)
        self.beside = FaultyStorage(inner, later=later)
        self.reports: list[PruneReport] = []

    def get(self, key: str) -> Iterator[bytes]:
        self._prune(key)
        return super().get(key)

    def put(self, key: str, body: Iterable[bytes], *, if_absent: bool = False) -> int:
        stored = super().put(key, body, if_absent=if_absent)
        self._prune(key)
        return stored

    def _prune(self, key: str) -> None:
        if ".sql.zst" in key:
            self.reports.append(prune(self.beside, "reg", Policy(), apply=True))


@pytest.fixture
def directory(tmp_path: Path) -> Storage:
    return DirectoryStorage(tmp_path / "backups")


@pytest.fixture
def old(mysql: Server, registry: str, directory: Storage) -> Manifest:
    """A backup that retention lets go: there is a newer one."""
    saved = create_backup(endpoint(mysql), registry, directory, "reg")
    newest = saved.snapshot.time + timedelta(seconds=1)
    (newer,) = write_days(directory, "reg", 1, newest=newest)
    eventually(lambda: directory.now() > newest, "the time of the newer backup")
    assert prune(directory, "reg", Policy(), apply=False).keep.keys() == {newer}
    return saved


def restored(server: Server, storage: Storage, manifest: Manifest) -> None:
    assert restore(endpoint(server), storage, manifest).rows == manifest.rows


def rehearsed(server: Server, storage: Storage, manifest: Manifest) -> None:
    name = manifest.database.name
    assert rehearse(endpoint(server), storage, manifest, Options(), beside=name).verdict == "passed"


def checked(_: Server, storage: Storage, manifest: Manifest) -> None:
    assert check_backup(storage, manifest).problems == ()


@pytest.mark.parametrize(("read", "purpose"), [(restored, "restore"), (rehearsed, "rehearse"), (checked, "check")])
def test_backup_that_is_being_read_is_not_pruned(
    read: Callable[[Server, Storage, Manifest], None],
    purpose: str,
    mysql: Server,
    old: Manifest,
    directory: Storage,
) -> None:
    storage = Pruned(directory)
    read(mysql, storage, old)
    assert storage.reports
    for report in storage.reports:
        assert report.removed == []
        assert report.keep[old.id][0].startswith(f"held by a {purpose} until ")
    assert not [key for key in keys(directory) if "/holds/" in key]
    prune(directory, "reg", Policy(), apply=True)
    assert (f"reg/{old.id}/manifest.json" in keys(directory)) is (purpose == "rehearse")  # it was rehearsed


def test_backup_under_way_is_left_alone(mysql: Server, registry: str, directory: Storage) -> None:
    """No backup takes a day (backup.max_duration), so its newest object is younger."""
    storage = Pruned(directory, later=timedelta(hours=23, minutes=50))
    saved = create_backup(endpoint(mysql), registry, storage, "reg")
    assert len(storage.reports) == len(saved.files)
    assert all(report.debris == report.removed == [] for report in storage.reports)
    assert check_backup(directory, saved).problems == ()
