"""How the configuration becomes the parts that jobs are made of: endpoints, storage, options."""

from pathlib import Path
from typing import TYPE_CHECKING

from opskit.backup.create import Options as BackupOptions
from opskit.backup.encryption import read_identities, read_recipients
from opskit.backup.signing import SignedStorage, read_signing_key, read_trusted_keys, require_believed
from opskit.endpoints import database_endpoint, rehearsal_endpoint, restore_endpoint
from opskit.restore.run import Options as RestoreOptions
from opskit.settings import Settings, Store
from opskit.storage import Storage
from opskit.storage.opening import open_storage

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

    from opskit.artifacts.search import Places

# Made where nothing heavy is imported; asked for here by whoever wires a job.
__all__ = [
    "artifact_places",
    "backup_options",
    "configured_storage",
    "database_endpoint",
    "every_storage",
    "rehearsal_endpoint",
    "restore_endpoint",
    "restore_options",
    "with_signatures",
]


def configured_storage(settings: Settings) -> Storage:
    """Open the storage that backups are in."""
    return with_signatures(settings, _open(settings.storage))


def every_storage(settings: Settings) -> tuple[Storage, ...]:
    """Open the storage that backups are in, and behind it those that they are copied to, all without signatures."""
    return tuple(_open(store) for store in (settings.storage, *settings.storage.copies))


def with_signatures(settings: Settings, storage: Storage) -> Storage:
    """Return the storage that signs the manifests it is given, and believes only trusted keys, where configured."""
    key, trusted = _signing_keys(settings)
    return SignedStorage(storage, key, trusted) if key or trusted else storage


def _signing_keys(settings: Settings) -> "tuple[Ed25519PrivateKey | None, tuple[Ed25519PublicKey, ...]]":
    return read_signing_key(settings.signing.key_file), read_trusted_keys(settings.signing.trusted_keys)


def _open(store: Store) -> Storage:
    return open_storage(
        store.url,
        endpoint_url=store.endpoint_url,
        region=store.region,
        ca_file=store.ca_file,
        path_style=store.uses_path_style,
        access_key=store.read_access_key(),
    )


def backup_options(settings: Settings, *, workers: int | None = None) -> BackupOptions:
    """Return how backups are made, encryption included; `workers` wins over the configuration.

    `ConfigurationError` where this configuration would refuse to restore what it makes.
    """
    require_believed(*_signing_keys(settings))
    return BackupOptions(
        workers=workers or settings.backup.workers,
        compression_level=settings.backup.compression_level,
        max_duration_seconds=settings.backup.max_duration.total_seconds(),
        server_checksum=settings.backup.server_checksum,
        recipients=read_recipients(settings.encryption.recipients),
        max_load=settings.backup.max_load,
        max_lag_seconds=settings.backup.max_lag.total_seconds() if settings.backup.max_lag else None,
    )


def restore_options(settings: Settings, *, workers: int | None = None) -> RestoreOptions:
    """Return how backups are restored, with the identities that open them."""
    return RestoreOptions(
        workers=workers or settings.backup.workers,
        identities=read_identities(settings.encryption.identity_file),
    )


def artifact_places(settings: Settings) -> "Places":
    """Return where artifacts may be looked for: the stores, hosts and mounts of the configuration."""
    from opskit.artifacts.files import Mount  # noqa: PLC0415 - boto3 takes a third of a second to import
    from opskit.artifacts.hosts import Host, Hosts  # noqa: PLC0415 - the same
    from opskit.artifacts.search import Places  # noqa: PLC0415 - the same
    from opskit.artifacts.stores import Store, Stores  # noqa: PLC0415 - the same

    artifacts = settings.artifacts
    stores = [
        Store(
            endpoint=each.endpoint,
            aliases=each.aliases,
            buckets=each.buckets,
            connections={connection.storage_key: connection.bucket for connection in each.connections},
            region=each.region,
            ca_file=each.ca_file,
            access_key=each.read_access_key,
        )
        for each in artifacts.stores
    ]
    hosts = [Host(each.url, each.ca_file, each.read_token, each.read_login) for each in artifacts.hosts]
    return Places(Stores(stores), Hosts(hosts), [Mount(each.uri, Path(each.path)) for each in artifacts.mounts])
