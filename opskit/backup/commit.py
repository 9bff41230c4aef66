"""The one small write that makes a backup exist."""

from opskit.backup import layout
from opskit.backup.manifest import Manifest, backup_key, dump_manifest
from opskit.errors import ConfigurationError, NotFoundError, OpskitError, RefusedError, UnavailableError
from opskit.mysql.lease import Lease
from opskit.storage import Storage


def commit(storage: Storage, manifest: Manifest, lease: Lease) -> None:
    """Put the manifest, once every file is seen to be there and the lease is still ours.

    An error is followed by reading the manifest back: a lost answer, and the 412 that a retry of our own
    write gets, are successes (measured with moto). `RefusedError` if another manifest stands there,
    `UnavailableError` if it cannot be told whether ours does, `ConfigurationError` for what no restore would read.
    """
    require_complete(storage, manifest)
    lease.check()
    put_manifest(storage, manifest, _readable(manifest))


def _readable(manifest: Manifest) -> bytes:
    """Return the bytes of a manifest; `ConfigurationError` for one so large that nobody would read it again."""
    content = dump_manifest(manifest)
    if len(content) > layout.MANIFEST_MAXIMUM_BYTES:
        raise ConfigurationError(f"the manifest of {manifest.id} has {len(content):,} bytes, more than a restore reads")
    return content


def put_manifest(storage: Storage, manifest: Manifest, content: bytes) -> None:
    """Put the bytes of a manifest, as `commit` does."""
    key = backup_key(manifest.registry, manifest.id, layout.MANIFEST)
    try:
        storage.put(key, [content], if_absent=True)
    except OpskitError as error:
        _settle(storage, key, content, manifest.id, error)


def require_complete(storage: Storage, manifest: Manifest) -> None:
    """Raise `UnavailableError` unless a listing shows every file of the manifest with its size."""
    folder = backup_key(manifest.registry, manifest.id, "")
    sizes = {stored.key.removeprefix(folder): stored.size for stored in storage.list(folder)}
    for file in manifest.files:
        if sizes.get(file.name) != file.bytes:
            found = f"{sizes[file.name]} bytes" if file.name in sizes else "nothing"
            raise UnavailableError(
                f"storage lost {file.name}: {file.bytes} bytes were written, {found} is there",
                hint="run the backup again; without a manifest this one does not exist",
            )


def _settle(storage: Storage, key: str, content: bytes, backup_id: str, error: OpskitError) -> None:
    try:
        found = b"".join(storage.get(key))
    except NotFoundError:
        raise error from None
    except OpskitError:
        raise UnavailableError(f"{error.message}; the backup may exist: run `backup check {backup_id}`") from error
    if found != content:
        raise RefusedError(f"another manifest stands at {key}") from error
