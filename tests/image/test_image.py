"""The image, and the pods of the built manifests as containers of it, as OpenShift would confine them."""

import base64
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyrage
import pytest
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from opskit.jobs import JOBS
from sandbox.image import Image
from sandbox.kustomize import CRONJOBS, Manifest, build, build_with
from sandbox.process import Scratch, scratch
from sandbox.registry import Shape, generate
from sandbox.s3 import S3Server
from sandbox.server import OwnServer, Server
from tests.cluster.test_manifests import cronjob, opskit_container
from tests.integration.probe.http_servers import http_server, release
from tests.pods import Surroundings, ended, pod_of
from tests.unit.command_line import PROJECT
from tests.waiting import eventually

LOCAL = CRONJOBS / "overlays" / "local"
PYTHON = ("/opt/opskit/bin/python", "-c")
CONFINED = """
import os, pathlib
print(os.getuid(), os.getgid())
print(*(line.split()[1] for line in open("/proc/self/status") if line.startswith("Cap")))
for folder in ("/", "/opt/opskit", "/usr", "/tmp"):
    try:
        (pathlib.Path(folder) / "written").write_text("x")
        print(folder, "written")
    except OSError as error:
        print(folder, error.strerror)
"""


def python(image: Image, program: str) -> str:
    done = ended(image.container([program], environment={}, mounts={}, entrypoint=PYTHON))
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_container_may_write_to_tmp_alone_and_has_no_capability(image: Image) -> None:
    assert image.config["User"] == "1001:0"
    user, capabilities, *written = python(image, CONFINED).splitlines()
    assert user == "1000650000 0"
    assert set(capabilities.split()) == {"0000000000000000"}
    assert written == [
        "/ Read-only file system",
        "/opt/opskit Read-only file system",
        "/usr Read-only file system",
        "/tmp written",  # noqa: S108 - the container's own
    ]


def test_image_has_every_extra_and_the_encoder_but_no_compiler_and_no_pip(image: Image) -> None:
    said = python(
        image,
        "import grpc, kubernetes, pyrage, starlette, importlib.util\n"
        "from opskit.mysql.encode import ACCELERATED\n"
        "print(ACCELERATED, importlib.util.find_spec('pip'), importlib.util.find_spec('setuptools'))",
    )
    assert said.split() == ["True", "None", "None"]
    programs = {
        path.name for folder in ("usr/bin", "bin", "opt/opskit/bin") for path in (image.files / folder).iterdir()
    }
    assert "python3" in programs
    assert not {name for name in programs if name in ("cc", "ld", "pip", "pip3") or "gcc" in name}


def test_size_is_what_the_documentation_states(image: Image) -> None:
    stated = re.search(r"adds (\d+) MB to the\s+base", (PROJECT / "docs" / "cluster.md").read_text())
    assert stated is not None
    assert image.added_bytes == pytest.approx(int(stated[1]) * 1e6, rel=0.1)


# Pods


@pytest.fixture
def surroundings(
    image: Image, mysql: Server, database: str, rclone: S3Server, bucket_name: str, tmp_path: Path
) -> Iterator[Surroundings]:
    """The overlay `local`, with the sandbox's servers in place of those that it names."""
    with mysql.connect(database=database) as connection:
        generate(connection, Shape("embedmd", models=3))
    rclone.make_bucket(bucket_name)
    [config] = [each for each in build(LOCAL) if each["metadata"]["name"] == "opskit-config"]
    held = {
        "opskit-config": config["data"],
        "opskit-mysql": {"database-password": mysql.password},
        "opskit-restore": {"password": mysql.password},
        "opskit-storage": rclone.environment,
    }
    with http_server(release("2.24")) as rest:
        elsewhere = {
            "OPSKIT_STORAGE__URL": f"s3://{bucket_name}/opskit",
            "OPSKIT_STORAGE__ENDPOINT_URL": rclone.endpoint,
            "OPSKIT_REGISTRIES__0__MYSQL__HOST": mysql.host,
            "OPSKIT_REGISTRIES__0__MYSQL__PORT": str(mysql.port),
            "OPSKIT_REGISTRIES__0__MYSQL__DATABASE": database,
            "OPSKIT_REGISTRIES__0__MYSQL__USER": mysql.user,
            "OPSKIT_REGISTRIES__0__REST__URL": rest.url,
        }
        yield Surroundings(image, tmp_path, held, elsewhere)


def run_job(around: Surroundings, manifests: list[Manifest], job: str, *more: str) -> None:
    each = cronjob(manifests, job)
    done = ended(around.container(pod_of(each), opskit_container(each), *more))
    assert done.returncode == 0, f"{job}: {done.stdout}{done.stderr}"


def test_every_job_of_an_overlay_ends_well_in_its_container(
    surroundings: Surroundings, mysql: Server, database: str
) -> None:
    manifests = build(LOCAL)
    for job in JOBS:
        run_job(surroundings, manifests, job.name, *([] if job.schedule else ["latest"]))
    # What restore leaves, beside the live database.
    [(restored,)] = mysql.execute(f"SHOW DATABASES LIKE '{database}\\_opskit\\_%'")
    count = "SELECT COUNT(*) FROM `{}`.Context"
    assert mysql.execute(count.format(restored)) == mysql.execute(count.format(database)) != ((0,),)


