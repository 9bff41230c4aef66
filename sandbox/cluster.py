"""A real Kubernetes API server with its controllers, without nodes: pods are made and admitted, none starts.

The convention is that of controller-runtime's envtest: `OPSKIT_TEST_KUBECONFIG` names a cluster that is there already,
else `KUBEBUILDER_ASSETS` a folder with the programs, else they are built from the Go module proxy and kept in the
cache. etcd is the archive's.
"""

import functools
import http.client
import json
import os
import secrets
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from sandbox import UnavailableSandboxError
from sandbox.archive import unpacked
from sandbox.cache import cached
from sandbox.golang import build_tools
from sandbox.kustomize import kubectl
from sandbox.process import Scratch, Service, answers, scratch

MODULE = Path(__file__).with_name("kubernetes")
CRDS = MODULE / "crds"
VERSION = "1.34.4"
BUILD_SECONDS = 2400
CONTROLLERS = "cronjob-controller,job-controller,serviceaccount-controller,garbage-collector-controller"


def build() -> Path:
    """Return the folder with kube-apiserver and kube-controller-manager, built when it is first asked for."""
    return cached(f"kubernetes-{VERSION}-{os.uname().machine}", _build)


def _build(folder: Path) -> None:
    major, minor, _ = VERSION.split(".")
    named = {"gitVersion": f"v{VERSION}", "gitMajor": major, "gitMinor": minor}
    linker = [f"-X k8s.io/component-base/version.{name}={value}" for name, value in named.items()]
    build_tools(MODULE, folder, linker=linker, seconds=BUILD_SECONDS)


@dataclass(frozen=True)
class Programs:
    """The servers of a control plane, and where they are from."""

    etcd: list[str]
    api_server: str
    controllers: str
    source: str


@functools.cache
def _programs() -> Programs:
    assets = os.environ.get("KUBEBUILDER_ASSETS")
    if assets:
        folder = Path(assets)
        # The archives of envtest have no controllers, without which no CronJob makes a Job.
        beside = folder if (folder / "kube-controller-manager").exists() else build()
        return Programs(
            [str(folder / "etcd")], str(folder / "kube-apiserver"), str(beside / "kube-controller-manager"), assets
        )
    found = unpacked("etcd-sid", ["etcd-server"], suite="sid")
    program = found.file("usr/bin/etcd")
    if program is None:
        raise UnavailableSandboxError(f"the package archive gave no etcd: {found.root}")
    folder = build()
    return Programs(
        found.command(program), str(folder / "kube-apiserver"), str(folder / "kube-controller-manager"), "the cache"
    )


@dataclass(frozen=True)
class Cluster:
    """An API server, and the kubeconfig of its administrator."""

    kubeconfig: Path
    source: str

    @property
    def version(self) -> str:
        """Ask the server for its version, such as `v1.34.4`."""
        version: str = json.loads(self.kubectl("version", "-o", "json"))["serverVersion"]["gitVersion"]
        return version

    def kubectl(self, *arguments: str, stdin: str | None = None, check: bool = True) -> str:
        """Run kubectl as the administrator and return what it says."""
        done = self.run(*arguments, stdin=stdin)
        if check and done.returncode:
            raise AssertionError(f"kubectl {' '.join(arguments)}: {done.stderr}")
        return done.stdout

    def run(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl as the administrator, whatever comes of it."""
        return subprocess.run(
            [kubectl(), f"--kubeconfig={self.kubeconfig}", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    def __str__(self) -> str:
        return f"Kubernetes {self.version} from {self.source}"


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Start etcd, an API server and the controllers of jobs, or use the cluster that is named."""
    given = os.environ.get("OPSKIT_TEST_KUBECONFIG")
    if given:
        yield Cluster(Path(given), given)
        return
    programs = _programs()
    with scratch("kubernetes") as place:
        store = Service(place, lambda port: [*programs.etcd, *_etcd_options(place, port)], answers)
        token = secrets.token_hex(16)
        _write_credentials(place.folder, token)
        server = Service(
            place,
            lambda port: [programs.api_server, *_server_options(place.folder, port, store.port)],
            lambda port: _ready(port, token),
        )
        kubeconfig = _write_kubeconfig(place.folder, server.port, token)
        place.start(
            [
                programs.controllers,
                f"--kubeconfig={kubeconfig}",
                f"--controllers={CONTROLLERS}",
                f"--service-account-private-key-file={place.folder / 'accounts.key'}",
                "--leader-elect=false",
                "--secure-port=0",
                # A CronJob's Job, and a Job's pod, at once.
                "--kube-api-qps=200",
                "--kube-api-burst=400",
            ],
            log="controllers.log",
        )
        yield Cluster(kubeconfig, programs.source)


def _etcd_options(place: Scratch, port: int) -> list[str]:
    return [
        f"--data-dir={place.folder / 'etcd'}",
        f"--listen-client-urls=http://127.0.0.1:{port}",
        f"--advertise-client-urls=http://127.0.0.1:{port}",
        "--listen-peer-urls=http://127.0.0.1:0",
        "--unsafe-no-fsync",
    ]


def _write_credentials(folder: Path, token: str) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "accounts.key").write_bytes(pem)
    (folder / "tokens.csv").write_text(f'{token},admin,admin,"system:masters"\n')


def _server_options(folder: Path, port: int, etcd_port: int) -> list[str]:
    return [
        f"--etcd-servers=http://127.0.0.1:{etcd_port}",
        "--bind-address=127.0.0.1",
        "--advertise-address=127.0.0.1",
        f"--secure-port={port}",
        f"--cert-dir={folder / 'certificates'}",
        "--service-cluster-ip-range=10.0.0.0/24",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={folder / 'accounts.key'}",
        f"--service-account-signing-key-file={folder / 'accounts.key'}",
        f"--token-auth-file={folder / 'tokens.csv'}",
        "--authorization-mode=RBAC",
        "--watch-cache=true",
    ]


def _ready(port: int, token: str) -> bool:
    # Its certificate is made as it starts, so there is nothing to verify it by yet; only its health is asked.
    connection = http.client.HTTPSConnection("127.0.0.1", port, timeout=5, context=ssl._create_unverified_context())  # noqa: S323, SLF001
    try:
        connection.request("GET", "/readyz", headers={"Authorization": f"Bearer {token}"})
        return connection.getresponse().status == http.HTTPStatus.OK
    except OSError:
        return False
    finally:
        connection.close()


def _write_kubeconfig(folder: Path, port: int, token: str) -> Path:
    path = folder / "kubeconfig"
    path.touch(mode=0o600)
    path.write_text(
        f"""\
apiVersion: v1
kind: Config
current-context: sandbox
clusters:
  - name: sandbox
    cluster: {{server: "https://127.0.0.1:{port}", certificate-authority: {folder / "certificates/apiserver.crt"}}}
users:
  - name: admin
    user: {{token: {token}}}
contexts:
  - name: sandbox
    context: {{cluster: sandbox, user: admin}}
"""
    )
    return path


if __name__ == "__main__":
    _programs()
