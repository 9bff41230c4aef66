"""The manifests before a real API server: defaulted, admitted, authorised, and run by the real controllers."""

import json
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from opskit.jobs import JOBS
from sandbox.kustomize import Manifest, build_with
from tests.cluster.conftest import Namespace
from tests.cluster.test_manifests import MYSQL_SIDE, OVERLAYS, cronjob, everything, overlay
from tests.waiting import eventually

JOB_NAME = "batch.kubernetes.io/job-name"


def without_status(found: dict[str, Any]) -> dict[str, Any]:
    metadata = {
        key: value for key, value in found["metadata"].items() if key not in ("resourceVersion", "managedFields")
    }
    return {key: value for key, value in found.items() if key != "status"} | {"metadata": metadata}


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.name)
def test_applying_an_overlay_twice_changes_nothing(path: Path, namespace: Namespace) -> None:
    manifests = overlay(path)
    kinds = ",".join(sorted({each["kind"].lower() for each in manifests}))
    named = [f"{each['kind'].lower()}/{each['metadata']['name']}" for each in manifests]

    def applied() -> list[dict[str, Any]]:
        namespace.apply(manifests)
        return [without_status(each) for each in namespace.items(*named)]

    first = applied()
    assert len(first) == len(manifests), kinds
    assert applied() == first


def test_every_pod_is_admitted_under_restricted(namespace: Namespace) -> None:
    manifests = [each for _, each in everything()]
    namespace.apply(distinct(each for each in manifests if each["kind"] == "ServiceAccount"))
    admitted: dict[str, Manifest] = {}
    for where, each in everything():
        template = each["spec"].get("jobTemplate", each)["spec"].get("template") if "spec" in each else None
        if template and "spec" in template:
            name = f"{each['metadata']['name']}-{len(admitted)}"
            admitted[f"{where} {name}"] = {
                "apiVersion": "v1",
                "kind": "Pod",
                "metadata": {"name": name, "namespace": namespace.name, "labels": template["metadata"]["labels"]},
                "spec": template["spec"],
            }
    assert len(admitted) > len(JOBS)
    said = namespace.cluster.run("create", "--dry-run=server", "-f-", stdin=yaml.safe_dump_all(admitted.values()))
    assert said.stderr == ""
    assert said.stdout.count("created (server dry run)") == len(admitted)


def distinct(manifests: Any) -> list[Manifest]:  # noqa: ANN401 - any iterable of them
    return list({(each["kind"], each["metadata"]["name"]): each for each in manifests}.values())


def test_pod_as_root_is_refused_there(namespace: Namespace) -> None:
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "root"},
        "spec": {"containers": [{"name": "x", "image": "x:1", "securityContext": {"runAsUser": 0}}]},
    }
    said = namespace.cluster.run("-n", namespace.name, "create", "--dry-run=server", "-f-", stdin=yaml.safe_dump(pod))
    assert "violates PodSecurity" in said.stderr


# Privileges


def can(namespace: Namespace, account: str, verb: str, resource: str) -> bool:
    """Whether a ServiceAccount may, by impersonation."""
    user = f"--as=system:serviceaccount:{namespace.name}:{account}"
    done = namespace.cluster.run("-n", namespace.name, "auth", "can-i", verb, resource, user, "-q")
    return done.returncode == 0


def rights(namespace: Namespace, account: str) -> set[tuple[str, str, str]]:
    """Every (verb, resource, name) that an account has in its namespace, less what everybody has."""
    user = f"system:serviceaccount:{namespace.name}:{account}"
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace.name},
    }
    said = namespace.cluster.kubectl(
        "create", "--validate=false", f"--as={user}", "-f-", "-o", "json", stdin=json.dumps(review)
    )
    found = set()
    for rule in json.loads(said)["status"]["resourceRules"]:
        if not {"authorization.k8s.io", "authentication.k8s.io"} & set(rule["apiGroups"]):
            found |= {
                (verb, resource, name)
                for verb in rule["verbs"]
                for resource in rule["resources"]
                for name in rule.get("resourceNames") or ["*"]
            }
    return found


