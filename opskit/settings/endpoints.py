"""Servers, and how to log in to them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, SecretStr, ValidationInfo, field_validator, model_validator

from opskit.settings.kinds import File, HttpUrl, NonEmpty, ObjectName, Port
from opskit.settings.secret import reveal
from opskit.settings.section import Section

TlsMode = Literal["disabled", "required", "verify_ca", "verify_identity"]


class Tls(Section):
    """How far a server's TLS is trusted; with a CA file, its name is verified unless told otherwise.

    The certificate and its key are what opskit shows of itself, to a server that asks for one.
    """

    mode: TlsMode = "required"
    ca_file: File | None = None
    certificate_file: File | None = None
    key_file: File | None = None

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

    @model_validator(mode="after")
    def _certificate_is_whole_and_used(self) -> "Tls":
        if (self.certificate_file is None) != (self.key_file is None):
            raise ValueError("certificate_file and key_file belong together: give both, or neither")
        if self.certificate_file is not None and self.mode == "disabled":
            raise ValueError("certificate_file and key_file are not used with mode disabled")
        return self


class Account(Section):
    """A database user."""

    user: NonEmpty
    password: SecretStr | None = None
    password_file: File | None = None

    def read_password(self) -> str:
        """Return the password, read from its file where there is one; empty where none is configured."""
        return reveal(self.password, self.password_file) or ""


class AccessKey(Section):
    """The key to an S3 store; without one, credentials come from boto3's own chain."""

    access_key_id: SecretStr | None = None
    access_key_id_file: File | None = None
    secret_access_key: SecretStr | None = None
    secret_access_key_file: File | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> "AccessKey":
        named = self.access_key_id is not None or self.access_key_id_file is not None
        if named != (self.secret_access_key is not None or self.secret_access_key_file is not None):
            raise ValueError("access_key_id and secret_access_key belong together: give both, or neither")
        return self

    def read_access_key(self) -> tuple[str, str] | None:
        """Return the key's id and its secret, read from their files where there are some."""
        name = reveal(self.access_key_id, self.access_key_id_file)
        secret = reveal(self.secret_access_key, self.secret_access_key_file)
        return (name, secret) if name and secret else None


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
    extra_ca_file: File | None = None

    def read_token(self) -> str | None:
        """Return the bearer token, read from its file where there is one."""
        return reveal(self.token, self.token_file)


class Deployment(Section):
    """The Deployment of the registry's server."""

    namespace: ObjectName
    name: ObjectName


class GrpcEndpoint(Section):
    """The registry's gRPC service."""

    address: Annotated[str, Field(pattern=r"^[^\s/@]+:\d{1,5}$")]
