"""Backups of which only the signed are restored: what a writer of the bucket can forge is found before it is loaded."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opskit.backup.catalog import find, list_backups
from opskit.backup.create import create_backup
from opskit.backup.manifest import Manifest
from opskit.backup.signing import SignedStorage
from opskit.errors import CorruptError
from opskit.mysql.connection import Endpoint
from opskit.restore.run import restore
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Server
from tests.endpoints import endpoint

KEY = Ed25519PrivateKey.generate()


@pytest.fixture
def storage(tmp_path: Path) -> SignedStorage:
    return SignedStorage(DirectoryStorage(tmp_path / "backups"), KEY, [KEY.public_key()])


@pytest.fixture
def backup(source: Endpoint, database: str, storage: SignedStorage) -> Manifest:
    return create_backup(source, database, storage, "registry")


def test_signed_backup_is_restored(backup: Manifest, mysql: Server, storage: SignedStorage) -> None:
    report = restore(endpoint(mysql), storage, find(storage, "registry", "latest"))
    assert report.rows == backup.rows > 0


def test_unsigned_backup_is_listed_as_damaged(backup: Manifest, storage: SignedStorage) -> None:
    storage.inner.delete([f"registry/{backup.id}/manifest.json.sig"])
    (listed,) = list_backups(storage, "registry")
    assert listed.state == "damaged"
    assert "not signed" in listed.problems[0]


class Forger:
    """Changes what a backup holds, and puts every digest right, as whoever can write the bucket could."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.manifest = json.loads((folder / "manifest.json").read_text())

    def table(self, name: str) -> dict[str, object]:
        found: dict[str, object] = next(table for table in self.manifest["tables"] if table["name"] == name)
        return found

    def rewrite(self, name: str, change: Callable[[bytes], bytes]) -> None:
        path = self.folder / name
        content = zstandard.decompress(path.read_bytes(), max_output_size=2**26)
        changed = change(content)
        assert changed != content
        path.write_bytes(zstandard.compress(changed))
        entry = next(file for file in self.manifest["files"] if file["name"] == name)
        entry["bytes"] = path.stat().st_size
        entry["sha256"] = hashlib.sha256(path.read_bytes()).hexdigest()

    def drop(self, table: str) -> None:
        dropped = self.table(table)
        self.manifest["tables"].remove(dropped)
        self.manifest["files"] = [
            file for file in self.manifest["files"] if not file["name"].split(".")[1].startswith(table)
        ]

    def write(self) -> None:
        (self.folder / "manifest.json").write_text(json.dumps(self.manifest))


def swap_chunks(forger: Forger, prefix: str) -> None:
    one = (forger.folder / f"{prefix}.ParentContext.00001.sql.zst").read_bytes()
    content = zstandard.decompress(one, max_output_size=2**26)
    forger.rewrite(f"{prefix}.Attribution.00001.sql.zst", lambda _: content)


def change_a_row(forger: Forger, prefix: str) -> None:
    forger.rewrite(f"{prefix}.Artifact.00001.sql.zst", lambda content: content.replace(b"s3://", b"s4://", 1))


def drop_a_table(forger: Forger, prefix: str) -> None:
    del prefix
    forger.drop("EventPath")


@pytest.mark.parametrize("forge", [swap_chunks, change_a_row, drop_a_table])
def test_forged_backup_is_refused_by_signature_before_anything_is_loaded(
    forge: Callable[[Forger, str], None],
    backup: Manifest,
    mysql: Server,
    database: str,
    storage: SignedStorage,
    tmp_path: Path,
) -> None:
    forger = Forger(tmp_path / "backups" / "registry" / backup.id)
    forge(forger, database)
    forger.write()
    # Nobody who trusts no key would notice by the manifest alone.
    assert find(storage.inner, "registry", "latest").id == backup.id
    with pytest.raises(CorruptError, match="not signed by a key"):
        restore(endpoint(mysql), storage, find(storage, "registry", "latest"))
    pattern = f"{database}_opskit_%".replace("_", r"\_")
    assert mysql.execute(f"SHOW DATABASES LIKE '{pattern}'") == ()
