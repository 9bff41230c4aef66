"""The commands of the runbooks, run from the pages' own text."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml

from sandbox.archive import unpacked
from sandbox.kustomize import build_with, kubectl
from sandbox.registry import Shape, generate
from sandbox.server import Server
from tests.cluster.conftest import Namespace
from tests.cluster.test_discovery import Registries
from tests.conftest import like
from tests.repository.test_runbooks import RUNBOOKS
from tests.unit.command_line import PROJECT, environment

KUBECTL_PAGES = [path for path in RUNBOOKS if "\nkubectl " in path.read_text()]
Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """Run lines of a page in bash, where `opskit` and `kubectl` are those of this checkout."""
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "opskit").write_text(f'#!/bin/sh\nexec {sys.executable} -m opskit "$@"\n')
    (programs / "opskit").chmod(0o755)
    (programs / "kubectl").symlink_to(kubectl())

    def run(lines: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environ = environment(**variables) | {"PATH": f"{programs}:{os.environ['PATH']}"}
        return subprocess.run(
            [shutil.which("bash") or "bash", "-euo", "pipefail", "-c", lines],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )

    return run


def blocks(page: str, language: str = "sh") -> list[str]:
    text = (PROJECT / "runbooks" / f"{page}.md").read_text()
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def add_deployment(namespace: Namespace) -> None:
    """Be the operator, which makes a registry's Deployment."""
    labels = {"app": "distance-prediction"}
    deployment = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "distance-prediction"},
        "spec": {
            "replicas": 0,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "x", "image": "x:1"}]}},
        },
    }
    namespace.kubectl("create", "-f-", stdin=yaml.safe_dump(deployment))


@pytest.mark.parametrize("path", KUBECTL_PAGES, ids=lambda path: path.stem)
def test_every_kubectl_line_runs(path: Path, namespace: Namespace, shell: Shell, tmp_path: Path) -> None:
    namespace.apply(build_with())
    add_deployment(namespace)
    registry = {"apiVersion": "modelregistry.opendatahub.io/v1beta1", "kind": "ModelRegistry"}
    (tmp_path / "modelregistry.yaml").write_text(yaml.safe_dump(registry | {"metadata": {"name": "a"}, "spec": {}}))
    lines = [line for block in blocks(path.stem) for line in block.splitlines()]
    exports = [line for line in lines if line.startswith("export ")]
    kubectl_lines = [line for line in lines if line.startswith("kubectl ")]
    assert kubectl_lines
    script = "\n".join([*exports, f"export NAMESPACE={namespace.name}", *kubectl_lines])
    done = shell(script, KUBECONFIG=str(namespace.cluster.kubeconfig))
    assert done.returncode == 0, done.stderr


@pytest.fixture
def restorable(mysql: Server, database: str, tmp_path: Path) -> dict[str, str]:
    """A registry with a backup, and the variables that configure opskit for it."""
    with mysql.connect(database=database) as connection:
        generate(connection, Shape("embedmd", models=5))
    config = {
        "storage": {"url": f"file://{tmp_path}/backups"},
        "registries": [
            {
                "name": "distance-prediction",
                "mysql": {"host": mysql.host, "port": mysql.port, "user": mysql.user, "database": database},
            }
        ],
    }
    (tmp_path / "opskit.yaml").write_text(yaml.safe_dump(config))
    return {
        "OPSKIT_CONFIG": str(tmp_path / "opskit.yaml"),
        "OPSKIT_REGISTRIES__0__MYSQL__PASSWORD": mysql.password,
    }


def chosen(steps: str, folder: Path) -> str:
    """The steps of a page, for the only backup in the folder."""
    [manifest] = (folder / "backups" / "distance-prediction").glob("*/manifest.json")
    assert "export BACKUP=ID\n" in steps
    return steps.replace("export BACKUP=ID\n", f"export BACKUP={manifest.parent.name}\n")


def models(server: Server, database: str) -> int:
    count: int = server.execute(f"SELECT COUNT(*) FROM `{database}`.Context")[0][0]
    return count


def test_damaged_registry_is_restored_as_the_page_tells(
    mysql: Server, database: str, restorable: dict[str, str], shell: Shell, tmp_path: Path
) -> None:
    assert shell("opskit backup create", **restorable).returncode == 0
    before = models(mysql, database)
    mysql.execute(f"DELETE FROM `{database}`.Context")
    exports, which, restore, _, back, *_ = blocks("restore-registry")
    done = shell(exports + which + chosen(restore, tmp_path), **restorable)
    assert done.returncode == 0, done.stderr
    assert models(mysql, database) == before
    assert shell(exports + back, **restorable).returncode == 0
    assert models(mysql, database) == 0


def test_lost_database_is_restored_as_the_page_tells(
    mysql: Server, database: str, restorable: dict[str, str], shell: Shell, tmp_path: Path
) -> None:
    assert shell("opskit backup create", **restorable).returncode == 0
    before = models(mysql, database)
    mysql.execute(f"DROP DATABASE `{database}`")
    exports, _, restore, *_ = blocks("restore-registry")
    done = shell(exports + chosen(restore, tmp_path), **restorable)
    assert done.returncode == 0, done.stderr
    assert models(mysql, database) == before


