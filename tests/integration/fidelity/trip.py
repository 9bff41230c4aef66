"""A database that goes into a backup and comes back."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from opskit.backup.create import create_backup
from opskit.backup.manifest import Manifest
from opskit.restore.run import Options, RestoreReport, restore
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Server
from tests.conftest import fresh_database
from tests.endpoints import endpoint
from tests.integration.fidelity import mariadb, mysql_values, programs, structure, text, values, witness

EVERYTHING = {
    "MySQL": {**values.TABLES, **text.TABLES, **mysql_values.TABLES, **structure.TABLES, **programs.TABLES},
    "MariaDB": mariadb.TABLES,
}


@dataclass(frozen=True)
class Trip:
    """One database that went into a backup, and what came back."""

    server: Server
    folder: Path
    source: str
    target: str
    manifest: Manifest
    report: RestoreReport

    def require_same_dump(self) -> None:
        witness.require_same_dump(self.server, self.source, self.target)


@contextmanager
def round_trip(
    server: Server, source: str, folder: Path, *, keep_all: bool = True, made_by_restore: bool = False
) -> Iterator[Trip]:
    storage = DirectoryStorage(folder)
    manifest = create_backup(endpoint(server), source, storage, "registry")
    with fresh_database(server) as target:
        if made_by_restore:
            server.execute(f"DROP DATABASE `{target}`")
        options = Options(into=target, keep_definer=keep_all, enable_events=keep_all)
        report = restore(endpoint(server), storage, manifest, options)
        yield Trip(server, folder / "registry" / manifest.id, source, target, manifest, report)
