"""The operator's layer before a real API server, with the custom resource's real fields."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from opskit.kubernetes_api import connect
from opskit.probe.operator import check
from opskit.probe.result import CheckResult, State
from tests.cluster.conftest import Namespace
from tests.integration.probe.conftest import result_of

pytestmark = pytest.mark.cluster
NAME = "distance-prediction"
WELL = {"Available": "True", "Degraded": "False", "OAuthProxyAvailable": "True"}
POD = {
    "apiVersion": "v1",
    "kind": "Pod",
    "metadata": {"name": "registry-0", "labels": {"app": NAME, "component": "model-registry"}},
    "spec": {
        "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        "containers": [
            {
                "name": "rest-container",
                "image": "example.com/rest:1",
                "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
            }
        ],
    },
}


def register(namespace: Namespace, conditions: dict[str, str]) -> None:
    """Make the ModelRegistry, and report conditions as the operator does."""
    namespace.kubectl(
        "create",
        "-f-",
        stdin=json.dumps(
            {
                "apiVersion": "modelregistry.opendatahub.io/v1beta1",
                "kind": "ModelRegistry",
                "metadata": {"name": NAME},
                "spec": {"mysql": {"host": "mysql", "username": "u", "database": "d"}},
            }
        ),
    )
    reported = [
        {
            "type": kind,
            "status": status,
            "reason": "DeploymentUnavailable" if status != WELL.get(kind) else "DeploymentAvailable",
            "message": "as reported",
            "lastTransitionTime": "2026-11-25T00:00:00Z",
        }
        for kind, status in conditions.items()
    ]
    patch(namespace, "modelregistries.modelregistry.opendatahub.io", NAME, {"conditions": reported})


def patch(namespace: Namespace, kind: str, name: str, status: dict[str, Any]) -> None:
    document = json.dumps({"status": status})
    namespace.kubectl("patch", kind, name, "--subresource=status", "--type=merge", "-p", document)


def run_pod(namespace: Namespace, **container: object) -> None:
    namespace.kubectl("create", "-f-", stdin=json.dumps(POD))
    status = {
        "name": "rest-container",
        "image": "x",
        "imageID": "x",
        "ready": True,
        "restartCount": 0,
        "state": {"running": {"startedAt": "2026-11-25T00:00:00Z"}},
    }
    patch(namespace, "pod", "registry-0", {"phase": "Running", "containerStatuses": [status | container]})


def probed(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> CheckResult:
    monkeypatch.setenv("KUBECONFIG", str(namespace.cluster.kubeconfig))
    return result_of(lambda: check(connect(), namespace.name, NAME, datetime.now(UTC)), layer="operator")


def test_available_registry_is_ok(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    register(namespace, WELL)
    run_pod(namespace)
    result = probed(namespace, monkeypatch)
    assert result.state is State.OK
    assert result.detail == "Available is True; Degraded is False; OAuthProxyAvailable is True; 0 restarts"


@pytest.mark.parametrize(
    ("changed", "words"),
    [
        ({"Available": "False"}, "Available is False (DeploymentUnavailable: as reported)"),
        ({"Degraded": "True"}, "Degraded is True"),
        ({"OAuthProxyAvailable": "False"}, "OAuthProxyAvailable is False"),
    ],
)
def test_condition_that_is_not_as_it_should_be_is_critical(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch, changed: dict[str, str], words: str
) -> None:
    register(namespace, WELL | changed)
    run_pod(namespace)
    result = probed(namespace, monkeypatch)
    assert result.state is State.CRITICAL
    assert words in result.detail


def test_registry_that_was_never_reported_and_has_no_pod_is_critical(
    namespace: Namespace, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(namespace, {})
    result = probed(namespace, monkeypatch)
    assert result.detail == "the operator has not reported yet; its Deployment has no pod"


def test_missing_registry_is_critical(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    result = probed(namespace, monkeypatch)
    assert result.state is State.CRITICAL
    assert result.detail == f"there is no ModelRegistry {NAME} in namespace {namespace.name}"


def test_restart_of_the_last_hour_is_a_warning(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    register(namespace, WELL)
    ended = (datetime.now(UTC) - timedelta(minutes=5)).strftime("%Y-%m-%dT%H:%M:%SZ")
    terminated = {"exitCode": 137, "reason": "OOMKilled", "startedAt": ended, "finishedAt": ended}
    run_pod(namespace, restartCount=3, lastState={"terminated": terminated})
    result = probed(namespace, monkeypatch)
    assert result.state is State.WARNING
    assert "3 restarts in all" in result.detail
    assert result.values["pod_restarts"] == 3


def test_crash_loop_is_critical(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    register(namespace, WELL)
    run_pod(namespace, restartCount=9, state={"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}})
    result = probed(namespace, monkeypatch)
    assert result.state is State.CRITICAL
    assert "crashes again and again, 9 restarts" in result.detail


def test_api_that_may_not_be_read_is_unknown(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> None:
    register(namespace, WELL)
    api = connect_as(namespace, monkeypatch)
    result = result_of(lambda: check(api, namespace.name, NAME, datetime.now(UTC)), layer="operator")
    assert result.state is State.UNKNOWN
    assert "modelregistry-viewer-role" in str(result.hint)


def connect_as(namespace: Namespace, monkeypatch: pytest.MonkeyPatch) -> Any:  # noqa: ANN401 - as connect() gives it
    """Connect as the namespace's default ServiceAccount, which may read nothing."""
    token = namespace.kubectl("create", "token", "default").strip()
    view = json.loads(namespace.cluster.kubectl("config", "view", "--raw", "-o", "json"))
    view["users"] = [{"name": each["name"], "user": {"token": token}} for each in view["users"]]
    file = namespace.cluster.kubeconfig.with_name(f"{namespace.name}.json")
    file.write_text(json.dumps(view))
    monkeypatch.setenv("KUBECONFIG", str(file))
    return connect()
