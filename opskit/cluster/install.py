"""Bring opskit's objects into a namespace, and take them away again."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from opskit.cluster.objects import (
    MANAGER,
    objects,
    path,
    pod_spec,
    rendered,
    require_not_argo_cd_s,
    require_ours,
    title,
)
from opskit.cluster.objects import Values as Values  # noqa: PLC0414 - part of what `install` takes
from opskit.errors import NotFoundError, RefusedError
from opskit.kubernetes_api import KubernetesApi, Resource
from opskit.registry.discovery import effective_spec, names_referred_to, resources

# The server's own bookkeeping says nothing about a change.
_BOOKKEEPING: Final = ("managedFields", "resourceVersion", "generation", "uid", "creationTimestamp")


@dataclass(frozen=True, slots=True)
class Applied:
    """One object, and what became of it: created, changed, unchanged or skipped (its kind is not known there)."""

    kind: str
    name: str
    outcome: str


@dataclass(frozen=True, slots=True)
class Referred:
    """What the registries of a namespace are called, and the Secrets and ConfigMaps that they name."""

    registries: tuple[str, ...]
    secrets: tuple[str, ...]
    config_maps: tuple[str, ...]


def referred(api: KubernetesApi, namespace: str) -> Referred:
    """Read the ModelRegistry resources of a namespace; PostgreSQL ones are left out."""
    names, secrets, config_maps = [], set(), set()
    for resource in resources(api, namespace):
        mysql = effective_spec(resource).get("mysql")
        if mysql:
            names.append(resource["metadata"]["name"])
            more_secrets, more_maps = names_referred_to(mysql)
            secrets |= set(more_secrets)
            config_maps |= set(more_maps)
    return Referred(tuple(sorted(names)), tuple(sorted(secrets)), tuple(sorted(config_maps)))


def install(api: KubernetesApi, values: Values, *, dry_run: bool) -> list[Applied]:
    """Apply every object by server-side apply, or let the server only say what it would do.

    Raises `RefusedError`, before anything is changed, where Argo CD owns an object; a field that somebody else set is
    a conflict, never forced.
    """
    wanted = objects(values)
    present = {title(each): found for each in wanted if (found := _present(api, each))}
    require_not_argo_cd_s(list(present.values()))
    return [_apply(api, each, present.get(title(each)), dry_run=dry_run) for each in wanted]


def uninstall(api: KubernetesApi, namespace: str, *, dry_run: bool) -> list[str]:
    """Delete the objects that `install` makes, and nothing else: no Secret, no backup, no namespace.

    Raises `RefusedError`, before anything is deleted, where somebody else applied one of them, or while a restore runs.
    """
    wanted = [each | {"metadata": each["metadata"] | {"namespace": namespace}} for each in rendered()]
    present = [found for each in wanted if (found := _present(api, each))]
    require_not_argo_cd_s(present)
    require_ours(present)
    if not dry_run:
        _require_no_restore(api, namespace)
        # Jobs first: a CronJob must not start with half of its rights.
        for each in sorted(present, key=lambda each: each["kind"] != "CronJob"):
            api.delete(path(each))
    return [title(each) for each in present]


def _require_no_restore(api: KubernetesApi, namespace: str) -> None:
    """Refuse to end a restore: its Jobs belong to the CronJob, and go with it."""
    for job in api.list(f"/apis/batch/v1/namespaces/{namespace}/jobs"):
        metadata = job["metadata"]
        restores = any(owner["name"] == "opskit-restore" for owner in metadata.get("ownerReferences", ()))
        if restores and job.get("status", {}).get("active"):
            raise RefusedError(f"the restore {metadata['name']} runs", hint="wait for its end, or delete that Job")


def absent_secrets(api: KubernetesApi, namespace: str, names: Sequence[str]) -> list[str]:
    """Return which of these Secrets are not there; their values are not asked for."""
    return [name for name in names if not api.exists(f"/api/v1/namespaces/{namespace}/secrets/{name}")]


def secrets_of(cronjobs: Sequence[Resource]) -> list[str]:
    """Return the names of the Secrets that pods of these CronJobs mount or take variables from."""
    return sorted({name for cronjob in cronjobs for name in _secret_names(pod_spec(cronjob))})


def _secret_names(pod: dict[str, Any]) -> Iterator[str]:
    for volume in pod.get("volumes", ()):
        if "secret" in volume:
            yield volume["secret"]["secretName"]
    for container in pod["containers"]:
        for source in container.get("envFrom", ()):
            if "secretRef" in source:
                yield source["secretRef"]["name"]


def _present(api: KubernetesApi, each: Resource) -> Resource | None:
    try:
        return api.get(path(each))
    except NotFoundError:
        return None


def _apply(api: KubernetesApi, each: Resource, before: Resource | None, *, dry_run: bool) -> Applied:
    kind, name = each["kind"], each["metadata"]["name"]
    try:
        after = api.apply(path(each), each, manager=MANAGER, dry_run=dry_run)
    except NotFoundError:
        if kind != "PrometheusRule":  # a namespace that is not there
            raise
        return Applied(kind, name, "skipped: the cluster has no Prometheus operator")
    if before is None:
        return Applied(kind, name, "created")
    return Applied(kind, name, "unchanged" if _comparable(before) == _comparable(after) else "changed")


def _comparable(each: Resource) -> Resource:
    metadata = {key: value for key, value in each["metadata"].items() if key not in _BOOKKEEPING}
    return {key: value for key, value in each.items() if key != "status"} | {"metadata": metadata}
