"""`opskit cluster` before a real API server and the real controllers of jobs."""

import json
import re
import subprocess
import threading
from pathlib import Path
from typing import Any

import pytest
import yaml

from opskit.jobs import JOBS
from sandbox.kustomize import CRONJOBS, build_with, rendered
from tests.cluster.conftest import Namespace, Opskit
from tests.cluster.test_api_server import end_pod, pod_by_hand, pods, rights
from tests.cluster.test_discovery import Registries
from tests.unit.command_line import PROJECT, environment, opskit_command
from tests.waiting import eventually

INSTALL = ("cluster", "install", "--image", "registry.example.com/opskit:0.1.0", "--storage-url", "s3://backups/opskit")


@pytest.fixture
def registry(namespace: Namespace) -> Registries:
    registries = Registries(namespace)
    reference = {"name": "a-db", "key": "database-password"}
    registries.secret("a-db", database_password="x")
    registries.add("a", mysql={"host": "mysql", "username": "u", "database": "d", "passwordSecret": reference})
    return registries


def test_packaged_manifests_are_those_of_the_overlay() -> None:
    packaged = (PROJECT / "opskit" / "cluster" / "manifests.yaml").read_text()
    assert packaged == rendered(CRONJOBS / "overlays" / "install"), "run: make manifests"


def test_install_is_a_dry_run_unless_told(namespace: Namespace, registry: Registries, opskit: Opskit) -> None:
    del registry
    done = opskit(*INSTALL)
    assert done.returncode == 0, done.stderr
    assert "nothing was changed; to carry it out: --apply" in done.stdout
    assert "absent: Secret opskit-storage" in done.stdout
    assert namespace.items("cronjobs") == []


def test_install_brings_every_job_with_the_rights_for_these_registries(
    namespace: Namespace, registry: Registries, opskit: Opskit
) -> None:
    del registry
    done = opskit(*INSTALL, "--apply", "--restore-user", "restorer", "--runbooks", "https://wiki.example.com/runbooks/")
    assert done.returncode == 0, done.stderr
    assert {each["metadata"]["name"] for each in namespace.items("cronjobs")} == {
        f"opskit-{each.name}" for each in JOBS
    }
    config = yaml.safe_load(namespace.get("configmap", "opskit-config")["data"]["opskit.yaml"])
    assert config["storage"] == {"url": "s3://backups/opskit"}
    assert config["discover"]["namespace"] == namespace.name
    assert config["discover"]["restore"]["user"] == "restorer"
    assert ("get", "secrets", "a-db") in rights(namespace, "opskit-backup")
    assert {each[2] for each in rights(namespace, "opskit-backup") if each[1] in ("secrets", "configmaps")} == {"a-db"}
    assert ("patch", "deployments", "a") in rights(namespace, "opskit-restore")
    # What the registry's auth proxy asks the API about a token.
    assert ("get", "services", "a") in rights(namespace, "opskit-probe")
    [rule] = namespace.items("prometheusrules")
    url = rule["spec"]["groups"][0]["rules"][0]["annotations"]["runbook_url"]
    assert url == "https://wiki.example.com/runbooks/backup-stale.md"

    again = opskit(
        *INSTALL, "--apply", "--restore-user", "restorer", "--runbooks", "https://wiki.example.com/runbooks/"
    )
    assert " created" not in again.stdout
    assert " changed" not in again.stdout
    assert again.stdout.count("unchanged") == done.stdout.count(" created")


