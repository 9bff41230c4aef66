"""What a scalar of the configuration may be; each kind says in words what is wrong."""

import re
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, PlainSerializer, StringConstraints

OBJECT_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")


def _not_a_switch(value: object) -> object:
    # YAML reads `yes` and `on` as true, and pydantic reads true as 1.
    if isinstance(value, bool):
        raise ValueError("must be a number")  # noqa: TRY004 - pydantic turns only ValueError into a problem
    return value


def _not_empty(value: object) -> object:
    # Path("") is the working directory.
    if value == "":
        raise ValueError("must not be empty")
    return value


def _registry_name(value: str) -> str:
    if not NAME.fullmatch(value):
        raise ValueError("must be 1 to 63 letters, digits, '.', '_' or '-', and start with a letter or digit")
    return value


def _object_name(value: str) -> str:
    if not OBJECT_NAME.fullmatch(value):
        raise ValueError("must be a name as Kubernetes has them: lower-case letters, digits, '-' and '.'")
    return value


def _storage_url(value: str) -> str:
    wording = "must be s3://bucket/prefix or file:///directory"
    if value.startswith(("/", "./", "../")):
        return Path(value).absolute().as_uri()
    try:
        parts = urlsplit(value)
    except ValueError:
        raise ValueError(wording) from None
    if "@" in parts.netloc:
        raise ValueError("must not hold credentials: access_key_id and secret_access_key are for them")
    if parts.query or parts.fragment:
        raise ValueError(f"{wording}, without '?' and '#'")
    bucket = parts.scheme == "s3" and parts.netloc
    directory = parts.scheme == "file" and not parts.netloc and value.startswith("file:///")
    if not bucket and not directory:
        raise ValueError(wording)
    return value.rstrip("/") if bucket else value


def _http_url(value: str) -> str:
    try:
        parts = urlsplit(value)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host = None
    if not host or parts.scheme not in ("http", "https"):
        raise ValueError("must be https://host[:port][/path] or http://…")
    if "@" in parts.netloc:
        raise ValueError("must not hold credentials")
    return value


def _origin(value: str) -> str:
    parts = urlsplit(_http_url(value))
    if parts.path not in ("", "/") or parts.query or parts.fragment:
        raise ValueError("must be https://host[:port], without a path")
    return value.rstrip("/")


NonEmpty = Annotated[str, StringConstraints(min_length=1)]
ObjectName = Annotated[str, AfterValidator(_object_name)]
RegistryName = Annotated[str, AfterValidator(_registry_name)]
File = Annotated[Path, BeforeValidator(_not_empty), PlainSerializer(str)]
Whole = Annotated[int, BeforeValidator(_not_a_switch)]
Count = Annotated[Whole, Field(ge=0)]
Port = Annotated[Whole, Field(ge=1, le=65_535)]
StorageUrl = Annotated[str, AfterValidator(_storage_url)]
HttpUrl = Annotated[str, AfterValidator(_http_url)]
Origin = Annotated[str, AfterValidator(_origin)]
