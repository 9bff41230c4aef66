"""Registries discovered from ModelRegistry resources, before a real API server."""

import base64
import json
import logging
import os
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from opskit.cluster.install import referred
from opskit.errors import DeniedError, NotFoundError
from opskit.kubernetes_api import KubernetesApi, connect
from opskit.registry.custom_resource import GROUP
from opskit.registry.discovery import Discovery, Found, discover, resources
from opskit.registry.platform import registries_namespace
from opskit.settings.endpoints import Deployment
from opskit.settings.model import Discover
from sandbox.cluster import Cluster
from sandbox.kustomize import build_with
from sandbox.registry import Shape, generate
from sandbox.server import Server
from tests.cluster.conftest import Namespace
from tests.unit.command_line import environment, opskit_command
from tests.waiting import eventually

PASSWORD = "correct-horse/battery@staple"


@pytest.fixture
def api(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> KubernetesApi:
    monkeypatch.setenv("KUBECONFIG", str(cluster.kubeconfig))
    return connect()


class Registries:
    """ModelRegistry resources in a namespace, and what they refer to."""

    def __init__(self, namespace: Namespace) -> None:
        self.namespace = namespace

    def add(self, name: str, *, status: dict[str, Any] | None = None, **spec: object) -> None:
        manifest = {
            "apiVersion": f"{GROUP}/v1beta1",
            "kind": "ModelRegistry",
            "metadata": {"name": name, "annotations": {"openshift.io/display-name": f"The {name}"}},
            "spec": spec,
        }
        self.namespace.kubectl("create", "-f-", stdin=yaml.safe_dump(manifest))
        if status:
            self.namespace.kubectl(
                "patch",
                f"modelregistries.{GROUP}",
                name,
                "--subresource=status",
                "--type=merge",
                "-p",
                json.dumps({"status": status}),
            )

    def secret(self, name: str, **data: str) -> None:
        encoded = {key.replace("_", "-"): base64.b64encode(value.encode()).decode() for key, value in data.items()}
        self._create("Secret", name, encoded)

    def config_map(self, name: str, data: dict[str, str]) -> None:
        self._create("ConfigMap", name, data)

    def _create(self, kind: str, name: str, data: dict[str, str]) -> None:
        manifest = {"apiVersion": "v1", "kind": kind, "metadata": {"name": name}, "data": data}
        self.namespace.kubectl("create", "-f-", stdin=yaml.safe_dump(manifest))


@pytest.fixture
def registries(namespace: Namespace) -> Registries:
    return Registries(namespace)


def mysql(**fields: object) -> dict[str, Any]:
    return {
        "host": "mysql",
        "username": "registryuser",
        "database": "modelregistry",
        "passwordSecret": {"name": "db", "key": "database-password"},
    } | fields


@pytest.fixture
def look(api: KubernetesApi, namespace: Namespace, tmp_path: Path) -> Callable[[], Discovery]:
    return lambda: discover(api, Discover(namespace=namespace.name), tmp_path)


def only(discovery: Discovery) -> Found:
    assert discovery.unreadable == ()
    [found] = discovery.found
    return found


def test_fields_of_the_resource_become_the_connection(registries: Registries, look: Callable[[], Discovery]) -> None:
    registries.secret("db", database_password=PASSWORD)
    registries.add("distance-prediction", mysql=mysql(port=3307))
    found = only(look())
    assert found.registry.name == "distance-prediction"
    database = found.registry.mysql
    assert (database.host, database.port) == (f"mysql.{registries.namespace.name}.svc.cluster.local", 3307)
    assert (database.database, database.user, database.read_password()) == ("modelregistry", "registryuser", PASSWORD)
    assert database.tls.mode == "required"
    assert found.registry.deployment == Deployment(namespace=registries.namespace.name, name="distance-prediction")
    assert PASSWORD not in repr(found)
    assert found.secrets == ("db",)


def test_host_with_a_dot_is_taken_as_it_is(registries: Registries, look: Callable[[], Discovery]) -> None:
    registries.secret("db", database_password=PASSWORD)
    registries.add("a", mysql=mysql(host="mysql.distance-prediction.svc.cluster.local"))
    assert only(look()).registry.mysql.host == "mysql.distance-prediction.svc.cluster.local"


@pytest.mark.parametrize(("verify", "mode"), [(None, "verify_ca"), (False, "verify_ca"), (True, "verify_identity")])
def test_certificate_is_verified_by_the_registry_s_ca(
    verify: bool | None,  # noqa: FBT001 - pytest's
    mode: str,
    registries: Registries,
    look: Callable[[], Discovery],
) -> None:
    registries.secret("db", database_password=PASSWORD)
    registries.config_map("db-credential", {"ca.crt": "-- the CA --"})
    reference = {"name": "db-credential", "key": "ca.crt"}
    fields = {} if verify is None else {"verifyServerCert": verify}
    registries.add("a", mysql=mysql(sslRootCertificateConfigMap=reference, **fields))
    found = only(look())
    tls = found.registry.mysql.tls
    assert tls.ca_file is not None
    assert (tls.mode, tls.ca_file.read_text()) == (mode, "-- the CA --")
    assert found.config_maps == ("db-credential",)


def test_every_certificate_of_a_bundle_is_trusted(registries: Registries, look: Callable[[], Discovery]) -> None:
    registries.secret("db", database_password=PASSWORD)
    registries.config_map("bundle", {"a.crt": "one", "b.crt": "two"})
    registries.add("a", mysql=mysql(sslRootCertificatesConfigMapName="bundle"))
    ca_file = only(look()).registry.mysql.tls.ca_file
    assert ca_file is not None
    assert ca_file.read_text().split() == ["one", "two"]


def test_client_s_certificate_is_shown_as_the_registry_does_and_its_key_is_nobody_else_s_to_read(
    api: KubernetesApi, registries: Registries, look: Callable[[], Discovery]
) -> None:
    registries.secret("db", database_password=PASSWORD)
    registries.secret("client", **{"tls.crt": "-- certificate --"})
    registries.secret("client-key", **{"tls.key": "-- key --"})
    client = {
        "sslCertificateSecret": {"name": "client", "key": "tls.crt"},
        "sslKeySecret": {"name": "client-key", "key": "tls.key"},
    }
    registries.add("a", mysql=mysql(**client))
    found = only(look())
    tls = found.registry.mysql.tls
    assert tls.mode == "required"
    assert tls.certificate_file is not None
    assert tls.key_file is not None
    assert (tls.certificate_file.read_text(), tls.key_file.read_text()) == ("-- certificate --", "-- key --")
    assert stat.S_IMODE(tls.key_file.stat().st_mode) == 0o600
    assert found.secrets == ("client", "client-key", "db")
    assert referred(api, registries.namespace.name).secrets == ("client", "client-key", "db")


def test_operator_s_defaults_are_merged_over_the_spec(registries: Registries, look: Callable[[], Discovery]) -> None:
    registries.secret("db", database_password=PASSWORD)
    defaults = json.dumps({"mysql": {"port": 3310}, "oauthProxy": {"domain": "apps.example.com", "image": None}})
    registries.add("a", mysql=mysql(), oauthProxy={"image": "x"}, status={"specDefaults": defaults})
    registry = only(look()).registry
    assert registry.mysql.port == 3310
    assert registry.proxy is not None
    assert registry.proxy.url == "https://a-rest.apps.example.com:443"


def test_postgres_is_skipped_with_a_notice(
    registries: Registries, look: Callable[[], Discovery], caplog: pytest.LogCaptureFixture
) -> None:
    registries.secret("db", database_password=PASSWORD)
    registries.add("old", mysql=mysql())
    registries.add("new", postgres={"database": "x", "host": "postgres"})
    with caplog.at_level(logging.WARNING):
        found = look()
    assert (only(found).registry.name, found.postgres) == ("old", ("new",))
    assert "new is a PostgreSQL registry" in caplog.text


def test_registry_that_cannot_be_read_does_not_stop_the_others(
    registries: Registries, look: Callable[[], Discovery]
) -> None:
    registries.secret("db", database_password=PASSWORD)
    registries.secret("other", wrong_key="x")
    registries.add("absent", mysql=mysql(passwordSecret={"name": "nowhere", "key": "database-password"}))
    registries.add("broken", mysql=mysql(), status={"specDefaults": "{"})
    registries.add("good", mysql=mysql())
    registries.add("keyless", mysql=mysql(passwordSecret={"name": "other", "key": "database-password"}))
    elsewhere = "../../kube-system/secrets/other"
    registries.add("straying", mysql=mysql(passwordSecret={"name": elsewhere, "key": "database-password"}))
    found = look()
    assert [each.registry.name for each in found.found] == ["good"]
    errors = {name: str(error) for name, error in found.unreadable}
    assert errors.keys() == {"absent", "broken", "keyless", "straying"}
    assert errors["straying"] == f"{elsewhere!r} is no name of a Secret or ConfigMap"
    assert '"nowhere" not found' in errors["absent"]
    assert errors["broken"] == "status.specDefaults is not JSON"
    assert errors["keyless"] == "secrets/other has no key 'database-password'"


@pytest.fixture
def as_backup(registries: Registries, cluster: Cluster, tmp_path: Path) -> Path:
    """The kubeconfig of the account opskit-backup, whose rights are those of the component discovery."""
    namespace = registries.namespace
    namespace.apply(
        [each for each in build_with("discovery") if each["kind"] in ("ServiceAccount", "Role", "RoleBinding")]
    )
    config = yaml.safe_load(cluster.kubeconfig.read_text())
    token = namespace.kubectl("create", "token", "opskit-backup").strip()
    config["users"] = [{"name": "admin", "user": {"token": token}}]
    path = tmp_path / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def test_secret_that_was_not_granted_is_reported_by_name(
    as_backup: Path, registries: Registries, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    registries.secret("model-registry-db", database_password=PASSWORD)
    registries.secret("private", database_password="x")
    registries.add("granted", mysql=mysql(passwordSecret={"name": "model-registry-db", "key": "database-password"}))
    registries.add("greedy", mysql=mysql(passwordSecret={"name": "private", "key": "database-password"}))
    monkeypatch.setenv("KUBECONFIG", str(as_backup))
    found = discover(connect(), Discover(namespace=registries.namespace.name), tmp_path)
    assert [each.registry.name for each in found.found] == ["granted"]
    [(name, error)] = found.unreadable
    assert (name, type(error)) == ("greedy", DeniedError)
    assert str(error) == "secrets/private may not be read, but its resource names it"


def test_platform_s_singleton_of_the_same_kind_is_no_registry(
    cluster: Cluster, registries: Registries, look: Callable[[], Discovery]
) -> None:
    singleton = {
        "apiVersion": "components.platform.opendatahub.io/v1alpha1",
        "kind": "ModelRegistry",
        "metadata": {"name": "default-modelregistry"},
        "spec": {"registriesNamespace": registries.namespace.name},
    }
    cluster.kubectl("apply", "--server-side", "-f-", stdin=yaml.safe_dump(singleton))
    assert look() == Discovery()


def test_cluster_that_serves_v1alpha1_only_is_read_all_the_same(
    api: KubernetesApi, cluster: Cluster, registries: Registries
) -> None:
    registries.secret("db", database_password=PASSWORD)
    registries.add("a", mysql=mysql())
    crd = f"modelregistries.{GROUP}"

    def beta_is_served() -> bool:
        try:
            api.list(f"/apis/{GROUP}/v1beta1/namespaces/{registries.namespace.name}/modelregistries")
        except NotFoundError:
            return False
        return True

    def serve(*, beta: bool) -> None:
        change = [{"op": "replace", "path": "/spec/versions/0/served", "value": beta}]
        cluster.kubectl("patch", "crd", crd, "--type=json", "-p", json.dumps(change))
        # The API server takes the change to heart a moment later.
        eventually(lambda: beta_is_served() == beta, f"v1beta1 is served: {beta}")

    serve(beta=False)
    try:
        [found] = resources(api, registries.namespace.name)
    finally:
        serve(beta=True)
    assert (found["apiVersion"], found["spec"]["mysql"]["host"]) == (f"{GROUP}/v1alpha1", "mysql")


# Where registries are


@pytest.fixture
def no_singleton(cluster: Cluster) -> Iterator[None]:
    """The platform's resources belong to the whole cluster: none is there before, and none is left."""
    components = "components.platform.opendatahub.io"
    kinds = f"datascienceclusters.datasciencecluster.opendatahub.io,aihubs.{components},modelregistries.{components}"
    for when in ("before", "after"):
        cluster.kubectl("delete", kinds, "--all")
        if when == "before":
            yield


COMPONENTS = "components.platform.opendatahub.io/v1alpha1"
IN_CLUSTER = {"components": {"modelregistry": {"registriesNamespace": "registries"}}}


@pytest.mark.usefixtures("no_singleton")
@pytest.mark.parametrize(
    ("version", "kind", "fields"),
    [
        ("datasciencecluster.opendatahub.io/v1", "DataScienceCluster", {"status": IN_CLUSTER}),
        ("datasciencecluster.opendatahub.io/v1", "DataScienceCluster", {"spec": IN_CLUSTER}),
        (COMPONENTS, "ModelRegistry", {"spec": {"registriesNamespace": "registries"}}),
        (COMPONENTS, "AIHub", {"spec": {"instancesNamespace": "registries"}}),
    ],
)
def test_platform_tells_where_registries_are(
    version: str, kind: str, fields: dict[str, Any], api: KubernetesApi, cluster: Cluster
) -> None:
    assert registries_namespace(api) is None
    resource = {"apiVersion": version, "kind": kind, "metadata": {"name": "default"}} | fields
    cluster.kubectl("create", "-f-", stdin=json.dumps(resource))
    assert registries_namespace(api) == "registries"


# The whole way


def run(kubeconfig: Path, *arguments: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    environ = environment(KUBECONFIG=str(kubeconfig))
    return subprocess.run(
        opskit_command(*arguments), cwd=cwd, env=environ, capture_output=True, text=True, check=False, timeout=120
    )


def test_discovered_registry_is_backed_up_with_its_resource(
    as_backup: Path, registries: Registries, mysql: Server, database: str, tmp_path: Path
) -> None:
    with mysql.connect(database=database) as connection:
        generate(connection, Shape("embedmd", models=3))
    host = {"host": mysql.host, "port": mysql.port, "username": mysql.user, "database": database}
    reference = {"name": "model-registry-db", "key": "database-password"}
    registries.secret("model-registry-db", database_password=mysql.password)
    registries.add("a", mysql=host | {"passwordSecret": reference})
    registries.add("greedy", mysql=host | {"passwordSecret": {"name": "private", "key": "x"}})
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "registry-user-a"}
    binding = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "RoleBinding",
        "metadata": {"name": "a-users"},
        "roleRef": role,
        "subjects": [{"kind": "Group", "name": "a-users", "apiGroup": "rbac.authorization.k8s.io"}],
    }
    registries.namespace.kubectl("create", "-f-", stdin=yaml.safe_dump(binding))
    key = Ed25519PrivateKey.generate()
    (tmp_path / "key.pem").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    trusted = base64.b64encode(key.public_key().public_bytes_raw()).decode()
    config = {
        "storage": {"url": f"file://{tmp_path}/backups"},
        "discover": {"namespace": registries.namespace.name},
        "signing": {"key_file": str(tmp_path / "key.pem"), "trusted_keys": [trusted]},
    }
    (tmp_path / "opskit.yaml").write_text(yaml.safe_dump(config))

    done = run(as_backup, "backup", "create", "--config", "opskit.yaml", cwd=tmp_path)
    # The one that cannot be read is said and decides the exit code; the other is backed up.
    assert done.returncode == 77, done.stderr
    assert "secrets/private may not be read" in done.stderr
    [manifest] = (tmp_path / "backups" / "a").glob("*/manifest.json")
    kept = json.loads((manifest.parent / "resource.json").read_text())
    assert (kept["secrets"], kept["role_bindings"]) == (["model-registry-db"], ["a-users"])
    assert kept["resource"]["metadata"]["annotations"] == {"openshift.io/display-name": "The a"}
    for path in (tmp_path / "backups").rglob("*"):
        assert path.is_dir() or mysql.password.encode() not in path.read_bytes()

    # It is not left out where health is asked for either.
    watched = run(as_backup, "probe", "--only", "backup", "--format", "nagios", "--config", "opskit.yaml", cwd=tmp_path)
    assert (watched.returncode, watched.stdout[:14]) == (3, "OPSKIT UNKNOWN"), watched.stdout
    assert "greedy backup: secrets/private may not be read" in watched.stdout
    reported = run(as_backup, "report", "--html", "page.html", "--config", "opskit.yaml", cwd=tmp_path)
    assert reported.returncode == 77
    assert "secrets/private may not be read" in (tmp_path / "page.html").read_text()

    # A lost namespace: nothing is discovered any more, the backup still tells, and only what was signed.
    shown = run(as_backup, "backup", "resource", "--registry", "a", "--config", "opskit.yaml", cwd=tmp_path)
    assert shown.returncode == 0, shown.stderr
    assert "# needs Secret model-registry-db" in shown.stdout
    (manifest.parent / "resource.json.sig").unlink()
    unsigned = run(as_backup, "backup", "resource", "--registry", "a", "--config", "opskit.yaml", cwd=tmp_path)
    assert (unsigned.returncode, unsigned.stdout) == (65, "")
    registries.namespace.kubectl("delete", f"modelregistries.{GROUP}", "a")
    registries.namespace.kubectl("create", "-f-", stdin=shown.stdout)
    assert run(as_backup, "backup", "check", "--config", "opskit.yaml", cwd=tmp_path).returncode == 77


def test_outside_a_cluster_discovery_says_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "opskit.yaml").write_text("discover: {namespace: x}\nstorage: {url: ./backups}\n")
    done = run(Path(os.devnull), "backup", "list", "--config", "opskit.yaml", cwd=tmp_path)
    assert done.returncode == 78
    assert "no cluster is configured" in done.stderr
