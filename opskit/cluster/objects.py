"""The objects that `cluster install` applies: the rendered overlay `install`, with the values of this cluster."""

from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from typing import Any, Final

import yaml

from opskit.errors import RefusedError
from opskit.kubernetes_api import Resource

MANAGER: Final = "opskit"
_PLURALS: Final = {
    "ConfigMap": "configmaps",
    "CronJob": "cronjobs",
    "PrometheusRule": "prometheusrules",
    "Role": "roles",
    "RoleBinding": "rolebindings",
    "ServiceAccount": "serviceaccounts",
}
_ARGO_CD: Final = ("argocd.argoproj.io/instance", "argocd.argoproj.io/tracking-id")


@dataclass(frozen=True, slots=True)
class Values:
    """What differs from cluster to cluster; `secrets` and `config_maps` are those that its registries name."""

    namespace: str
    image: str
    storage: dict[str, str]
    secrets: Sequence[str] = ()
    config_maps: Sequence[str] = ()
    registries: Sequence[str] = ()
    runbooks: str | None = None
    restore_user: str | None = None


def rendered() -> list[Resource]:
    """Return the objects as `make manifests` rendered them."""
    text = files("opskit.cluster").joinpath("manifests.yaml").read_text(encoding="utf-8")
    return list(yaml.safe_load_all(text))


def objects(values: Values) -> list[Resource]:
    """Return the objects for one cluster, in the order in which they are applied."""
    return [_filled(each, values) for each in rendered()]


def _filled(each: Resource, values: Values) -> Resource:
    each["metadata"]["namespace"] = values.namespace
    for subject in each.get("subjects", ()):
        subject["namespace"] = values.namespace
    match each["kind"], each["metadata"]["name"]:
        case "CronJob", _:
            for container in pod_spec(each)["containers"]:
                container["image"] = values.image
        case "ConfigMap", "opskit-config":
            each["data"]["opskit.yaml"] = yaml.safe_dump(_configuration(values), sort_keys=False)
        case "Role", "opskit-discovery":
            each["rules"] = _granted(each["rules"], {"secrets": values.secrets, "configmaps": values.config_maps})
        case "Role", "opskit-probe-proxy":
            each["rules"] = _granted(each["rules"], {"services": values.registries})
        case "Role", "opskit-restart":
            each["rules"] = _granted(each["rules"], {"deployments": values.registries})
        case "PrometheusRule", _ if values.runbooks:
            _link(each, values.runbooks)
    return each


def _granted(rules: list[dict[str, Any]], named: dict[str, Sequence[str]]) -> list[dict[str, Any]]:
    """Fill in the names that may be read; a rule without names goes, for it would grant all of the namespace."""
    filled = []
    for rule in rules:
        [plural] = rule["resources"]
        if plural not in named:
            filled.append(rule)
        elif named[plural]:
            filled.append(rule | {"resourceNames": sorted(named[plural])})
    return filled


def _link(rules: Resource, runbooks: str) -> None:
    for group in rules["spec"]["groups"]:
        for rule in group["rules"]:
            page = rule["annotations"]["runbook_url"].rpartition("/")[2]
            rule["annotations"]["runbook_url"] = f"{runbooks.rstrip('/')}/{page}"


def _configuration(values: Values) -> dict[str, Any]:
    discover: dict[str, Any] = {"namespace": values.namespace}
    if values.restore_user:
        discover["restore"] = {"user": values.restore_user, "password_file": "/etc/opskit/restore/password"}
    return {"storage": values.storage, "discover": discover}


def pod_spec(cronjob: Resource) -> dict[str, Any]:
    """Return the pod that a CronJob's Jobs start."""
    found: dict[str, Any] = cronjob["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


def path(each: Resource) -> str:
    """Return the path of an object in the API."""
    version = each["apiVersion"]
    root = "/api" if "/" not in version else "/apis"
    metadata = each["metadata"]
    return f"{root}/{version}/namespaces/{metadata['namespace']}/{_PLURALS[each['kind']]}/{metadata['name']}"


def title(each: Resource) -> str:
    """Return how an object is called: `CronJob opskit-backup`."""
    return f"{each['kind']} {each['metadata']['name']}"


def require_not_argo_cd_s(present: Sequence[Resource]) -> None:
    """Refuse what Argo CD keeps: it would undo every change, and call it drift until then."""
    owned = [
        title(each)
        for each in present
        if any(key in (each["metadata"].get(kind) or {}) for kind in ("labels", "annotations") for key in _ARGO_CD)
        or any(field["manager"].startswith("argocd") for field in each["metadata"].get("managedFields", ()))
    ]
    if owned:
        raise RefusedError(
            f"Argo CD owns {', '.join(owned)}",
            hint="change them where Argo CD reads them: an overlay of cronjobs/ in git",
        )


def require_ours(present: Sequence[Resource]) -> None:
    """Refuse what `install` has not applied: it may be an overlay's, by `kubectl apply -k`."""
    others = [
        title(each)
        for each in present
        if not any(field["manager"] == MANAGER for field in each["metadata"].get("managedFields", ()))
    ]
    if others:
        raise RefusedError(
            f"opskit has not installed {', '.join(others)}",
            hint="delete them the way they were brought: kubectl delete -k, of the overlay",
        )
