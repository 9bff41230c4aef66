import json
import secrets
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.cluster import Cluster
from sandbox.kustomize import Manifest
from tests.unit.command_line import environment, opskit_command
from tests.waiting import eventually

Opskit = Callable[..., "subprocess.CompletedProcess[str]"]


@dataclass(frozen=True)
class Namespace:
    """A namespace of a test's own, in which only what `restricted` allows is admitted."""

    name: str
    cluster: Cluster

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        return self.cluster.kubectl("-n", self.name, *arguments, stdin=stdin, check=check)

    def get(self, *what: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", *what, "-o", "json"))
        return found

    def items(self, *what: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = self.get(*what)["items"]
        return found

    def apply(self, manifests: list[Manifest]) -> None:
        """Apply objects on the server's side, every field of them known, in this namespace."""
        placed = [moved(each, self.name) for each in manifests]
        self.kubectl(
            "apply",
            "--server-side",
            "--validate=strict",
            "--field-manager=test",
            "-f-",
            stdin=yaml.safe_dump_all(placed),
        )


def moved(manifest: Manifest, namespace: str) -> Manifest:
    """The manifest in another namespace, its RoleBindings' accounts too."""
    placed = manifest | {"metadata": manifest["metadata"] | {"namespace": namespace}}
    if "subjects" in manifest:
        placed["subjects"] = [subject | {"namespace": namespace} for subject in manifest["subjects"]]
    return placed


@pytest.fixture
def namespaces(cluster: Cluster) -> Iterator[Callable[[], Namespace]]:
    made = []

    def create() -> Namespace:
        name = f"test-{secrets.token_hex(4)}"
        cluster.kubectl("create", "namespace", name)
        made.append(name)
        cluster.kubectl("label", "namespace", name, "pod-security.kubernetes.io/enforce=restricted")
        namespace = Namespace(name, cluster)
        eventually(lambda: namespace.items("serviceaccounts"), "the namespace has its default account")
        return namespace

    yield create
    for name in made:
        # There is no controller of namespaces here: CronJobs would go on.
        cluster.kubectl("-n", name, "delete", "cronjobs,jobs", "--all", "--wait=false")


@pytest.fixture
def namespace(namespaces: Callable[[], Namespace]) -> Namespace:
    return namespaces()


@pytest.fixture
def opskit(namespace: Namespace, tmp_path: Path) -> Opskit:
    """Run opskit as the cluster's administrator, in the test's namespace."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        group, command, *rest = arguments
        return subprocess.run(
            opskit_command(group, command, "--namespace", namespace.name, *rest),
            cwd=tmp_path,
            env=environment(KUBECONFIG=str(namespace.cluster.kubeconfig)),
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    return run
