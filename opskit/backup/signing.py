"""Backups signed with ed25519: digests lie beside the data, so whoever can write the bucket could forge both.

Signed are the bytes of the manifest, which holds the digest of every file, and those of the resource, which names its
backup. The signature lies beside as `manifest.json.sig` and `resource.json.sig`, 64 bytes that
`openssl pkeyutl -verify -rawin` understands, and is there before what it signs.
"""

import base64
import binascii
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from opskit.backup import layout
from opskit.backup.stages import gathered
from opskit.errors import ConfigurationError, NotFoundError, UntrustedError
from opskit.storage import Storage, StoredObject, UnfinishedUpload

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

# What is signed, and how large it may be.
_SIGNED = {layout.MANIFEST: layout.MANIFEST_MAXIMUM_BYTES, layout.RESOURCE: layout.RESOURCE_MAXIMUM_BYTES}
_RAW_BYTES = 32
_SIGNATURE_BYTES = 64


@dataclass(frozen=True, slots=True)
class SignedStorage:
    """A storage that signs manifests and resources, and gives out only those that a trusted key has signed.

    Without a `key` they are stored as they are; without `trusted` keys any is given out.
    """

    inner: Storage
    key: "Ed25519PrivateKey | None" = field(default=None, repr=False)
    trusted: "Sequence[Ed25519PublicKey]" = ()

    @property
    def url(self) -> str:
        """The root of the storage behind."""
        return self.inner.url

    def put(self, key: str, body: Iterable[bytes], *, if_absent: bool = False) -> int:
        """Store the body; a signature is stored first, so that no moment shows one without the other."""
        if self.key is None or _name(key) not in _SIGNED:
            return self.inner.put(key, body, if_absent=if_absent)
        content = b"".join(body)
        self.inner.put(key + layout.SIGNATURE_SUFFIX, [self.key.sign(content)])
        return self.inner.put(key, [content], if_absent=if_absent)

    def get(self, key: str) -> Iterator[bytes]:
        """Yield the object's bytes; `UntrustedError` for what should have the signature of a trusted key."""
        if not self.trusted or _name(key) not in _SIGNED:
            yield from self.inner.get(key)
            return
        content = gathered(self.inner.get(key), _SIGNED[_name(key)], key)
        self._require_trusted(key, content)
        yield content

    def stat(self, key: str) -> StoredObject:
        """Return size and time of one object."""
        return self.inner.stat(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield what the storage behind lists, signatures among it."""
        return self.inner.list(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects."""
        self.inner.delete(keys)

    def erase(self, prefix: str, wanted: Callable[[str], bool]) -> Sequence[str]:
        """Delete objects with all their versions."""
        return self.inner.erase(prefix, wanted)

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield the unfinished uploads."""
        return self.inner.unfinished(prefix)

    def abort(self, upload: UnfinishedUpload) -> None:
        """Abort one upload."""
        self.inner.abort(upload)

    def now(self) -> datetime:
        """Return the time by the clock of the storage behind."""
        return self.inner.now()

    def _require_trusted(self, key: str, content: bytes) -> None:
        from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only those pay who sign

        beside = key + layout.SIGNATURE_SUFFIX
        try:
            signature = gathered(self.inner.get(beside), _SIGNATURE_BYTES, beside)
        except NotFoundError:
            raise UntrustedError(f"{key} is not signed, and signing.trusted_keys is set", hint=_HINT) from None
        for each in self.trusted:
            try:
                each.verify(signature, content)
            except InvalidSignature:
                continue
            return
        raise UntrustedError(f"{key} is not signed by a key of signing.trusted_keys", hint=_HINT)


_HINT = "do not restore it: somebody may have changed it; restore another one, and find out who can write the storage"


def read_signing_key(path: Path | None) -> "Ed25519PrivateKey | None":
    """Return the private key in a PEM file, or None without a file; `ConfigurationError` if it cannot be used."""
    if path is None:
        return None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import load_pem_private_key  # noqa: PLC0415 - see above

    try:
        key = load_pem_private_key(path.read_bytes(), password=None)
    except OSError as error:
        raise ConfigurationError(f"signing.key_file: {path} cannot be read: {error.strerror}") from error
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f"signing.key_file: {path} holds no private key without a password") from error
    if not isinstance(key, Ed25519PrivateKey):
        raise ConfigurationError(
            f"signing.key_file: {path} holds a key of another kind",
            hint="openssl genpkey -algorithm ed25519 -out signing.pem",
        )
    return key


def read_trusted_keys(texts: Iterable[str]) -> "tuple[Ed25519PublicKey, ...]":
    """Return public keys from PEM, or from the one line of base64 in it; `ConfigurationError` for anything else."""
    return tuple(_public_key(position, text) for position, text in enumerate(texts))


def require_believed(key: "Ed25519PrivateKey | None", trusted: "Sequence[Ed25519PublicKey]") -> None:
    """Raise `ConfigurationError` if who believes the `trusted` keys alone would refuse what is stored with `key`."""
    if not trusted:
        return
    if key is None:
        raise ConfigurationError(
            "signing.trusted_keys is set without signing.key_file: no backup made here could be restored",
            hint="set signing.key_file where backups are taken",
        )
    if key.public_key() not in trusted:
        raise ConfigurationError(
            "signing.trusted_keys lacks the public half of signing.key_file: no backup made here could be restored",
            hint="add what `openssl pkey -in signing.pem -pubout` prints to signing.trusted_keys",
        )


def _public_key(position: int, text: str) -> "Ed25519PublicKey":
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - see above
    from cryptography.hazmat.primitives.serialization import load_der_public_key  # noqa: PLC0415 - see above

    lines = [line for line in text.splitlines() if not line.startswith("-----")]
    try:
        content = base64.b64decode("".join(lines), validate=True)
        key = (
            Ed25519PublicKey.from_public_bytes(content) if len(content) == _RAW_BYTES else load_der_public_key(content)
        )
    except (binascii.Error, ValueError) as error:
        raise _no_public_key(position) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _no_public_key(position)
    return key


def _no_public_key(position: int) -> ConfigurationError:
    # The text is not quoted: somebody may have given the private key.
    return ConfigurationError(
        f"signing.trusted_keys[{position}] is no public key of ed25519",
        hint="openssl pkey -in signing.pem -pubout",
    )


def _name(key: str) -> str:
    return key.rpartition("/")[2]