@pytest.mark.parametrize(
    ("absent", "code", "said"),
    [
        ("opskit-mysql", 78, "/etc/opskit/mysql/database-password"),
        ("opskit-storage", 77, "credentials"),
        ("opskit-config", 78, "/etc/opskit/config/opskit.yaml"),
    ],
)
def test_pod_starts_without_what_it_mounts_and_says_what_is_missing(
    absent: str, code: int, said: str, surroundings: Surroundings
) -> None:
    around = replace(surroundings, held={name: data for name, data in surroundings.held.items() if name != absent})
    each = cronjob(build(LOCAL), "backup")
    done = ended(around.container(pod_of(each), opskit_container(each)))
    assert done.returncode == code, done.stderr
    assert said in done.stderr


def test_keys_are_where_they_are_needed_and_nowhere_else(
    surroundings: Surroundings, rclone: S3Server, bucket_name: str
) -> None:
    identity, signer = pyrage.x25519.Identity.generate(), Ed25519PrivateKey.generate()
    public = signer.public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
    private = signer.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    config = yaml.safe_load(surroundings.held["opskit-config"]["opskit.yaml"]) | {
        "encryption": {"recipients": [str(identity.to_public())]},
        "signing": {"trusted_keys": [base64.b64encode(public).decode()]},
    }
    keys = {
        "opskit-config": {"opskit.yaml": yaml.safe_dump(config)},
        "opskit-identity": {"identity.txt": f"{identity}\n"},
        "opskit-signing": {"ed25519.pem": private.decode()},
    }
    around = replace(surroundings, held=surroundings.held | keys)
    manifests = build_with("keys")
    run_job(around, manifests, "backup")
    listed = rclone.client().list_objects_v2(Bucket=bucket_name, Prefix="opskit/")["Contents"]
    assert [each["Key"] for each in listed if each["Key"].endswith(".zst")] == []
    for job in ("rehearse", "freshness", "prune"):
        run_job(around, manifests, job)
    run_job(around, manifests, "restore", "latest")
    containers = {job.name: opskit_container(cronjob(manifests, job.name)) for job in JOBS}
    mounted = {job: {at["name"] for at in container["volumeMounts"]} for job, container in containers.items()}
    assert {job for job, names in mounted.items() if "identity" in names} == {"rehearse", "restore"}
    assert {job for job, names in mounted.items() if "signing" in names} == {"backup", "restore"}


@pytest.fixture
def place() -> Iterator[Scratch]:
    with scratch("pods") as made:
        yield made


def test_serve_answers_from_the_arguments_of_its_deployment(surroundings: Surroundings, place: Scratch) -> None:
    run_job(surroundings, build(LOCAL), "backup")
    [deployment] = [each for each in build_with("serve") if each["kind"] == "Deployment"]
    pod = pod_of(deployment)
    [container] = [each for each in pod["containers"] if each["name"] == "opskit"]
    free = replace(surroundings, elsewhere=surroundings.elsewhere | {"OPSKIT_SERVE__PORT": "0"})
    serve = free.container(pod, container)
    process = place.start(serve.argv, environment=serve.environment, log="serve.log")
    served = "serving on "
    process.until(lambda: served in process.log.read_text(), timeout=240)
    address = process.log.read_text().partition(served)[2].split()[0]

    def get(path: str) -> tuple[int, str]:
        try:
            with urllib.request.urlopen(address + path, timeout=60) as response:  # noqa: S310 - http, as logged
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    assert get("/healthz") == (200, "ok\n")
    eventually(lambda: get("/readyz")[0] == 200, "it has looked at everything once", seconds=240)
    metrics = get("/metrics")[1]
    assert 'opskit_backups{registry="model-registry",state="complete"} 1.0' in metrics
    # It only observes: the CronJobs run the jobs.
    assert "opskit_job_next_run_timestamp_seconds{" not in metrics


def test_rehearsal_happens_in_the_sidecar(
    surroundings: Surroundings,
    mysql: Server,
    database: str,
    mysql_user: Callable[..., Any],
    own_mysql: Callable[..., OwnServer],
    tmp_path: Path,
) -> None:
    run_job(surroundings, build(LOCAL), "backup")
    rehearse = cronjob(build_with("rehearse-sidecar", images=("opskit", "mysql")), "rehearse")
    [mysqld] = pod_of(rehearse)["initContainers"]
    # Its /tmp is its own.
    sidecar = own_mysql(*(option.replace("=/tmp/", f"={tmp_path}/") for option in mysqld["args"]))
    # As the image's entry point does it with MYSQL_ROOT_PASSWORD and MYSQL_ROOT_HOST.
    password = "password-of-the-sidecar"
    user = f"'root'@'{next(each['value'] for each in mysqld['env'] if each['name'] == 'MYSQL_ROOT_HOST')}'"
    sidecar.execute(f"CREATE USER {user} IDENTIFIED BY '{password}'", f"GRANT ALL ON *.* TO {user}")
    # On the live server opskit may do nothing but read.
    reader = mysql_user(f"SELECT, SHOW VIEW, TRIGGER ON `{database}`.*")
    around = replace(
        surroundings,
        held=surroundings.held
        | {"opskit-rehearse": {"password": password}, "opskit-mysql": {"database-password": reader.password}},
        elsewhere=surroundings.elsewhere
        | {
            "OPSKIT_REGISTRIES__0__MYSQL__USER": reader.user,
            "OPSKIT_REGISTRIES__0__REHEARSE__PORT": str(sidecar.port),
        },
    )
    run_job(around, [rehearse], "rehearse")
    with sidecar.connect(password=password) as connection, connection.cursor() as cursor:
        cursor.execute("SHOW GLOBAL STATUS LIKE 'Com_create_db'")
        [(_, created)] = cursor.fetchall()
    assert int(created) > 0
    assert mysql.execute(f"SHOW DATABASES LIKE '{database}\\_opskit\\_%'") == ()
