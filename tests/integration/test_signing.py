"""Backups of which only the signed are restored: what a writer of the bucket can forge is found before it is loaded."""

from collections.abc import Callable
from pathlib import Path

import pytest
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
from tests.forger import Forger
from tests.integration.restore.databases import beside

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


def swap_chunks(forger: Forger) -> None:
    forger.write(".Attribution.00001", forger.text(".ParentContext.00001"))


def change_a_row(forger: Forger) -> None:
    forger.replace(".Artifact.00001", b"s3://", b"s4://")


def drop_a_table(forger: Forger) -> None:
    forger.forget("EventPath")


@pytest.mark.parametrize("forge", [swap_chunks, change_a_row, drop_a_table])
def test_forged_backup_is_refused_by_signature_before_anything_is_loaded(
    forge: Callable[[Forger], None],
    backup: Manifest,
    mysql: Server,
    database: str,
    storage: SignedStorage,
    tmp_path: Path,
) -> None:
    forge(Forger(tmp_path / "backups" / "registry" / backup.id))
    # Nobody who trusts no key would notice by the manifest alone.
    assert find(storage.inner, "registry", "latest").id == backup.id
    with pytest.raises(CorruptError, match="not signed by a key"):
        restore(endpoint(mysql), storage, find(storage, "registry", "latest"))
    assert beside(mysql, database) == []
