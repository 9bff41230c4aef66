"""What the registry's operator says in the custom resource, and how its pods do."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from opskit.errors import DeniedError, NotFoundError
from opskit.kubernetes_api import KubernetesApi, Resource
from opskit.probe.result import Finding, State
from opskit.registry.custom_resource import GROUP, VERSIONS

# Each must be as it says; others, such as Progressing, come and go.
_WANTED = {
    "Available": "True",
    "Degraded": "False",
    "OAuthProxyAvailable": "True",
    "KubeRBACProxyAvailable": "True",
}
_RECENT = timedelta(hours=1)
_HINT = "bind opskit's ServiceAccount to the ClusterRole modelregistry-viewer-role"


def check(api: KubernetesApi, namespace: str, name: str, now: datetime) -> Iterator[Finding]:
    """Read the ModelRegistry and the pods of its Deployment, as far as the API may be read."""
    try:
        resource = _model_registry(api, namespace, name)
    except DeniedError as error:
        yield Finding(State.UNKNOWN, error.message, _HINT)
        return
    yield from _conditions(resource)
    try:
        pods = api.list(f"/api/v1/namespaces/{namespace}/pods", label_selector=f"app={name},component=model-registry")
    except DeniedError:
        yield Finding(State.NOT_APPLICABLE, "restarts are not counted: pods may not be listed")
        return
    yield _restarts(pods, now)


def _model_registry(api: KubernetesApi, namespace: str, name: str) -> Resource:
    for version in VERSIONS:
        path = f"/apis/{GROUP}/{version}/namespaces/{namespace}/modelregistries/{name}"
        try:
            return api.get(path)
        except NotFoundError as error:
            missing = error
    raise NotFoundError(
        f"there is no ModelRegistry {name} in namespace {namespace}", hint="look at registries.deployment"
    ) from missing


def _conditions(resource: Resource) -> Iterator[Finding]:
    conditions = {each.get("type"): each for each in resource.get("status", {}).get("conditions", ())}
    if "Available" not in conditions:
        yield Finding(State.CRITICAL, "the operator has not reported yet", "look at the operator's log")
    for kind, wanted in _WANTED.items():
        condition = conditions.get(kind)
        if condition is None:
            continue
        if condition.get("status") == wanted:
            yield Finding(State.OK, f"{kind} is {wanted}")
        else:
            said = ": ".join(str(condition[key]) for key in ("reason", "message") if condition.get(key))
            yield Finding(
                State.CRITICAL,
                f"{kind} is {condition.get('status')}{f' ({said})' if said else ''}",
                "kubectl describe modelregistry, and the log of its pod",
            )


def _restarts(pods: list[Resource], now: datetime) -> Finding:
    if not pods:
        return Finding(State.CRITICAL, "its Deployment has no pod", "kubectl describe deployment")
    containers = [each for pod in pods for each in pod.get("status", {}).get("containerStatuses", ())]
    restarts = sum(int(each.get("restartCount", 0)) for each in containers)
    values = {"pod_restarts": restarts}
    waiting = {each.get("state", {}).get("waiting", {}).get("reason") for each in containers}
    if "CrashLoopBackOff" in waiting:
        return Finding(
            State.CRITICAL,
            f"a container crashes again and again, {restarts} restarts",
            "look at its log",
            values=values,
        )
    recent = [moment for each in containers if (moment := _ended(each)) is not None and now - moment < _RECENT]
    if recent:
        return Finding(
            State.WARNING,
            f"a container was restarted at {max(recent):%H:%M} UTC, {restarts} restarts in all",
            "read its log with --previous",
            values=values,
        )
    return Finding(State.OK, f"{restarts} restarts", values=values)


def _ended(container: Resource) -> datetime | None:
    """Return when the container before this one ended."""
    text = container.get("lastState", {}).get("terminated", {}).get("finishedAt")
    return datetime.fromisoformat(text) if text else None