def test_lost_namespace_is_rebuilt_as_the_page_tells(
    mysql: Server, database: str, restorable: dict[str, str], namespace: Namespace, shell: Shell, tmp_path: Path
) -> None:
    registries = Registries(namespace)
    registries.secret("db", database_password=mysql.password)
    address = {"host": mysql.host, "port": mysql.port, "username": mysql.user, "database": database}
    reference = {"name": "db", "key": "database-password"}
    registries.add("distance-prediction", mysql=address | {"passwordSecret": reference})
    config = {"storage": {"url": f"file://{tmp_path}/backups"}, "discover": {"namespace": namespace.name}}
    (tmp_path / "opskit.yaml").write_text(yaml.safe_dump(config))
    variables = {
        "OPSKIT_CONFIG": restorable["OPSKIT_CONFIG"],
        "KUBECONFIG": str(namespace.cluster.kubeconfig),
    }
    assert shell("opskit backup create", **variables).returncode == 0
    before = models(mysql, database)

    # There is no controller that ends a namespace: everything in it goes, and the database with it.
    namespace.kubectl("delete", "modelregistries.modelregistry.opendatahub.io,secrets", "--all")
    mysql.execute(f"DROP DATABASE `{database}`")

    exports, _, restore, restart, _, rebuild = blocks("restore-registry")
    exports += f"export NAMESPACE={namespace.name}\n"
    resource, apply = rebuild.splitlines()
    done = shell(exports + resource, **variables)
    assert done.returncode == 0, done.stderr
    needed = re.findall(r"^# needs Secret (\S+)$", (tmp_path / "modelregistry.yaml").read_text(), re.MULTILINE)
    assert needed == ["db"]
    registries.secret(needed[0], database_password=mysql.password)
    add_deployment(namespace)
    done = shell(exports + apply + "\n" + chosen(restore, tmp_path) + restart, **variables)
    assert done.returncode == 0, done.stderr
    assert models(mysql, database) == before
    spec = namespace.get("modelregistries.modelregistry.opendatahub.io", "distance-prediction")["spec"]
    assert spec["mysql"] == address | {"passwordSecret": reference}


def test_registry_is_looked_at_without_opskit_as_the_page_tells(
    mysql: Server, database: str, restorable: dict[str, str], shell: Shell, tmp_path: Path
) -> None:
    assert shell("opskit backup create", **restorable).returncode == 0
    [manifest] = (tmp_path / "backups" / "distance-prediction").glob("*/manifest.json")
    packages = unpacked("restore-programs", ["zstd", "jq"])
    program = tmp_path / "bin" / "zstd"
    program.write_text(f'#!/bin/sh\nexec {shlex.join(packages.command(packages.root / "usr/bin/zstd"))} "$@"\n')
    program.chmod(0o755)
    exports, look, count = blocks("restore-without-opskit")
    done = shell(f"{exports}export FOLDER={manifest.parent}\n{look}{count}", **restorable)
    assert done.returncode == 0, done.stderr
    assert f"{models(mysql, database)} Context" in done.stdout.splitlines()


def test_registry_moves_as_the_page_tells(
    mysql: Server, database: str, restorable: dict[str, str], shell: Shell
) -> None:
    assert shell("opskit backup create", **restorable).returncode == 0
    exports, diagnosis, into, *_ = blocks("move-registry")
    moved = f"{database}_opskit_moved"
    done = shell(f"{exports}export DATABASE={moved}\n{diagnosis}{into}", **restorable)
    assert done.returncode == 0, done.stderr
    assert models(mysql, moved) == models(mysql, database)


@pytest.mark.parametrize("swap", [False, True])
def test_users_of_least_privilege_can_do_their_jobs(
    swap: bool,  # noqa: FBT001 - pytest's
    mysql: Server,
    database: str,
    restorable: dict[str, str],
    shell: Shell,
    tmp_path: Path,
) -> None:
    users, live = blocks("least-privilege", "sql")
    statements = (users + (live if swap else "")).replace("modelregistry", like(database))
    names = {"opskit_backup": f"b_{database}", "opskit_restore": f"r_{database}"}
    for name, own in names.items():
        statements = statements.replace(name, own)
    config = yaml.safe_load((tmp_path / "opskit.yaml").read_text())
    config["registries"][0]["mysql"] |= {"user": names["opskit_backup"]}
    config["registries"][0]["restore"] = {"user": names["opskit_restore"], "password": "change-me-too"}
    (tmp_path / "opskit.yaml").write_text(json.dumps(config))
    variables = restorable | {"OPSKIT_REGISTRIES__0__MYSQL__PASSWORD": "change-me"}
    try:
        mysql.execute(*(each for each in statements.split(";\n") if each.strip()))
        backup = shell("opskit backup create", **variables)
        assert backup.returncode == 0, backup.stderr
        rehearsal = shell("opskit backup rehearse latest", **variables)
        assert rehearsal.returncode == 0, rehearsal.stderr
        done = shell("opskit restore run 2 --swap --yes --no-safety-backup", **variables)
        assert done.returncode == (0 if swap else 77), done.stderr
    finally:
        mysql.execute(*(f"DROP USER IF EXISTS '{own}'@'%'" for own in names.values()))
