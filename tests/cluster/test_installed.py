"""From nothing to a first backup: two commands, and a pod in the built image with the rights of its account."""

import base64
import json
import threading
from pathlib import Path
from urllib.parse import urlsplit

import yaml

from sandbox.image import Image
from sandbox.registry import Shape, generate
from sandbox.s3 import S3Server
from sandbox.server import Server
from tests.cluster.conftest import Namespace, Opskit
from tests.cluster.test_api_server import end_pod, pod_by_hand
from tests.cluster.test_discovery import Registries
from tests.pods import Surroundings, ended


def kubelet(namespace: Namespace, image: Image, folder: Path) -> None:
    """Run the pod of a backup by hand: its one container, with what the API server says that it mounts."""
    pod = pod_by_hand(namespace, "backup")
    view = yaml.safe_load(namespace.cluster.kubectl("config", "view", "--raw"))["clusters"][0]["cluster"]
    server = urlsplit(view["server"])
    secret = namespace.get("secret", "opskit-storage")["data"]
    around = Surroundings(
        image,
        folder,
        {
            "opskit-config": namespace.get("configmap", "opskit-config")["data"],
            "opskit-storage": {key: base64.b64decode(value).decode() for key, value in secret.items()},
        },
        {"KUBERNETES_SERVICE_HOST": str(server.hostname), "KUBERNETES_SERVICE_PORT": str(server.port)},
        {
            "token": namespace.kubectl("create", "token", pod["spec"]["serviceAccountName"]).strip(),
            "ca.crt": Path(view["certificate-authority"]).read_text(),
            "namespace": namespace.name,
        },
    )
    done = ended(around.container(pod["spec"], pod["spec"]["containers"][0]))
    (folder / "log").write_text(done.stdout + done.stderr)
    end_pod(namespace, pod, done.returncode)


def test_one_command_installs_what_backs_up_a_registry(
    image: Image,
    namespace: Namespace,
    opskit: Opskit,
    mysql: Server,
    database: str,
    rclone: S3Server,
    bucket_name: str,
    tmp_path: Path,
) -> None:
    with mysql.connect(database=database) as connection:
        generate(connection, Shape("embedmd", models=3))
    registries = Registries(namespace)
    registries.secret("db", database_password=mysql.password)
    address = {"host": mysql.host, "port": mysql.port, "username": mysql.user, "database": database}
    reference = {"name": "db", "key": "database-password"}
    registries.add("distance-prediction", mysql=address | {"passwordSecret": reference})
    rclone.make_bucket(bucket_name)
    literals = [f"--from-literal={name}={value}" for name, value in rclone.environment.items()]
    namespace.kubectl("create", "secret", "generic", "opskit-storage", *literals)

    storage = ("--storage-url", f"s3://{bucket_name}/opskit", "--endpoint-url", rclone.endpoint)
    installed = opskit("cluster", "install", "--image", "registry.example.com/opskit:0.1.0", *storage, "--apply")
    assert installed.returncode == 0, installed.stderr
    assert "absent" not in installed.stdout
    running = threading.Thread(target=kubelet, args=(namespace, image, tmp_path))
    running.start()
    ran = opskit("cluster", "run", "backup")
    running.join()
    assert ran.returncode == 0, (tmp_path / "log").read_text()

    listed = rclone.client().list_objects_v2(Bucket=bucket_name, Prefix="opskit/distance-prediction/")
    names = {each["Key"].rpartition("/")[2] for each in listed["Contents"]}
    assert {"manifest.json", "resource.json"} <= names
    status = opskit("cluster", "status", "--json")
    [backup] = [each for each in json.loads(status.stdout)["cronjobs"] if each["job"] == "backup"]
    assert backup["last_success"] is not None
