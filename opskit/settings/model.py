"""The configuration as frozen, typed sections; docs/configuration.md tells each key's meaning."""

from collections.abc import Iterable
from datetime import timedelta
from pathlib import Path
from typing import Annotated

from pydantic import Field, SecretStr, field_validator

from opskit.errors import ConfigurationError, UsageError
from opskit.settings.endpoints import AccessKey, Account, Database, Deployment, GrpcEndpoint, HttpEndpoint, Server
from opskit.settings.kinds import Count, File, HttpUrl, NonEmpty, Origin, RegistryName, StorageUrl, Whole
from opskit.settings.secret import reveal
from opskit.settings.section import Section
from opskit.settings.serve import Serve
from opskit.settings.units import Duration, Size

DEFAULT_STORAGE = Path("opskit-backups")


class Store(AccessKey):
    """A place for backups: a bucket with a prefix, or a directory."""

    url: StorageUrl
    endpoint_url: HttpUrl | None = None
    ca_file: File | None = None
    region: NonEmpty | None = None
    path_style: bool | None = None

    @property
    def uses_path_style(self) -> bool:
        """Whether the bucket goes into the path: unless told, wherever the endpoint is not Amazon's."""
        return self.endpoint_url is not None if self.path_style is None else self.path_style


class Storage(Store):
    """Where backups are written, and where they are copied to."""

    copies: tuple[Store, ...] = ()


class Registry(Section):
    """One Model Registry; a layer without configuration is not applicable."""

    name: RegistryName
    mysql: Database
    restore: Account | None = None
    rehearse: Server | None = None
    rest: HttpEndpoint | None = None
    grpc: GrpcEndpoint | None = None
    proxy: HttpEndpoint | None = None
    deployment: Deployment | None = None


class Discover(Section):
    """Where ModelRegistry custom resources are read, and who restores the registries that are found."""

    namespace: NonEmpty
    restore: Account | None = None
    rehearse: Server | None = None


class Backup(Section):
    """How a dump is taken."""

    workers: Annotated[Whole, Field(ge=1, le=64)] = 4
    compression_level: Annotated[Whole, Field(ge=1, le=19)] = 2
    max_duration: Duration = timedelta(hours=6)
    min_interval: Duration = timedelta(minutes=10)
    server_checksum: bool = False
    max_load: Annotated[Whole, Field(ge=1)] | None = None
    max_lag: Duration | None = None

    @field_validator("max_duration")
    @classmethod
    def _less_than_a_day(cls, value: timedelta) -> timedelta:
        if not timedelta(0) < value < timedelta(days=1):
            raise ValueError("must be more than 0s and less than 24h")
        return value


class Rehearse(Section):
    """How backups are rehearsed where a registry has no server of its own for it."""

    max_bytes: Annotated[Size, Field(ge=0)] = 1 << 30


class Encryption(Section):
    """Whom backups are encrypted to, and the identity that opens them."""

    recipients: tuple[NonEmpty, ...] = ()
    identity_file: File | None = None


class Signing(Section):
    """The key that signs manifests, and the keys that are believed."""

    key_file: File | None = None
    trusted_keys: tuple[NonEmpty, ...] = ()


class Retention(Section):
    """Which backups and reports prune keeps."""

    keep_last: Count = 7
    keep_hourly: Count = 0
    keep_daily: Count = 14
    keep_weekly: Count = 8
    keep_monthly: Count = 12
    keep_yearly: Count = 0
    keep_within: Duration = timedelta(0)
    min_redundancy: Annotated[Whole, Field(ge=1)] = 3
    keep_reports: Annotated[Whole, Field(ge=1)] = 90


class DataConnection(Section):
    """The bucket that a data connection means, by the storage_key that artifacts name it with."""

    storage_key: NonEmpty
    bucket: NonEmpty


class ArtifactStore(AccessKey):
    """An object store that artifact URIs point to."""

    endpoint: HttpUrl | None = None
    aliases: tuple[NonEmpty, ...] = ()
    buckets: tuple[NonEmpty, ...] = ()
    region: NonEmpty | None = None
    ca_file: File | None = None
    connections: tuple[DataConnection, ...] = ()


class ArtifactHost(Section):
    """A server that artifacts are on: documents, or images of an OCI registry."""

    url: Origin
    ca_file: File | None = None
    token: SecretStr | None = None
    token_file: File | None = None
    user: NonEmpty | None = None
    password: SecretStr | None = None
    password_file: File | None = None

    def read_token(self) -> str | None:
        """Return the bearer token, read from its file where there is one."""
        return reveal(self.token, self.token_file)

    def read_login(self) -> tuple[str, str] | None:
        """Return user and password, where there is a user."""
        return (self.user, reveal(self.password, self.password_file) or "") if self.user else None


class ArtifactMount(Section):
    """Where this machine has what `file:` or `pvc:` URIs mean."""

    uri: Annotated[str, Field(pattern=r"^(file:///|pvc://[a-z0-9])[^?#]*$")]
    path: Annotated[str, Field(pattern=r"^/")]


class Artifacts(Section):
    """Where registered artifacts are looked for; nothing else is ever contacted."""

    stores: tuple[ArtifactStore, ...] = ()
    hosts: tuple[ArtifactHost, ...] = ()
    mounts: tuple[ArtifactMount, ...] = ()
    workers: Annotated[Whole, Field(ge=1, le=64)] = 8
    max_unknown: Count = 0
    shards: Annotated[Whole, Field(ge=1, le=10_000)] = 1


class Probe(Section):
    """When a check gives up, and what it finds good enough."""

    deadline: Annotated[Duration, Field(gt=timedelta(0))] = timedelta(seconds=5)
    backup_max_age: Duration = timedelta(hours=26)
    rehearsal_max_age: Duration = timedelta(days=8)
    artifacts_max_age: Duration = timedelta(days=2)
    certificate_min_days: Count = 14
    replica_max_lag: Duration = timedelta(minutes=5)


def _default_storage() -> Storage:
    return Storage(url=DEFAULT_STORAGE.absolute().as_uri())


class Settings(Section):
    """The whole configuration."""

    storage: Storage = Field(default_factory=_default_storage)
    registries: tuple[Registry, ...] = ()
    discover: Discover | None = None
    backup: Backup = Backup()
    rehearse: Rehearse = Rehearse()
    encryption: Encryption = Encryption()
    signing: Signing = Signing()
    retention: Retention = Retention()
    artifacts: Artifacts = Artifacts()
    probe: Probe = Probe()
    serve: Serve = Serve()

    @property
    def storage_is_default(self) -> bool:
        """Whether nobody said where backups go, so that they go to `./opskit-backups`."""
        return "storage" not in self.model_fields_set

    def registry(self, name: str) -> Registry:
        """Return the registry of that name."""
        for registry in self.registries:
            if registry.name == name:
                return registry
        known = ", ".join(registry.name for registry in self.registries)
        raise UsageError(f"no registry is named {name!r}", hint=f"configured: {known or 'none'}")

    def select(self, names: Iterable[str] = ()) -> tuple[Registry, ...]:
        """Return the registries of these names, each once, or all of them where no name is given."""
        chosen = tuple(self.registry(name) for name in dict.fromkeys(names)) or self.registries
        if not chosen:
            raise ConfigurationError(
                "no registry is configured",
                hint="give --mysql-url mysql://user@host/database, or list registries in a --config file",
            )
        return chosen
