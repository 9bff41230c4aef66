"""A configuration that gives every key there is, and walks over documents and models."""

import copy
from collections.abc import Iterator
from typing import Any, get_args

from pydantic import BaseModel

from opskit.settings.source import Path

SECRET = "correct-horse-battery"

_STORE = {
    "url": "s3://registry-backups/opskit",
    "endpoint_url": "https://s3.example.com",
    "ca_file": "/etc/opskit/ca.crt",
    "region": "eu-west-1",
    "path_style": True,
}
_KEY = {"access_key_id": SECRET, "secret_access_key": SECRET}
_KEY_FILES = {"access_key_id_file": "/run/id", "secret_access_key_file": "/run/secret"}
_SERVER = {
    "host": "mysql.example.com",
    "port": 3307,
    "user": "opskit",
    "tls": {
        "mode": "verify_ca",
        "ca_file": "/etc/opskit/mysql.crt",
        "certificate_file": "/etc/opskit/client.crt",
        "key_file": "/etc/opskit/client.key",
    },
}
_HTTP = {
    "url": "https://registry.example.com/",
    "ca_file": "/etc/opskit/ca.crt",
    "extra_ca_file": "/etc/opskit/router.crt",
}


def _registry(name: str, password: dict[str, str], token: dict[str, str]) -> dict[str, Any]:
    return {
        "name": name,
        "mysql": {**_SERVER, **password, "database": "modelregistry"},
        "restore": {"user": "restore", **password},
        "rehearse": {**_SERVER, **password},
        "rest": {**_HTTP, **token},
        "grpc": {"address": "registry.example.com:9090"},
        "proxy": {**_HTTP, **token},
        "deployment": {"namespace": "registries", "name": name},
    }


# Of a secret and its file one can be given: two registries and two stores take turns. There is one `discover`, and
# one first storage.
NOT_GIVEN = {
    "discover.restore.password_file",
    "discover.rehearse.password",
    "storage.access_key_id",
    "storage.secret_access_key",
}
EVERYTHING: dict[str, Any] = {
    "storage": {**_STORE, **_KEY_FILES, "copies": [{**_STORE, **_KEY}, {**_STORE, **_KEY_FILES}]},
    "registries": [
        _registry("distance-prediction", {"password_file": "/run/password"}, {"token_file": "/run/token"}),
        _registry("second", {"password": SECRET}, {"token": SECRET}),
    ],
    "discover": {
        "namespace": "rhoai-model-registries",
        "restore": {"user": "restorer", "password": SECRET},
        "rehearse": {**_SERVER, "password_file": "/run/password"},
    },
    "backup": {
        "workers": 2,
        "compression_level": 5,
        "max_duration": "4h",
        "min_interval": "5m",
        "server_checksum": True,
        "max_load": 40,
        "max_lag": "30s",
    },
    "rehearse": {"max_bytes": "2GiB"},
    "encryption": {"recipients": ["age1abc"], "identity_file": "/run/identity"},
    "signing": {"key_file": "/run/key", "trusted_keys": ["c2lnbmF0dXJl"]},
    "retention": {
        "keep_last": 1,
        "keep_hourly": 5,
        "keep_daily": 2,
        "keep_weekly": 3,
        "keep_monthly": 4,
        "keep_yearly": 6,
        "keep_within": "3d",
        "min_redundancy": 2,
        "keep_reports": 6,
    },
    "artifacts": {
        "stores": [
            {
                "endpoint": "https://s3.example.com",
                "aliases": ["https://s3.internal"],
                "buckets": ["models"],
                "region": "eu-west-1",
                "ca_file": "/etc/opskit/ca.crt",
                **_KEY,
                "connections": [{"storage_key": "aws-connection-models", "bucket": "models"}],
            },
            _KEY_FILES,
        ],
        "hosts": [
            {"url": "https://quay.io", "ca_file": "/etc/opskit/ca.crt", "user": "robot", "password": SECRET},
            {"url": "https://*.example.com", "token": SECRET},
            {"url": "https://models.example.com", "token_file": "/run/token", "password_file": "/run/password"},
        ],
        "mounts": [{"uri": "pvc://models", "path": "/mnt/models"}],
        "workers": 4,
        "max_unknown": 5,
        "shards": 3,
    },
    "probe": {
        "deadline": "4s",
        "backup_max_age": "30h",
        "rehearsal_max_age": "9d",
        "artifacts_max_age": "3d",
        "certificate_min_days": 21,
        "replica_max_lag": "2m",
    },
    "serve": {
        "host": "0.0.0.0",  # noqa: S104 - as in a container
        "port": 8080,
        "token_file": "/run/token",
        "schedule": "none",
        "time_zone": "Europe/Berlin",
        "jitter": "10s",
        "misfire_grace": "2h",
        "stop_wait": "1m",
        "refresh": "30s",
        "runbooks_url": "https://git.example.com/opskit/runbooks",
        "jobs": [
            {"name": "backup", "schedule": "7 1 * * *", "heartbeat_url": SECRET},
            {"name": "rehearse", "heartbeat_url_file": "/run/heartbeat"},
        ],
    },
}


def nodes(node: object, path: Path = ()) -> Iterator[tuple[Path, object]]:
    """Every mapping, list and scalar of a document, each with its path."""
    yield path, node
    items = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in items:
        yield from nodes(value, (*path, key))


def scalars(document: object) -> list[tuple[Path, object]]:
    """Every scalar of a document, each with its path."""
    return [(path, node) for path, node in nodes(document) if not isinstance(node, dict | list)]


def sections(document: object) -> list[Path]:
    """The path of every mapping of a document."""
    return [path for path, node in nodes(document) if isinstance(node, dict)]


def changed(path: Path, value: object, whole: dict[str, Any] = EVERYTHING) -> dict[str, Any]:
    """The whole configuration with one value changed or added."""
    document = copy.deepcopy(whole)
    node: Any = document
    for key in path[:-1]:
        node = node[key]
    node[path[-1]] = value
    return document


def key_paths(section: type[BaseModel], prefix: str = "") -> Iterator[str]:
    """Every key that a section knows, those of inner sections included: `registries.mysql.host`."""
    for name, field in section.model_fields.items():
        yield prefix + name
        for inner in _sections_in(field.annotation):
            yield from key_paths(inner, f"{prefix}{name}.")


def _sections_in(annotation: object) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _sections_in(argument)
