"""The registry's Deployment: its server caches the ids of types, which a swap may have changed."""

import contextlib
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from opskit.errors import DeniedError, RefusedError, UnavailableError, advise

if TYPE_CHECKING:
    from opskit.kubernetes_api import KubernetesApi, Resource

# What `kubectl rollout restart` sets.
_RESTARTED = "kubectl.kubernetes.io/restartedAt"
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Deployment:
    """A Deployment, by namespace and name."""

    namespace: str
    name: str

    @property
    def path(self) -> str:
        """Where the API has it."""
        return f"/apis/apps/v1/namespaces/{self.namespace}/deployments/{self.name}"

    @property
    def command(self) -> str:
        """The command that restarts it by hand."""
        return f"kubectl --namespace {self.namespace} rollout restart deployment/{self.name}"


def require_restartable(api: "KubernetesApi", deployment: Deployment) -> None:
    """Raise what a restart would meet: no such Deployment, no right to read it, or one that is paused."""
    with _rights_named(deployment):
        found = api.get(deployment.path)
    if found["spec"].get("paused"):
        raise RefusedError(
            f"deployment {deployment.namespace}/{deployment.name} is paused, so it cannot be restarted",
            hint=f"kubectl --namespace {deployment.namespace} rollout resume deployment/{deployment.name}",
        )


def restart(api: "KubernetesApi", deployment: Deployment, timeout_seconds: float) -> float:
    """Replace the pods, as `kubectl rollout restart` does, and return after how many seconds all are ready.

    `UnavailableError` when they are not in time, or when the cluster has given up.
    """
    started = time.monotonic()
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    annotated = {"spec": {"template": {"metadata": {"annotations": {_RESTARTED: now}}}}}
    with _rights_named(deployment):
        found = api.merge(deployment.path, annotated)
        while reason := _unfinished(found):
            given_up = _given_up(found)
            if given_up or time.monotonic() - started >= timeout_seconds:
                raise UnavailableError(
                    f"deployment {deployment.namespace}/{deployment.name} is not rolled out: {given_up or reason}",
                    hint=f"kubectl --namespace {deployment.namespace} rollout status deployment/{deployment.name}",
                )
            time.sleep(_POLL_SECONDS)
            found = api.get(deployment.path)
    return time.monotonic() - started


def _unfinished(found: "Resource") -> str | None:
    """Return what a rollout still waits for, by the same fields as `kubectl rollout status`."""
    status, wanted = found.get("status", {}), found["spec"].get("replicas", 1)
    updated = status.get("updatedReplicas", 0)
    if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
        return "the cluster has not seen the change yet"
    if updated < wanted:
        return f"{updated} of {wanted} pods are new"
    if status.get("replicas", 0) > updated:
        return f"{status['replicas'] - updated} old pods are still there"
    if status.get("availableReplicas", 0) < updated:
        return f"{status.get('availableReplicas', 0)} of {updated} new pods are ready"
    return None


def _given_up(found: "Resource") -> str | None:
    status = found.get("status", {})
    if status.get("observedGeneration", 0) < found["metadata"]["generation"]:
        return None  # what it says is of the rollout before
    for condition in status.get("conditions", []):
        if condition.get("reason") == "ProgressDeadlineExceeded":
            return str(condition.get("message") or condition["reason"])
    return None


@contextlib.contextmanager
def _rights_named(deployment: Deployment) -> Iterator[None]:
    try:
        yield
    except DeniedError as error:
        advise(
            error,
            f"a Role in {deployment.namespace} must allow get and patch on deployments.apps {deployment.name}",
        )
        raise
