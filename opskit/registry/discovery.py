"""Registries as their ModelRegistry resources describe them.

Two custom resources have the kind ModelRegistry and the plural modelregistries: the one of the group
`modelregistry.opendatahub.io` is a registry; the platform's singleton of `components.platform.opendatahub.io` only says
where registries are, so the group is always named.
"""

import base64
import binascii
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import SecretStr, ValidationError

from opskit.errors import ConfigurationError, DeniedError, NotFoundError, OpskitError
from opskit.kubernetes_api import KubernetesApi, Resource
from opskit.redaction import conceal
from opskit.registry.custom_resource import GROUP, VERSIONS
from opskit.settings import Registry, Settings
from opskit.settings.kinds import OBJECT_NAME
from opskit.settings.model import Discover

logger = logging.getLogger(__name__)

_PROXY_TOKEN: Final = Path("/var/run/secrets/opskit/token")
# What the cluster lets its pods trust: the API server's authority, and on OpenShift the default router's as well.
_CLUSTER_AUTHORITIES: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount/ca.crt")
_GRANT = "add its name to the Role opskit-discovery: `opskit cluster install` does"


@dataclass(frozen=True, slots=True)
class Found:
    """A registry, and what a lost namespace needs to have it again: the resource, and names of what it refers to."""

    registry: Registry
    resource: Resource
    secrets: tuple[str, ...]
    config_maps: tuple[str, ...]
    role_bindings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Discovery:
    """What was found, what could not be read, and what opskit does not back up."""

    found: tuple[Found, ...] = ()
    unreadable: tuple[tuple[str, OpskitError], ...] = ()
    postgres: tuple[str, ...] = ()


def discover(api: KubernetesApi, settings: Discover, folder: Path) -> Discovery:
    """Read every ModelRegistry of the namespace; certificates go into `folder`, which outlives the run's connections.

    A registry that cannot be read is reported with its error and does not stop the others.
    """
    found, unreadable, postgres = [], [], []
    for resource in resources(api, settings.namespace):
        name = resource["metadata"]["name"]
        try:
            spec = effective_spec(resource)
            if "mysql" not in spec:
                postgres.append(name)
                logger.warning("%s is a PostgreSQL registry: opskit backs up MySQL and MariaDB only", name)
                continue
            found.append(_read(api, settings, resource, spec, folder))
        except OpskitError as error:
            unreadable.append((name, error))
            logger.error("%s: %s", name, error.told)  # noqa: TRY400 - no bug
    return Discovery(tuple(found), tuple(unreadable), tuple(postgres))


def with_found(settings: Settings, discovery: Discovery) -> Settings:
    """Return the settings with the registries that were found; one of the same name in the configuration wins.

    Where none is left, the error of the first that could not be read is raised.
    """
    listed = {registry.name.lower() for registry in settings.registries}
    found = tuple(each.registry for each in discovery.found if each.registry.name.lower() not in listed)
    registries = (*settings.registries, *found)
    if not registries and discovery.unreadable:
        raise discovery.unreadable[0][1]
    return settings.model_copy(update={"registries": registries})


def resources(api: KubernetesApi, namespace: str) -> list[Resource]:
    """Return the ModelRegistry resources of a namespace, in the newest version that the cluster serves."""
    for version in VERSIONS:
        try:
            return api.list(f"/apis/{GROUP}/{version}/namespaces/{namespace}/modelregistries")
        except NotFoundError:
            continue
    raise ConfigurationError(
        f"the cluster has no modelregistries.{GROUP}",
        hint="is the model registry operator installed? Without it, list registries in the configuration",
    )


def effective_spec(resource: Resource) -> dict[str, Any]:
    """Return the spec with the operator's run-time defaults over it (`status.specDefaults`, a JSON merge patch)."""
    spec: dict[str, Any] = resource.get("spec", {})
    defaults = resource.get("status", {}).get("specDefaults")
    try:
        patch = json.loads(defaults) if defaults else {}
    except ValueError as error:
        raise ConfigurationError("status.specDefaults is not JSON") from error
    merged: dict[str, Any] = merged_patch(spec, patch)
    return merged


def merged_patch(target: Any, patch: Any) -> Any:  # noqa: ANN401 - JSON
    """Apply a JSON merge patch (RFC 7396)."""
    if not isinstance(patch, Mapping):
        return patch
    merged = dict(target) if isinstance(target, Mapping) else {}
    for key, value in patch.items():
        if value is None:
            merged.pop(key, None)
        else:
            merged[key] = merged_patch(merged.get(key), value)
    return merged