def test_accounts_have_the_rights_of_their_jobs_and_no_others(namespace: Namespace) -> None:
    [path] = [each for each in OVERLAYS if each.name == "distance-prediction"]
    namespace.apply(overlay(path))
    found = {name: rights(namespace, f"opskit-{name}") for name in ("backup", "rehearse", "read", "probe", "prune")}
    assert found == {name: set() for name in found}
    restart = {("get", "deployments", "distance-prediction"), ("patch", "deployments", "distance-prediction")}
    assert rights(namespace, "opskit-restore") == restart


def test_probe_may_ask_the_proxy_as_a_user_of_the_registry(namespace: Namespace) -> None:
    role = {
        "apiVersion": "rbac.authorization.k8s.io/v1",
        "kind": "Role",
        "metadata": {"name": "registry-user-distance-prediction"},
        "rules": [
            {
                "apiGroups": [""],
                "resources": ["services", "endpoints"],
                "resourceNames": ["distance-prediction"],
                "verbs": ["get"],
            }
        ],
    }
    [path] = [each for each in OVERLAYS if each.name == "distance-prediction"]
    namespace.apply([*overlay(path), role])  # the operator's
    assert can(namespace, "opskit-probe", "get", "services/distance-prediction")
    assert not can(namespace, "opskit-backup", "get", "services/distance-prediction")


def test_discovery_reads_secrets_by_name_and_lists_none(namespace: Namespace) -> None:
    namespace.apply(build_with("discovery", "serve"))
    for account in ("backup", "rehearse", "read", "probe", "prune", "restore", "serve"):
        found = {each for each in rights(namespace, f"opskit-{account}") if each[1] != "deployments"}
        assert found - {("get", "services", "model-registry")} == {
            ("get", "modelregistries", "*"),
            ("list", "modelregistries", "*"),
            ("get", "rolebindings", "*"),
            ("list", "rolebindings", "*"),
            ("get", "secrets", "model-registry-db"),
            ("get", "configmaps", "db-credential"),
            ("get", "configmaps", "odh-trusted-ca-bundle"),
        }
    assert can(namespace, "opskit-probe", "get", "services/model-registry")
    assert not can(namespace, "opskit-probe", "get", "services/another")
    assert not can(namespace, "opskit-backup", "get", "services/model-registry")


# Controllers


def start(namespace: Namespace, job: str, name: str) -> dict[str, Any]:
    """Make a Job from a CronJob and return its pod."""
    namespace.kubectl("create", "job", name, f"--from=cronjob/opskit-{job}")
    return eventually(lambda: pods(namespace, name), f"{name} has its pod")[0]


def pods(namespace: Namespace, job: str) -> list[dict[str, Any]]:
    return namespace.items("pods", "-l", f"{JOB_NAME}={job}")


def pod_by_hand(namespace: Namespace, job: str) -> dict[str, Any]:
    """Wait for the pod of the one Job that `opskit cluster run` has made; schedules may make others beside it."""
    prefix = f"opskit-{job}-manual-"

    def found() -> list[dict[str, Any]]:
        return [
            each for each in namespace.items("pods") if each["metadata"]["labels"].get(JOB_NAME, "").startswith(prefix)
        ]

    [pod] = eventually(found, f"the Job {prefix}… has its pod")
    return pod


def end_pod(namespace: Namespace, pod: dict[str, Any], code: int, *, disrupted: bool = False) -> None:
    """Let a pod have ended, as the kubelet would say it."""
    terminated = {"exitCode": code, "reason": "Error" if code else "Completed", "message": ""}
    status: dict[str, Any] = {
        "phase": "Failed" if code else "Succeeded",
        "containerStatuses": [
            {
                "name": "opskit",
                "image": "x",
                "imageID": "",
                "ready": False,
                "restartCount": 0,
                "state": {"terminated": terminated},
            }
        ],
    }
    if disrupted:
        status["conditions"] = [{"type": "DisruptionTarget", "status": "True", "reason": "EvictionByEvictionAPI"}]
    name = pod["metadata"]["name"]
    namespace.kubectl(
        "patch", "pod", name, "--subresource=status", "--type=merge", "-p", json.dumps({"status": status})
    )


def conditions(namespace: Namespace, job: str) -> dict[str, str]:
    found = namespace.get("job", job).get("status", {}).get("conditions", ())
    return {each["type"]: each["reason"] for each in found if each["status"] == "True"}


