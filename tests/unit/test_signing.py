import base64
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from opskit.backup.signing import SignedStorage, read_signing_key, read_trusted_keys
from opskit.errors import ConfigurationError, CorruptError, UnavailableError
from opskit.storage import Storage
from opskit.storage.directory import DirectoryStorage
from sandbox.archive import unpacked
from tests.faulty import FaultyStorage

KEY = Ed25519PrivateKey.generate()
MANIFEST = "registry/20261123T021500Z-3f9a1c/manifest.json"
SIGNATURE = f"{MANIFEST}.sig"
CONTENT = b'{"format": 1}\n'


@pytest.fixture
def plain(tmp_path: Path) -> DirectoryStorage:
    return DirectoryStorage(tmp_path / "storage")


@pytest.fixture
def signed(plain: DirectoryStorage) -> SignedStorage:
    return SignedStorage(plain, KEY, [KEY.public_key()])


def content(storage: Storage, key: str = MANIFEST) -> bytes:
    return b"".join(storage.get(key))


def openssl(*arguments: str) -> str:
    """Run OpenSSL's own program, a witness that is not ours."""
    found = unpacked("openssl", ["openssl"])
    program = found.file("usr/bin/openssl")
    assert program is not None
    command = [*found.command(program), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def keys(storage: Storage) -> list[str]:
    return [each.key for each in storage.list()]


def test_signed_manifest_comes_back_as_it_was_put(signed: SignedStorage, plain: DirectoryStorage) -> None:
    signed.put(MANIFEST, iter([CONTENT[:5], CONTENT[5:]]), if_absent=True)
    assert content(signed) == content(plain) == CONTENT
    assert keys(plain) == [MANIFEST, SIGNATURE]


def test_openssl_verifies_the_signature(signed: SignedStorage, tmp_path: Path) -> None:
    signed.put(MANIFEST, [CONTENT])
    public = tmp_path / "public.pem"
    public.write_bytes(KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    folder = tmp_path / "storage"
    files = ["-in", str(folder / MANIFEST), "-sigfile", str(folder / SIGNATURE)]
    said = openssl("pkeyutl", "-verify", "-pubin", "-inkey", str(public), "-rawin", *files)
    assert said == "Signature Verified Successfully\n"


def test_only_manifests_are_signed(signed: SignedStorage, plain: DirectoryStorage) -> None:
    signed.put("registry/x/data.sql.zst", [b"data"])
    signed.put("registry/x/other-manifest.json", [b"data"])
    assert keys(plain) == ["registry/x/data.sql.zst", "registry/x/other-manifest.json"]
    assert content(signed, "registry/x/data.sql.zst") == b"data"


def test_unsigned_manifest_is_corrupt(signed: SignedStorage, plain: DirectoryStorage) -> None:
    plain.put(MANIFEST, [CONTENT])
    with pytest.raises(CorruptError, match="is not signed, and"):
        content(signed)


def test_changed_manifest_is_corrupt(signed: SignedStorage, plain: DirectoryStorage) -> None:
    signed.put(MANIFEST, [CONTENT])
    plain.put(MANIFEST, [CONTENT.replace(b"1", b"2")])
    with pytest.raises(CorruptError, match="not signed by a key"):
        content(signed)


@pytest.mark.parametrize("signature", [b"", b"x" * 63, b"x" * 64, b"x" * 10_000])
def test_forged_signature_is_corrupt(signature: bytes, signed: SignedStorage, plain: DirectoryStorage) -> None:
    plain.put(MANIFEST, [CONTENT])
    plain.put(SIGNATURE, [signature])
    with pytest.raises(CorruptError):
        content(signed)


def test_signature_of_another_key_is_corrupt(signed: SignedStorage, plain: DirectoryStorage) -> None:
    SignedStorage(plain, Ed25519PrivateKey.generate()).put(MANIFEST, [CONTENT])
    with pytest.raises(CorruptError, match="not signed by a key"):
        content(signed)


def test_keys_can_be_rotated(signed: SignedStorage, plain: DirectoryStorage) -> None:
    signed.put(MANIFEST, [CONTENT])
    newer = Ed25519PrivateKey.generate().public_key()
    assert content(SignedStorage(plain, trusted=[newer, KEY.public_key()])) == CONTENT


def test_without_trusted_keys_any_manifest_is_given_out(plain: DirectoryStorage) -> None:
    plain.put(MANIFEST, [CONTENT])
    assert content(SignedStorage(plain, KEY)) == CONTENT


def test_endless_manifest_is_not_gathered() -> None:
    class Endless(DirectoryStorage):
        def get(self, key: str) -> Iterator[bytes]:
            del key
            while True:
                yield bytes(1024 * 1024)

    with pytest.raises(CorruptError, match="too large"):
        content(SignedStorage(Endless(Path("nowhere")), trusted=[KEY.public_key()]))


def test_manifest_never_stands_without_its_signature(plain: DirectoryStorage) -> None:
    plain.put("registry/other", [b""])
    broken = SignedStorage(FaultyStorage(plain, fail={"put": [1]}), KEY)
    with pytest.raises(UnavailableError):
        broken.put(MANIFEST, [CONTENT])
    assert keys(plain) == ["registry/other"]


def pem(key: Ed25519PrivateKey, encryption: KeySerializationEncryption | None = None) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption or NoEncryption())


def test_key_is_read_from_what_openssl_writes(tmp_path: Path) -> None:
    openssl("genpkey", "-algorithm", "ed25519", "-out", str(tmp_path / "key.pem"))
    key = read_signing_key(tmp_path / "key.pem")
    assert key is not None
    public = openssl("pkey", "-in", str(tmp_path / "key.pem"), "-pubout")
    (base64_line,) = [line for line in public.splitlines() if "-----" not in line]
    raw = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    assert list(read_trusted_keys([public, base64_line, raw])) == [key.public_key()] * 3


@pytest.mark.parametrize("kind", ["missing", "empty", "no key", "public", "with a password", "RSA"])
def test_what_is_no_signing_key_is_refused_and_not_quoted(kind: str, tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    secret = pem(KEY).decode().splitlines()[1]
    contents = {
        "empty": b"",
        "no key": b"-----BEGIN PRIVATE KEY-----\n" + secret[:-4].encode() + b"\n-----END PRIVATE KEY-----\n",
        "public": KEY.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "with a password": pem(KEY, BestAvailableEncryption(b"password")),
        "RSA": generate_private_key(65537, 2048).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }
    if kind in contents:
        path.write_bytes(contents[kind])
    with pytest.raises(ConfigurationError, match=r"signing\.key_file") as caught:
        read_signing_key(path)
    assert secret[:-4] not in str(caught.value)


@pytest.mark.parametrize("text", ["", "x", "AAAA", pem(KEY).decode()])
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"signing\.trusted_keys\[0\]"):
        read_trusted_keys([text])