def names_referred_to(mysql: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the names of the Secrets and of the ConfigMaps that the database section of a resource refers to."""
    secrets = [mysql[key]["name"] for key in mysql if key.endswith("Secret")]
    secrets += [mysql[key] for key in ("sslRootCertificatesSecretName",) if key in mysql]
    maps = [mysql[key]["name"] for key in mysql if key.endswith("ConfigMap")]
    maps += [mysql[key] for key in ("sslRootCertificatesConfigMapName",) if key in mysql]
    return sorted(set(secrets)), sorted(set(maps))


def _read(api: KubernetesApi, settings: Discover, resource: Resource, spec: Mapping[str, Any], folder: Path) -> Found:
    name, mysql = resource["metadata"]["name"], spec["mysql"]
    secrets, config_maps = names_referred_to(mysql)
    section: dict[str, Any] = {
        "host": _qualified(mysql["host"], settings.namespace),
        "port": mysql.get("port", 3306),
        "database": mysql["database"],
        "user": mysql["username"],
        "tls": _tls(api, settings.namespace, name, mysql, folder),
    }
    if "passwordSecret" in mysql:
        reference = mysql["passwordSecret"]
        password = _value(api, settings.namespace, "secrets", reference["name"], reference["key"])
        section["password"] = SecretStr(conceal(password))
    values = {"name": name, "mysql": section, "restore": settings.restore, "rehearse": settings.rehearse}
    # The operator names the Deployment as its resource.
    values["deployment"] = {"namespace": settings.namespace, "name": name}
    proxy = spec.get("kubeRBACProxy") or spec.get("oauthProxy") or {}
    if proxy.get("domain") and proxy.get("serviceRoute", "enabled") == "enabled":
        values["proxy"] = {
            "url": f"https://{name}-rest.{proxy['domain']}:{proxy.get('routePort', 443)}",
            "token_file": _PROXY_TOKEN if _PROXY_TOKEN.exists() else None,
            "extra_ca_file": _CLUSTER_AUTHORITIES if _CLUSTER_AUTHORITIES.exists() else None,
        }
    try:
        registry = Registry.model_validate(values)
    except ValidationError as error:
        problems = "; ".join(
            f"{'.'.join(map(str, each['loc']))}: {each['msg']}"
            for each in error.errors(include_url=False, include_input=False)
        )
        raise ConfigurationError(f"its resource describes no registry: {problems}") from None
    return Found(registry, bare(resource), tuple(secrets), tuple(config_maps), _role_bindings(api, settings, name))


def bare(resource: Resource) -> Resource:
    """Return a resource as it can be created again: without status and what the server keeps for itself."""
    metadata = resource["metadata"]
    kept = {key: metadata[key] for key in ("name", "namespace", "labels", "annotations") if key in metadata}
    kept.get("annotations", {}).pop("kubectl.kubernetes.io/last-applied-configuration", None)
    return {key: resource[key] for key in ("apiVersion", "kind", "spec") if key in resource} | {"metadata": kept}


def _qualified(host: str, namespace: str) -> str:
    # A bare name is a Service beside the registry; opskit may run elsewhere.
    return host if "." in host or ":" in host else f"{host}.{namespace}.svc.cluster.local"


def _tls(api: KubernetesApi, namespace: str, name: str, mysql: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return how the server is verified, as the registry does it and by its CA, and what opskit shows of itself."""
    tls = _client_certificate(api, namespace, name, mysql, folder)
    ca = _certificates(api, namespace, mysql)
    if mysql.get("verifyServerCert"):
        tls["mode"] = "verify_identity"
    elif ca:
        # The operator's own certificates name the Service alone, so a registry may go without checking the name.
        tls["mode"] = "verify_ca"
    if ca:
        tls["ca_file"] = _kept(folder, f"{name}-ca.crt", ca)
    return tls


def _client_certificate(
    api: KubernetesApi, namespace: str, name: str, mysql: Mapping[str, Any], folder: Path
) -> dict[str, Any]:
    files = (("certificate_file", "sslCertificateSecret", "client.crt"), ("key_file", "sslKeySecret", "client.key"))
    found = {}
    for setting, field, kept_as in files:
        if field in mysql:
            text = _value(api, namespace, "secrets", mysql[field]["name"], mysql[field]["key"])
            found[setting] = _kept(folder, f"{name}-{kept_as}", text)
    return found


def _kept(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
    return path


def _certificates(api: KubernetesApi, namespace: str, mysql: Mapping[str, Any]) -> str:
    parts = []
    for field, plural in (("sslRootCertificateConfigMap", "configmaps"), ("sslRootCertificateSecret", "secrets")):
        if field in mysql:
            parts.append(_value(api, namespace, plural, mysql[field]["name"], mysql[field]["key"]))
    for field, plural in (
        ("sslRootCertificatesConfigMapName", "configmaps"),
        ("sslRootCertificatesSecretName", "secrets"),
    ):
        if field in mysql:
            parts += _data(api, namespace, plural, mysql[field]).values()
    return "\n".join(parts)


def _value(api: KubernetesApi, namespace: str, plural: str, name: str, key: str) -> str:
    data = _data(api, namespace, plural, name)
    if key not in data:
        raise ConfigurationError(f"{plural}/{name} has no key {key!r}")
    return data[key]


def _data(api: KubernetesApi, namespace: str, plural: str, name: str) -> dict[str, str]:
    """Return what a Secret or ConfigMap holds, by name: neither is ever listed."""
    if not OBJECT_NAME.fullmatch(name):  # a path of its own, if it were asked for
        raise ConfigurationError(f"{name!r} is no name of a Secret or ConfigMap")
    try:
        found = api.get(f"/api/v1/namespaces/{namespace}/{plural}/{name}").get("data") or {}
    except DeniedError as error:
        raise DeniedError(f"{plural}/{name} may not be read, but its resource names it", hint=_GRANT) from error
    if plural == "configmaps":
        return dict(found)
    try:
        return {key: base64.b64decode(value).decode() for key, value in found.items()}
    except (binascii.Error, UnicodeDecodeError):
        # Not chained: the error quotes the bytes.
        raise ConfigurationError(f"secrets/{name} holds what is not text") from None


def _role_bindings(api: KubernetesApi, settings: Discover, name: str) -> tuple[str, ...]:
    """Return the names of the bindings that let people use the registry: to the operator's Role for it."""
    try:
        bindings = api.list(f"/apis/rbac.authorization.k8s.io/v1/namespaces/{settings.namespace}/rolebindings")
    except DeniedError as error:
        logger.warning("%s: its RoleBindings are not recorded: %s", name, error)
        return ()
    return tuple(
        sorted(each["metadata"]["name"] for each in bindings if each["roleRef"]["name"] == f"registry-user-{name}")
    )
