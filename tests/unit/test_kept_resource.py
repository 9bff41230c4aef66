"""`resource.json` is hostile input: what it becomes is handed to `kubectl apply`."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from pydantic import ValidationError

from opskit.backup import layout
from opskit.backup.manifest import backup_key
from opskit.backup.resource import KeptResource, keep, read_kept
from opskit.backup.signing import SignedStorage
from opskit.errors import ConfigurationError, CorruptError, NotFoundError, UntrustedError
from opskit.storage.directory import DirectoryStorage
from tests.backups import NOON, keys, manifest_of, write_backup
from tests.unit.command_line import environment, opskit_command, run

KEY = Ed25519PrivateKey.generate()
MANIFEST = manifest_of("reg", NOON)
PLACE = backup_key("reg", MANIFEST.id, layout.RESOURCE)
EVIL = "x\n---\nkind: Evil"
GOOD: dict[str, Any] = {
    "format": 1,
    "registry": "reg",
    "backup": MANIFEST.id,
    "resource": {
        "apiVersion": "modelregistry.opendatahub.io/v1beta1",
        "kind": "ModelRegistry",
        "metadata": {"name": "reg", "namespace": "registries", "annotations": {EVIL: EVIL}},
        "spec": {"mysql": {"host": "db", "port": 3306, "sslCert": None}, EVIL: [EVIL, "\u0085\u2028\x1b"]},
    },
    "secrets": ["db-credential"],
    "config_maps": ["odh-trusted-ca-bundle"],
    "role_bindings": ["system:reg Users@example.com"],
}
PARTS = {name: GOOD[name] for name in ("resource", "secrets", "config_maps", "role_bindings")}


def changed(*place: str, to: object) -> bytes:
    """The good document with one value put in the place of another."""
    document = json.loads(json.dumps(GOOD))
    inner = document
    for name in place[:-1]:
        inner = inner[name]
    inner[place[-1]] = to
    return json.dumps(document).encode()


def nested(depth: int) -> object:
    inner: object = 1
    for _ in range(depth):
        inner = {"a": inner}
    return inner


HOSTILE = {
    "nothing": b"",
    "a list": b"[]",
    "cut short": b'{"x',
    "not UTF-8": b"\xff{}",
    "deep": b"[" * 100_000,
    "deep within": changed("resource", "spec", to=nested(900)),
    "large": b" " * (layout.RESOURCE_MAXIMUM_BYTES + 1),
    "another format": changed("format", to=2),
    "another kind": changed("resource", "kind", to="ClusterRoleBinding"),
    "another group": changed("resource", "apiVersion", to="components.platform.opendatahub.io/v1beta1"),
    "another version": changed("resource", "apiVersion", to="modelregistry.opendatahub.io/v2"),
    "a list of resources": changed("resource", to=[GOOD["resource"]]),
    "another name": changed("resource", "metadata", "name", to="other"),
    "evil name": changed("resource", "metadata", "name", to=EVIL),
    "evil namespace": changed("resource", "metadata", "namespace", to=EVIL),
    "label that is no text": changed("resource", "metadata", "labels", to={"a": {"b": "c"}}),
    "spec that is no mapping": changed("resource", "spec", to=EVIL),
    "no number": changed("resource", "spec", to={"a": float("nan")}),
    "secrets that are no list": changed("secrets", to="x"),
    "evil Secret": changed("secrets", to=[EVIL]),
    "Secret with a line break at its end": changed("secrets", to=["x\n"]),
    "evil ConfigMap": changed("config_maps", to=[EVIL]),
    "evil RoleBinding": changed("role_bindings", to=[EVIL]),
    "RoleBinding of two lines for YAML": changed("role_bindings", to=["x\u2028kind: Evil"]),
    "RoleBinding of two lines for a terminal": changed("role_bindings", to=["x\rkind: Evil"]),
    "RoleBinding that is a path": changed("role_bindings", to=["../x"]),
    "another registry's": changed("registry", to="other"),
    "another backup's": changed("backup", to="20261119T120000Z-000000"),
}


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    storage = DirectoryStorage(tmp_path / "backups")
    write_backup(storage, "reg", NOON)
    return storage


@pytest.mark.parametrize("content", HOSTILE.values(), ids=HOSTILE.keys())
def test_what_is_no_resource_of_this_backup_is_corrupt(content: bytes, storage: DirectoryStorage) -> None:
    storage.put(PLACE, [content])
    with pytest.raises(CorruptError):
        read_kept(storage, MANIFEST)


@pytest.mark.parametrize(
    "place", [("secrets",), ("config_maps",), ("role_bindings",), ("resource", "metadata", "labels")], ids=".".join
)
def test_what_is_wrong_often_is_one_error(place: tuple[str, ...]) -> None:
    """An error takes a kilobyte, and three bytes can be one."""
    wrong = {"a": [], "b": []} if place[-1] == "labels" else [[], []]
    with pytest.raises(ValidationError) as caught:
        KeptResource.model_validate_json(changed(*place, to=wrong))
    assert caught.value.error_count() == 1


def test_what_is_kept_comes_back_and_unknown_fields_do_not(storage: DirectoryStorage) -> None:
    keep(storage, MANIFEST, PARTS)
    assert read_kept(storage, MANIFEST).document() == GOOD
    storage.put(PLACE, [changed("resource", "status", to={"phase": "Evil"})])
    assert read_kept(storage, MANIFEST).document() == GOOD


def test_what_could_not_be_read_again_is_not_kept(storage: DirectoryStorage) -> None:
    before = keys(storage)
    with pytest.raises(ConfigurationError, match=r"is complete, but keeps no resource: role_bindings\.0"):
        keep(storage, MANIFEST, PARTS | {"role_bindings": [EVIL]})
    assert keys(storage) == before


def test_backup_without_a_resource_says_so(storage: DirectoryStorage) -> None:
    with pytest.raises(NotFoundError, match="holds no resource"):
        read_kept(storage, MANIFEST)


@pytest.fixture
def signed(storage: DirectoryStorage) -> SignedStorage:
    """A storage that believes KEY alone, with a resource that it has signed."""
    signed = SignedStorage(storage, KEY, [KEY.public_key()])
    keep(signed, MANIFEST, PARTS)
    return signed


def test_signed_resource_is_believed(signed: SignedStorage) -> None:
    assert read_kept(signed, MANIFEST).document() == GOOD
    assert f"{PLACE}.sig" in keys(signed)
    assert all(layout.is_file_name(key.rpartition("/")[2]) for key in keys(signed))


def test_changed_or_unsigned_resource_is_not_believed(signed: SignedStorage) -> None:
    signed.inner.put(PLACE, [changed("resource", "spec", to={"mysql": {"host": "evil"}})])
    with pytest.raises(UntrustedError, match="not signed by a key"):
        read_kept(signed, MANIFEST)
    signed.inner.delete([f"{PLACE}.sig"])
    with pytest.raises(UntrustedError, match="is not signed, and"):
        read_kept(signed, MANIFEST)


def test_signed_resource_of_another_backup_is_not_believed(signed: SignedStorage) -> None:
    later = manifest_of("reg", NOON, 1)
    for suffix in ("", layout.SIGNATURE_SUFFIX):
        moved = b"".join(signed.inner.get(PLACE + suffix))
        signed.inner.put(backup_key("reg", later.id, layout.RESOURCE) + suffix, [moved])
    with pytest.raises(CorruptError, match="that of another backup"):
        read_kept(signed, later)


def command(tmp_path: Path, storage: DirectoryStorage, *options: str) -> tuple[int, str, str]:
    mysql = {"host": "127.0.0.1", "port": 1, "user": "nobody", "database": "db"}
    document = {"storage": {"url": storage.url}, "registries": [{"name": "reg", "mysql": mysql}]}
    (tmp_path / "opskit.yaml").write_text(json.dumps(document))
    environ = environment(OPSKIT_CONFIG=str(tmp_path / "opskit.yaml"))
    ended = run(opskit_command("backup", "resource", *options), tmp_path, environ)
    return ended.returncode, ended.stdout, ended.stderr


def test_what_is_shown_is_one_document_whatever_its_values_are(tmp_path: Path, storage: DirectoryStorage) -> None:
    keep(storage, MANIFEST, PARTS)
    code, shown, said = command(tmp_path, storage)
    assert (code, list(yaml.safe_load_all(shown))) == (0, [GOOD["resource"]]), said
    comments = [line for line in shown.splitlines() if line.startswith("#")]
    assert comments == [
        "# needs Secret db-credential",
        "# needs ConfigMap odh-trusted-ca-bundle",
        "# needs RoleBinding system:reg Users@example.com",
    ]
    code, shown, said = command(tmp_path, storage, "--json")
    assert (code, json.loads(shown)) == (0, GOOD), said


def test_what_is_deep_and_yet_taken_is_shown(tmp_path: Path, storage: DirectoryStorage) -> None:
    storage.put(PLACE, [changed("resource", "spec", to=nested(190))])
    code, shown, said = command(tmp_path, storage)
    assert (code, yaml.safe_load(shown)["spec"]) == (0, nested(190)), said


def test_hostile_resource_is_65_and_nothing_is_shown(tmp_path: Path, storage: DirectoryStorage) -> None:
    storage.put(PLACE, [HOSTILE["evil Secret"]])
    code, shown, said = command(tmp_path, storage)
    assert (code, shown) == (65, ""), said
    assert "secrets.0: Value error, must be a name as Kubernetes has them" in said
