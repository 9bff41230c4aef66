"""The configuration as frozen, typed sections; docs/configuration.md tells each key's meaning."""

from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator, model_validator

from opskit.errors import ConfigurationError, UsageError
from opskit.settings.kinds import Count, File, HttpUrl, NonEmpty, Port, RegistryName, StorageUrl, Whole
from opskit.settings.secret import reveal
from opskit.settings.units import Duration, Size

DEFAULT_STORAGE = Path("opskit-backups")

TlsMode = Literal["disabled", "required", "verify_ca", "verify_identity"]


class Section(BaseModel):
    """A mapping of the YAML file: frozen, and every key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    @field_validator("*")
    @classmethod
    def _one_source_per_secret(cls, value: object, info: ValidationInfo) -> object:
        name = (info.field_name or "").removesuffix("_file")
        if name != info.field_name and value is not None and info.data.get(name) is not None:
            raise ValueError(f"give {name} or {name}_file, not both")
        return value


class Store(Section):
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


class Tls(Section):
    """How far a server's TLS is trusted; with a CA file, its name is verified unless told otherwise."""

    mode: TlsMode = "required"
    ca_file: File | None = None

    @model_validator(mode="before")
    @classmethod
    def _verify_where_possible(cls, data: object) -> object:
        if isinstance(data, Mapping) and "mode" not in data and data.get("ca_file") is not None:
            return {**data, "mode": "verify_identity"}
        return data

    @field_validator("ca_file")
    @classmethod
    def _ca_file_is_used(cls, value: Path | None, info: ValidationInfo) -> Path | None:
        if value is not None and info.data.get("mode") in ("disabled", "required"):
            raise ValueError(f"is not used with mode {info.data['mode']}: choose verify_ca or verify_identity")
        return value


class Account(Section):
    """A database user."""

    user: NonEmpty
    password: SecretStr | None = None
    password_file: File | None = None

    def read_password(self) -> str:
        """Return the password, read from its file where there is one; empty where none is configured."""
        return reveal(self.password, self.password_file) or ""


class Server(Account):
    """A database server and the user on it."""

    host: NonEmpty
    port: Port = 3306
    tls: Tls = Tls()


class Database(Server):
    """The database of a registry."""

    database: Annotated[str, Field(min_length=1, max_length=64)]


class HttpEndpoint(Section):
    """An HTTP service and the token it wants."""

    url: HttpUrl
    token: SecretStr | None = None
    token_file: File | None = None
    ca_file: File | None = None

    def read_token(self) -> str | None:
        """Return the bearer token, read from its file where there is one."""
        return reveal(self.token, self.token_file)


class GrpcEndpoint(Section):
    """The registry's gRPC service."""

    address: Annotated[str, Field(pattern=r"^[^\s/@]+:\d{1,5}$")]


class Registry(Section):
    """One Model Registry; a layer without configuration is not applicable."""

    name: RegistryName
    mysql: Database
    restore: Account | None = None
    rehearse: Server | None = None
    rest: HttpEndpoint | None = None
    grpc: GrpcEndpoint | None = None
    proxy: HttpEndpoint | None = None


class Discover(Section):
    """Where ModelRegistry custom resources are read."""

    namespace: NonEmpty


class Backup(Section):
    """How a dump is taken."""

    workers: Annotated[Whole, Field(ge=1, le=64)] = 4
    compression_level: Annotated[Whole, Field(ge=1, le=19)] = 3
    max_duration: Duration = timedelta(hours=6)
    min_interval: Duration = timedelta(minutes=10)
    server_checksum: bool = False
    max_load: Annotated[Whole, Field(ge=1)] | None = None

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
    """Which backups prune keeps."""

    keep_last: Count = 7
    keep_daily: Count = 14
    keep_weekly: Count = 8
    keep_monthly: Count = 12
    min_redundancy: Annotated[Whole, Field(ge=1)] = 3


class ArtifactStore(Section):
    """An object store that artifact URIs point to."""

    endpoint: HttpUrl | None = None
    aliases: tuple[NonEmpty, ...] = ()
    buckets: tuple[NonEmpty, ...] = ()
    region: NonEmpty | None = None
    ca_file: File | None = None
    access_key_id: SecretStr | None = None
    access_key_id_file: File | None = None
    secret_access_key: SecretStr | None = None
    secret_access_key_file: File | None = None

    def read_access_key_id(self) -> str | None:
        """Return the access key's id, read from its file where there is one."""
        return reveal(self.access_key_id, self.access_key_id_file)

    def read_secret_access_key(self) -> str | None:
        """Return the secret access key, read from its file where there is one."""
        return reveal(self.secret_access_key, self.secret_access_key_file)


class Artifacts(Section):
    """The stores in which registered artifacts are looked for."""

    stores: tuple[ArtifactStore, ...] = ()


class Probe(Section):
    """How old the newest good results may be."""

    backup_max_age: Duration = timedelta(hours=26)
    rehearsal_max_age: Duration = timedelta(days=8)
    certificate_min_days: Count = 14


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
