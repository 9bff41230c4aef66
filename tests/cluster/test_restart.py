"""A restart before a real API server, with the test in the place of the Deployment's controller."""

import json

import pytest

from opskit.errors import NotFoundError, UnavailableError
from opskit.kubernetes_api import KubernetesApi, connect
from opskit.registry.deployment import Deployment, require_restartable, restart
from sandbox.cluster import Cluster
from tests.cluster.conftest import Namespace


@pytest.fixture
def api(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> KubernetesApi:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    return connect()


def test_restart_changes_the_pods_template_as_kubectl_does_and_waits_for_the_rollout(
    namespace: Namespace, api: KubernetesApi
) -> None:
    deployment = Deployment(namespace.name, "distance-prediction")
    with pytest.raises(NotFoundError):
        require_restartable(api, deployment)
    namespace.kubectl("create", "deployment", deployment.name, "--image=registry.example.com/registry:1")
    require_restartable(api, deployment)
    with pytest.raises(UnavailableError, match="is not rolled out"):
        restart(api, deployment, 0)
    found = namespace.get(f"deployment/{deployment.name}")
    assert set(found["spec"]["template"]["metadata"]["annotations"]) == {"kubectl.kubernetes.io/restartedAt"}
    rolled_out = {
        "observedGeneration": found["metadata"]["generation"] + 1,
        "replicas": 1,
        "updatedReplicas": 1,
        "readyReplicas": 1,
        "availableReplicas": 1,
    }
    patch = json.dumps({"status": rolled_out})
    namespace.kubectl(
        "patch", f"deployment/{deployment.name}", "--subresource=status", "--type=merge", f"--patch={patch}"
    )
    assert restart(api, deployment, 60) < 60
