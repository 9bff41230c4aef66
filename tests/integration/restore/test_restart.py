"""A swap that restarts the registry: what is asked of the Kubernetes API, over a true socket."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from opskit.backup.manifest import Manifest
from opskit.mysql.connection import Endpoint
from opskit.restore.exchange import UNTOUCHED
from sandbox.server import Server
from tests.integration.restore.conftest import REGISTRY, CommandLine
from tests.integration.restore.databases import State, beside, content
from tests.wire import Answer, Request, Upstream, Wire, answer, recorded

NAMESPACE, NAME = "rhoai-model-registries", "distance-prediction"
PATH = f"/apis/apps/v1/namespaces/{NAMESPACE}/deployments/{NAME}"
ANNOTATION = "kubectl.kubernetes.io/restartedAt"


class Cluster:
    """One Deployment and its controller, which needs a look or two before it has replaced the pod."""

    def __init__(self, wire: Wire) -> None:
        self.wire = wire
        self.deployment: dict[str, Any] = {
            "apiVersion": "apps/v1",
            "kind": "Deployment",
            "metadata": {"name": NAME, "namespace": NAMESPACE, "generation": 4},
            "spec": {"replicas": 1, "template": {"metadata": {"annotations": {"kept": "as it is"}}}},
            "status": {
                "observedGeneration": 4,
                "replicas": 1,
                "updatedReplicas": 1,
                "availableReplicas": 1,
                "conditions": [{"type": "Progressing", "reason": "ProgressDeadlineExceeded", "message": "long ago"}],
            },
        }
        # What the status says, look by look, after the change.
        self.progress: list[dict[str, Any]] = [
            {},
            {"observedGeneration": 5, "replicas": 1, "updatedReplicas": 0, "availableReplicas": 1, "conditions": []},
            {"observedGeneration": 5, "replicas": 2, "updatedReplicas": 1, "availableReplicas": 1},
            {"observedGeneration": 5, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 0},
            {"observedGeneration": 5, "replicas": 1, "updatedReplicas": 1, "availableReplicas": 1},
        ]
        self.refusals: dict[str, int] = {}
        wire.answering = self.answer

    def answer(self, request: Request, upstream: Upstream) -> Answer:
        del upstream
        if request.method in self.refusals:
            status = self.refusals[request.method]
            return self._said(status, {"kind": "Status", "message": f"{request.method} is answered with {status}"})
        if request.path != PATH:
            return self._said(404, {"kind": "Status", "message": f"deployments.apps {request.path} not found"})
        if request.method == "PATCH":
            assert request.headers["Content-Type"] == "application/merge-patch+json"
            merge(self.deployment, json.loads(request.body))
            self.deployment["metadata"]["generation"] += 1
        elif self.changed and self.progress:
            self.deployment["status"] |= self.progress.pop(0)
        return self._said(200, self.deployment)

    def _said(self, status: int, document: dict[str, Any]) -> Answer:
        return answer(status, json.dumps(document), **{"Content-Type": "application/json"})

    @property
    def annotations(self) -> dict[str, str]:
        found: dict[str, str] = self.deployment["spec"]["template"]["metadata"]["annotations"]
        return found

    @property
    def changed(self) -> bool:
        return ANNOTATION in self.annotations

    @property
    def kubeconfig(self) -> dict[str, Any]:
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "c", "cluster": {"server": self.wire.endpoint}}],
            "users": [{"name": "u", "user": {"token": "a-token"}}],
            "contexts": [{"name": "x", "context": {"cluster": "c", "user": "u", "namespace": NAMESPACE}}],
            "current-context": "x",
        }


def merge(into: dict[str, Any], changes: dict[str, Any]) -> None:
    """Merge as RFC 7386 says, for what is sent here."""
    for key, value in changes.items():
        if isinstance(value, dict):
            merge(into.setdefault(key, {}), value)
        else:
            into[key] = value


@pytest.fixture
def cluster() -> Iterator[Cluster]:
    with recorded(0) as wire:
        yield Cluster(wire)


@pytest.fixture
def restarting(
    cluster: Cluster, source: Endpoint, database: str, manifest: Manifest, command_line: CommandLine, tmp_path: Path
) -> CommandLine:
    """Opskit for a registry whose Deployment is known and whose API server is the fake one."""
    del manifest
    kubeconfig = tmp_path / "kubeconfig"
    kubeconfig.write_text(json.dumps(cluster.kubeconfig))
    command_line.add(REGISTRY, source, database, deployment={"namespace": NAMESPACE, "name": NAME})
    command_line.variables["KUBECONFIG"] = str(kubeconfig)
    return command_line


@pytest.fixture
def saved(mysql: Server, database: str, manifest: Manifest) -> State:
    del manifest
    state = content(mysql, database)
    mysql.execute(f"DELETE FROM `{database}`.Artifact WHERE id % 2")
    return state


SWAP = ("restore", "run", "2", "--swap", "--yes", "--no-safety-backup")  # a prefix of the only backup's id


def test_swap_restarts_the_deployment_waits_for_it_and_probes(
    mysql: Server, database: str, saved: State, cluster: Cluster, restarting: CommandLine
) -> None:
    ended = restarting.run(*SWAP, "--restart", "--json")
    assert ended.returncode == 0, ended.stderr
    assert content(mysql, database) == saved
    document = json.loads(ended.stdout)
    assert document["restart"]["deployment"] == f"{NAMESPACE}/{NAME}"
    assert (document["restart"]["error"], document["restart"]["results"][0]["layer"]) == (None, "mysql")
    assert set(cluster.annotations) == {"kept", ANNOTATION}
    assert cluster.progress == []
    assert [each.method for each in cluster.wire.requests] == ["GET", "PATCH", *["GET"] * 5]
    assert {each.headers["Authorization"] for each in cluster.wire.requests} == {"Bearer a-token"}


def test_rollback_restarts_as_well(
    mysql: Server, database: str, saved: State, cluster: Cluster, restarting: CommandLine
) -> None:
    damaged = content(mysql, database)
    told = restarting.run(*SWAP)
    assert f"kubectl --namespace {NAMESPACE} rollout restart deployment/{NAME}" in told.stdout
    assert cluster.wire.requests == []
    ended = restarting.run("restore", "rollback", "--yes", "--restart")
    assert ended.returncode == 0, ended.stderr
    assert "was restarted in" in ended.stdout
    assert "probe: mysql ok" in ended.stdout
    assert content(mysql, database) == damaged != saved


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"refusals": {"GET": 403}}, 77, "get and patch on deployments.apps"),
        ({"refusals": {"GET": 404}}, 66, "404"),
        ({"refusals": {"GET": 503}}, 69, "503"),
        ({"paused": True}, 73, "rollout resume"),
    ],
)
def test_what_stands_in_the_way_of_a_restart_is_found_before_the_swap(
    change: dict[str, Any],
    code: int,
    said: str,
    mysql: Server,
    database: str,
    cluster: Cluster,
    restarting: CommandLine,
) -> None:
    live = content(mysql, database)
    cluster.refusals = change.get("refusals", {})
    cluster.deployment["spec"]["paused"] = change.get("paused", False)
    ended = restarting.run(*SWAP, "--restart")
    assert (ended.returncode, said in ended.stderr) == (code, True), ended.stderr
    assert ended.stderr.splitlines()[-1].endswith(UNTOUCHED)
    assert (content(mysql, database), beside(mysql, database)) == (live, [])
    assert not cluster.changed


@pytest.mark.parametrize(
    ("change", "code", "said"),
    [
        ({"progress": [{"observedGeneration": 5, "updatedReplicas": 0, "conditions": []}]}, 69, "0 of 1 pods are new"),
        (
            {
                "progress": [
                    {
                        "observedGeneration": 5,
                        "updatedReplicas": 0,
                        "conditions": [{"reason": "ProgressDeadlineExceeded", "message": "the image is missing"}],
                    }
                ]
            },
            69,
            "the image is missing",
        ),
        ({"refusals": {"PATCH": 403}}, 77, "get and patch on deployments.apps"),
    ],
)
def test_swap_stands_when_the_restart_fails_and_both_are_told(
    change: dict[str, Any],
    code: int,
    said: str,
    mysql: Server,
    database: str,
    saved: State,
    cluster: Cluster,
    restarting: CommandLine,
) -> None:
    cluster.progress = change.get("progress", [])
    cluster.refusals = change.get("refusals", {})
    ended = restarting.run(*SWAP, "--restart", "--restart-timeout", "2s")
    assert ended.returncode == code, ended.stderr
    assert content(mysql, database) == saved
    assert "swapped: " in ended.stdout
    assert said in ended.stdout


def test_registry_that_does_not_answer_after_the_restart_is_a_finding(
    cluster: Cluster, restarting: CommandLine, saved: State, mysql: Server, database: str
) -> None:
    cluster.progress = cluster.progress[-1:]
    restarting.document["registries"][0]["rest"] = {"url": f"{cluster.wire.endpoint}/nobody-here"}
    ended = restarting.run(*SWAP, "--restart", "--restart-timeout", "3s")
    assert ended.returncode == 1, ended.stderr
    assert "rest critical" in ended.stdout
    assert content(mysql, database) == saved


def test_restart_of_an_unknown_deployment_is_78_before_the_swap(
    mysql: Server, source: Endpoint, database: str, manifest: Manifest, command_line: CommandLine
) -> None:
    command_line.add(REGISTRY, source, database)
    live = content(mysql, database)
    ended = command_line.run("restore", "run", manifest.id, "--swap", "--yes", "--restart")
    assert (ended.returncode, "registries.deployment" in ended.stderr) == (78, True)
    assert (content(mysql, database), beside(mysql, database)) == (live, [])


def test_command_without_a_cluster_is_78(restarting: CommandLine) -> None:
    restarting.variables["KUBECONFIG"] = "/nowhere/kubeconfig"
    ended = restarting.run(*SWAP, "--restart")
    assert (ended.returncode, "kubeconfig" in ended.stderr) == (78, True)