def test_schedule_makes_a_job_and_its_pod(namespace: Namespace) -> None:
    manifests = build_with()
    namespace.apply([*(each for each in manifests if each["kind"] == "ServiceAccount"), cronjob(manifests, "backup")])
    changes: dict[str, Any] = {"spec": {"schedule": "* * * * *"}}
    namespace.kubectl("patch", "cronjob", "opskit-backup", "--type=merge", "-p", json.dumps(changes))
    # Due since ten minutes ago: nobody waits for the minute to end.
    changes = {"status": {"lastScheduleTime": f"{datetime.now(UTC) - timedelta(minutes=10):%Y-%m-%dT%H:%M:%SZ}"}}
    patch = ["patch", "cronjob", "opskit-backup", "--subresource=status", "--type=merge"]
    namespace.kubectl(*patch, "-p", json.dumps(changes))
    found = eventually(lambda: namespace.items("pods"), "the schedule has made a pod")[0]
    assert found["spec"]["serviceAccountName"] == "opskit-backup"
    assert found["metadata"]["ownerReferences"][0]["name"].startswith("opskit-backup-")


@pytest.fixture
def jobs(namespace: Namespace) -> Namespace:
    """The base, with every CronJob suspended: Jobs are made by hand."""
    manifests = [
        each | {"spec": each["spec"] | {"suspend": True}} if each["kind"] == "CronJob" else each
        for each in build_with()
    ]
    namespace.apply(manifests)
    return namespace


def test_code_that_no_later_try_mends_fails_the_job_at_once(jobs: Namespace) -> None:
    codes = (1, 2, 65, 66, 73, 77, 78)
    for code in codes:
        name = f"run-{code}"
        end_pod(jobs, start(jobs, "backup", name), code)
        reasons = eventually(lambda: found if "Failed" in (found := conditions(jobs, name)) else {}, "the Job fails")  # noqa: B023
        assert reasons["Failed"] == "PodFailurePolicy", code
        assert len(pods(jobs, name)) == 1, code


def test_other_codes_and_disruptions_are_tried_again(jobs: Namespace) -> None:
    codes = {"killed": 143, "unreachable": 69, "busy": 75, "out-of-space": 74, "drained": 143}
    for name, code in codes.items():
        end_pod(jobs, start(jobs, "backup", name), code, disrupted=name == "drained")
    with ThreadPoolExecutor() as threads:  # the back-off is 10 s
        waiting = {
            name: threads.submit(eventually, lambda name=name: len(pods(jobs, name)) == 2, f"{name} is tried again")
            for name in codes
        }
    assert all(each.result() for each in waiting.values())
    failed = {name: jobs.get("job", name)["status"].get("failed", 0) for name in codes}
    # A drained node is nobody's failure: it does not count.
    assert failed == dict.fromkeys(codes, 1) | {"drained": 0}


@pytest.mark.parametrize("disrupted", [False, True])
def test_restore_is_never_tried_again(disrupted: bool, jobs: Namespace) -> None:  # noqa: FBT001 - pytest's
    end_pod(jobs, start(jobs, "restore", "run"), 69, disrupted=disrupted)
    eventually(lambda: "Failed" in conditions(jobs, "run"), "the Job has failed")
    assert len(pods(jobs, "run")) == 1


def test_one_shard_that_fails_does_not_end_the_others(namespace: Namespace) -> None:
    manifests = build_with("indexed-verify")
    verify = cronjob(manifests, "verify-artifacts")
    verify["spec"]["suspend"] = True
    namespace.apply([*(each for each in manifests if each["kind"] == "ServiceAccount"), verify])
    namespace.kubectl("create", "job", "run", "--from=cronjob/opskit-verify-artifacts")
    shards = eventually(lambda: found if len(found := pods(namespace, "run")) == 4 else [], "every shard has its pod")
    end_pod(namespace, shards[0], 77)
    for shard in shards[1:]:
        end_pod(namespace, shard, 0)
    eventually(lambda: "Failed" in conditions(namespace, "run"), "the Job has ended")
    status = namespace.get("job", "run")["status"]
    assert (status["succeeded"], status["failed"]) == (3, 1)
    assert conditions(namespace, "run")["Failed"] == "FailedIndexes"


def test_objects_for_mysql_s_namespace_are_valid(namespace: Namespace) -> None:
    namespace.apply(overlay(MYSQL_SIDE))
