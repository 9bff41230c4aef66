"""Signing as anybody would meet it: what is taken here can be restored here, or is not taken."""

import json
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from opskit.backup.signing import SignedStorage
from opskit.storage.directory import DirectoryStorage
from tests.backups import NOON, keys, write_backup
from tests.unit.command_line import environment, opskit_command, run

KEY, OTHER = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()
NOBODY = {"host": "127.0.0.1", "port": 1, "user": "nobody", "password": "x", "database": "db"}
SERVER_IS_ASKED = 69

Opskit = Callable[..., CompletedProcess[str]]


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    """A storage with one backup, which KEY has signed."""
    storage = DirectoryStorage(tmp_path / "backups")
    write_backup(SignedStorage(storage, KEY), "reg", NOON)
    return storage


@pytest.fixture
def opskit(tmp_path: Path, storage: DirectoryStorage) -> Opskit:
    """Run opskit where KEY alone is trusted and `key` signs; nobody answers for the registry's server."""

    def configured(*arguments: str, key: Ed25519PrivateKey | None) -> CompletedProcess[str]:
        public = KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
        signing: dict[str, object] = {"trusted_keys": [public]}
        if key:
            (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
            signing["key_file"] = str(tmp_path / "key.pem")
        document = {
            "storage": {"url": storage.url},
            "signing": signing,
            "registries": [{"name": "reg", "mysql": NOBODY}],
        }
        (tmp_path / "opskit.yaml").write_text(json.dumps(document))
        return run(opskit_command(*arguments), tmp_path, environment(OPSKIT_CONFIG=str(tmp_path / "opskit.yaml")))

    return configured


@pytest.mark.parametrize("key", [None, OTHER], ids=["no key", "a key that is not trusted"])
@pytest.mark.parametrize(
    "command", ["backup create", "restore run latest --swap", "restore run 2026 --swap --yes"], ids=str
)
def test_no_backup_is_begun_that_would_be_refused_later(
    command: str, key: Ed25519PrivateKey | None, opskit: Opskit, storage: DirectoryStorage
) -> None:
    before = keys(storage)
    ended = opskit(*command.split(), key=key)
    assert (ended.returncode, ended.stdout) == (78, ""), ended.stderr
    assert "signing.trusted_keys" in ended.stderr
    assert ("--no-safety-backup" in ended.stderr) == ("--swap" in command)
    assert keys(storage) == before


@pytest.mark.parametrize(
    ("command", "key"),
    [
        ("backup create", KEY),
        ("restore run 2026 --swap --yes", KEY),
        ("restore run 2026 --swap --yes --no-safety-backup", None),
        ("restore run latest", None),
    ],
)
def test_who_is_trusted_or_takes_no_backup_goes_on_to_the_server(
    command: str, key: Ed25519PrivateKey | None, opskit: Opskit
) -> None:
    ended = opskit(*command.split(), key=key)
    assert ended.returncode == SERVER_IS_ASKED, ended.stderr