def test_install_never_takes_a_field_from_somebody_else(
    namespace: Namespace, registry: Registries, opskit: Opskit
) -> None:
    del registry
    assert opskit(*INSTALL, "--apply").returncode == 0
    change = {"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "opskit-backup"}}
    change["spec"] = {"schedule": "1 1 * * *"}
    namespace.kubectl(
        "apply", "--server-side", "--force-conflicts", "--field-manager=somebody", "-f-", stdin=json.dumps(change)
    )
    done = opskit(*INSTALL, "--apply")
    assert done.returncode == 73
    assert "conflict" in done.stderr
    assert namespace.get("cronjob", "opskit-backup")["spec"]["schedule"] == "1 1 * * *"


@pytest.mark.parametrize("command", [INSTALL, ("cluster", "uninstall")])
def test_objects_of_argo_cd_are_refused(
    command: tuple[str, ...], namespace: Namespace, registry: Registries, opskit: Opskit
) -> None:
    del registry
    assert opskit(*INSTALL, "--apply").returncode == 0
    namespace.kubectl("annotate", "cronjob", "opskit-prune", "argocd.argoproj.io/tracking-id=x")
    done = opskit(*command, "--apply")
    assert done.returncode == 73
    assert "Argo CD owns CronJob opskit-prune" in done.stderr
    assert len(namespace.items("cronjobs")) == len(JOBS)


@pytest.mark.parametrize(
    ("arguments", "complaint"),
    [
        (("cluster", "install", "--image", "opskit", "--storage-url", "s3://b"), "has no tag"),
        (("cluster", "install", "--image", "opskit:1"), "say where backups go"),
        (("cluster", "run", "restore"), "restore, and no other job, wants --backup"),
        (("cluster", "run", "backup", "--backup", "latest"), "restore, and no other job, wants --backup"),
    ],
)
def test_wrong_usage_is_told_before_the_cluster_is_asked(
    arguments: tuple[str, ...], complaint: str, tmp_path: Path
) -> None:
    done = subprocess.run(
        opskit_command(*arguments), cwd=tmp_path, env=environment(), capture_output=True, text=True, check=False
    )
    assert done.returncode == 2
    assert complaint in done.stderr


def end_backup(namespace: Namespace, code: int) -> None:
    """Be the kubelet of the pod of a backup by hand."""
    end_pod(namespace, pod_by_hand(namespace, "backup"), code)


@pytest.mark.parametrize("code", [0, 65])
def test_run_exits_with_the_code_of_the_job_and_counts_for_its_schedule(
    code: int, namespace: Namespace, registry: Registries, opskit: Opskit
) -> None:
    del registry
    assert opskit(*INSTALL, "--apply").returncode == 0
    kubelet = threading.Thread(target=end_backup, args=(namespace, code))
    kubelet.start()
    done = opskit("cluster", "run", "backup", "--json")
    kubelet.join()
    document = json.loads(done.stdout)
    assert (done.returncode, document["exit_code"]) == (code, code), done.stderr
    job = namespace.get("job", document["job"])
    [owner] = job["metadata"]["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["controller"]) == ("CronJob", "opskit-backup", True)

    def succeeded() -> bool:
        return "lastSuccessfulTime" in namespace.get("cronjob", "opskit-backup").get("status", {})

    if code == 0:
        eventually(succeeded, "the manual success counts")
    else:
        assert not succeeded()


def test_backup_by_hand_is_made_however_young_the_newest_is(namespace: Namespace, opskit: Opskit) -> None:
    assert opskit(*INSTALL, "--apply").returncode == 0
    done = opskit("cluster", "run", "backup", "--no-follow", "--json")
    assert done.returncode == 0, done.stderr
    [container] = namespace.get("job", json.loads(done.stdout)["job"])["spec"]["template"]["spec"]["containers"]
    assert container["args"] == ["backup", "create", "--lease-wait", "10m", "--deadline", "419m"]


def test_restore_gets_its_backup_and_its_options(namespace: Namespace, registry: Registries, opskit: Opskit) -> None:
    del registry
    assert opskit(*INSTALL, "--apply").returncode == 0
    done = opskit("cluster", "run", "restore", "--backup", "20261123", "--no-follow", "--json", "--", "--swap", "--yes")
    assert done.returncode == 0, done.stderr
    name = json.loads(done.stdout)["job"]
    [pod] = eventually(lambda: pods(namespace, name), "a suspended CronJob's Job runs")
    [container] = pod["spec"]["containers"]
    assert container["args"] == ["restore", "run", "--deadline", "1439m", "20261123", "--swap", "--yes"]


def test_status_tells_what_needs_a_look(namespace: Namespace, registry: Registries, opskit: Opskit) -> None:
    registry.secret("opskit-storage", AWS_ACCESS_KEY_ID="x")
    nothing = opskit("cluster", "status")
    assert nothing.returncode == 1
    assert nothing.stdout.count("there is no such CronJob") == len(JOBS)

    assert opskit(*INSTALL, "--apply").returncode == 0
    fresh = opskit("cluster", "status")
    assert fresh.returncode == 0, fresh.stdout
    assert "absent: Secret opskit-restore" in fresh.stdout
    assert fresh.stdout.count("absent") == 1

    namespace.kubectl("patch", "cronjob", "opskit-backup", "--type=merge", "-p", '{"spec": {"suspend": true}}')
    old = {"status": {"lastSuccessfulTime": "2020-01-01T00:00:00Z"}}
    patch = ["patch", "cronjob", "opskit-rehearse", "--subresource=status", "--type=merge"]
    namespace.kubectl(*patch, "-p", json.dumps(old))
    done = opskit("cluster", "status", "--json")
    assert done.returncode == 1
    problems = {each["job"]: each["problem"] for each in json.loads(done.stdout)["cronjobs"] if each["problem"]}
    assert problems == {"backup": "suspended", "rehearse": "no success for too long"}


def test_uninstall_takes_what_install_made_and_nothing_else(
    namespace: Namespace, registry: Registries, opskit: Opskit
) -> None:
    registry.secret("opskit-storage", AWS_ACCESS_KEY_ID="x")
    assert opskit(*INSTALL, "--apply").returncode == 0
    plan = opskit("cluster", "uninstall")
    assert "nothing was changed" in plan.stdout
    assert len(namespace.items("cronjobs")) == len(JOBS)
    started = opskit("cluster", "run", "restore", "--backup", "latest", "--no-follow", "--json")
    running = json.loads(started.stdout)["job"]
    eventually(lambda: namespace.get("job", running).get("status", {}).get("active"), "the restore has begun")
    refused = opskit("cluster", "uninstall", "--apply")
    assert (refused.returncode, f"the restore {running} runs" in refused.stderr) == (73, True)
    assert len(namespace.items("cronjobs")) == len(JOBS)
    namespace.kubectl("delete", "job", running, "--wait=false")
    eventually(lambda: not any(each["metadata"]["name"] == running for each in namespace.items("jobs")), "it is gone")
    assert opskit("cluster", "uninstall", "--apply").returncode == 0
    left: Any = namespace.items("cronjobs,roles,rolebindings,prometheusrules")
    assert left == []
    assert {each["metadata"]["name"] for each in namespace.items("secrets")} == {"a-db", "opskit-storage"}


def test_uninstall_refuses_what_an_overlay_has_brought(namespace: Namespace, opskit: Opskit) -> None:
    namespace.apply([each for each in build_with("discovery") if each["kind"] in ("ServiceAccount", "CronJob")])
    refused = opskit("cluster", "uninstall", "--apply")
    assert refused.returncode == 73
    assert "opskit has not installed ServiceAccount opskit-backup" in refused.stderr
    assert len(namespace.items("cronjobs")) == len(JOBS)


def test_next_run_is_told_in_the_time_zone_of_the_cronjob(
    namespace: Namespace, registry: Registries, opskit: Opskit
) -> None:
    del registry
    assert opskit(*INSTALL, "--apply").returncode == 0
    changes = {"spec": {"schedule": "17 2 1 1 *", "timeZone": "Asia/Tokyo"}}
    namespace.kubectl("patch", "cronjob", "opskit-backup", "--type=merge", "-p", json.dumps(changes))
    namespace.kubectl("patch", "cronjob", "opskit-prune", "--type=merge", "-p", '{"spec": {"schedule": "@daily"}}')
    found = {each["job"]: each for each in json.loads(opskit("cluster", "status", "--json").stdout)["cronjobs"]}
    assert re.fullmatch(r"\d{4}-12-31T17:17:00(Z|\+00:00)", found["backup"]["next_run"])
    assert found["prune"]["next_run"] is None
    assert found["prune"]["problem"].startswith("its schedule is not that of this opskit")


def shown(command: str) -> list[str]:
    """What README shows of a command's output; the line that says there is more is left out."""
    [block] = re.findall(
        rf"^    \$ {command}.*\n((?:    (?!\$).*\n)+)", (PROJECT / "README.md").read_text(), re.MULTILINE
    )
    return [line.removeprefix("    ") for line in block.splitlines() if line.strip() != "…"]


def test_readme_shows_what_the_commands_print(namespace: Namespace, opskit: Opskit) -> None:
    registries = Registries(namespace)
    registries.secret("db", database_password="x")
    reference = {"name": "db", "key": "database-password"}
    registries.add(
        "distance-prediction",
        mysql={"host": "mysql", "username": "u", "database": "d", "passwordSecret": reference},
    )
    installed = opskit(*INSTALL, "--apply").stdout.replace(namespace.name, "rhoai-model-registries").splitlines()
    assert [line for line in shown("opskit cluster install") if line not in installed] == []

    registries.secret("opskit-storage", AWS_ACCESS_KEY_ID="x")
    kubelet = threading.Thread(target=end_backup, args=(namespace, 0))
    kubelet.start()
    ran = opskit("cluster", "run", "backup").stdout.splitlines()
    kubelet.join()
    [ended] = shown("opskit cluster run backup")
    named = r"manual-\w+"
    assert re.sub(named, "", ended) == re.sub(named, "", ran[-1])
    status = opskit("cluster", "status").stdout.splitlines()

    def lasting(lines: list[str]) -> list[tuple[str, str]]:
        """The lines without what depends on the hour: jobs and schedules, and how they stand."""
        when = lines[0].index("LAST RUN")
        return [(line[:when].strip(), line.split()[-1]) for line in lines]

    assert lasting(shown("opskit cluster status")) == lasting(status)
