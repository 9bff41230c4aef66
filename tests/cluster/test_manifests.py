"""The manifests in cronjobs/: built, valid for every supported Kubernetes, and equal to the table of jobs."""

import json
import re
from collections.abc import Iterator
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import kubernetes_validate
import pytest
import yaml
from jsonschema import Draft202012Validator

from opskit.jobs import JOBS, Job, job
from opskit.settings import Settings
from opskit.settings.units import parse_duration
from sandbox.kustomize import CRONJOBS, Manifest, build, build_with

OVERLAYS = sorted(path.parent for path in CRONJOBS.glob("overlays/*/kustomization.yaml"))
COMPONENTS = sorted(path.parent.name for path in CRONJOBS.glob("components/*/kustomization.yaml"))
MYSQL_SIDE = CRONJOBS / "mysql-side"
CRDS = CRONJOBS.parent / "sandbox" / "kubernetes" / "crds"
OLDEST = (1, 29)
RELEASES = sorted(
    {each.rpartition(".")[0] for each in kubernetes_validate.utils.all_versions()},
    key=lambda release: tuple(map(int, release.split("."))),
)
SUPPORTED = [each for each in RELEASES if tuple(map(int, each.split("."))) >= OLDEST]
ABSENT = object()


@cache
def overlay(path: Path) -> list[Manifest]:
    return build(path)


@cache
def with_component(name: str) -> list[Manifest]:
    return build_with(name)


@cache
def everything() -> list[tuple[str, Manifest]]:
    """Every object of every overlay and component, with where it is from."""
    built = {path.name: overlay(path) for path in [*OVERLAYS, MYSQL_SIDE]}
    built |= {f"component {name}": with_component(name) for name in COMPONENTS}
    return [(where, each) for where, manifests in built.items() for each in manifests]


def pod_specs() -> Iterator[tuple[str, dict[str, Any]]]:
    for where, each in everything():
        name = f"{where}: {each['kind']} {each['metadata']['name']}"
        if each["kind"] == "CronJob":
            yield name, each["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        elif each["kind"] == "Deployment":
            yield name, each["spec"]["template"]["spec"]


def containers(pod: dict[str, Any]) -> list[dict[str, Any]]:
    return [*pod.get("initContainers", ()), *pod["containers"]]


def cronjob(manifests: list[Manifest], name: str) -> dict[str, Any]:
    [found] = [each for each in manifests if each["kind"] == "CronJob" and each["metadata"]["name"] == f"opskit-{name}"]
    return found


def opskit_container(each: dict[str, Any]) -> dict[str, Any]:
    pod = each["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    found: dict[str, Any]
    [found] = [container for container in pod["containers"] if container["name"] == "opskit"]
    return found


# Validity


def custom_schemas() -> dict[tuple[str, str], dict[str, Any]]:
    """The schemas of the custom resources by apiVersion and kind; unknown fields are refused."""
    schemas = {}
    for path in CRDS.glob("*.yaml"):
        for crd in yaml.safe_load_all(path.read_text()):
            for version in crd["spec"]["versions"]:
                key = (f"{crd['spec']['group']}/{version['name']}", crd["spec"]["names"]["kind"])
                schemas[key] = strict(version["schema"]["openAPIV3Schema"])
    return schemas


def strict(schema: Any) -> Any:  # noqa: ANN401 - any part of a schema
    """An OpenAPI schema as a JSON schema in which an object has the properties that are listed, and no other."""
    if isinstance(schema, list):
        return [strict(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    closed = {key: strict(value) for key, value in schema.items() if not key.startswith("x-kubernetes")}
    if isinstance(schema.get("properties"), dict) and "type" in schema:
        closed["additionalProperties"] = False
    return closed


@pytest.mark.parametrize("release", SUPPORTED)
def test_every_object_is_valid(release: str) -> None:
    seen = set()
    custom = custom_schemas()
    for where, each in everything():
        text = yaml.safe_dump(each)
        if text in seen:
            continue
        seen.add(text)
        schema = custom.get((each["apiVersion"], each["kind"]))
        if schema is not None:
            Draft202012Validator(schema).validate(each)
        else:
            try:
                assert kubernetes_validate.validate(each, release, strict=True) == release
            except kubernetes_validate.ValidationError as error:
                pytest.fail(f"{where} {each['kind']} {each['metadata']['name']}: {error.message} {list(error.path)}")


def test_supported_releases_reach_from_1_29_on() -> None:
    assert SUPPORTED[0] == "1.29"
    assert len(SUPPORTED) >= 9


def test_strict_validation_refuses_a_field_that_is_misspelt() -> None:
    wrong = cronjob(overlay(OVERLAYS[0]), "backup") | {"spce": {}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, SUPPORTED[-1], strict=True)


# The table of jobs


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.name)
def test_there_is_a_cronjob_for_every_job_and_no_other(path: Path) -> None:
    names = {each["metadata"]["name"] for each in overlay(path) if each["kind"] == "CronJob"}
    assert names == {f"opskit-{each.name}" for each in JOBS}


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.name)
@pytest.mark.parametrize("each", JOBS, ids=lambda each: each.name)
def test_cronjob_equals_the_table_of_jobs(path: Path, each: Job) -> None:
    manifest = cronjob(overlay(path), each.name)
    *arguments, option, deadline = opskit_container(manifest)["args"]
    assert (tuple(arguments), option) == (each.arguments, "--deadline")
    # It ends by itself with a reason: the controller would delete the pod with its log.
    assert parse_duration(deadline) == each.deadline - timedelta(minutes=1)
    assert manifest["spec"]["jobTemplate"]["spec"]["activeDeadlineSeconds"] == each.deadline.total_seconds()
    assert manifest["spec"].get("suspend", False) is (each.schedule is None)
    if each.schedule is not None:
        assert manifest["spec"]["schedule"] == each.schedule


def test_jobs_start_at_odd_minutes_each_at_its_own() -> None:
    minutes = [each.schedule.split()[0] for each in JOBS if each.schedule]
    fixed = [int(minute) for minute in minutes if not minute.startswith("*")]
    assert all(minute % 2 for minute in fixed)
    assert len(set(fixed)) == len(fixed)


def spec(name: str) -> dict[str, Any]:
    found: dict[str, Any] = cronjob(overlay(OVERLAYS[0]), name)["spec"]
    return found


@pytest.mark.parametrize("each", JOBS, ids=lambda each: each.name)
def test_runs_never_overlap_pile_up_or_wait_for_ever(each: Job) -> None:
    found = spec(each.name)
    assert (found["timeZone"], found["concurrencyPolicy"]) == ("Etc/UTC", "Forbid")
    assert found["successfulJobsHistoryLimit"] == found["failedJobsHistoryLimit"] == 3
    if each.schedule:
        assert 10 < found["startingDeadlineSeconds"] < 86_400
    pod = found["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] == "Never"
    # Longer than a stopped upload is waited for (opskit.workers), and all of it within the Job's deadline.
    assert 60 <= pod["terminationGracePeriodSeconds"] < each.deadline.total_seconds()


@pytest.mark.parametrize("each", [each for each in JOBS if each.schedule], ids=lambda each: each.name)
def test_only_what_a_later_try_can_mend_is_tried_again(each: Job) -> None:
    found = spec(each.name)["jobTemplate"]["spec"]
    assert found["backoffLimit"] == 2
    ignored, failed = found["podFailurePolicy"]["rules"]
    assert (ignored["action"], ignored["onPodConditions"]) == (
        "Ignore",
        [{"type": "DisruptionTarget", "status": "True"}],
    )
    assert failed["action"] == "FailJob"
    assert failed["onExitCodes"] == {
        "containerName": "opskit",
        "operator": "In",
        "values": [1, 2, 65, 66, 73, 77, 78],
    }


def test_restore_is_never_tried_again() -> None:
    found = spec("restore")["jobTemplate"]["spec"]
    assert found["backoffLimit"] == 0
    # With a policy, a rule that ignores disruptions would start it again.
    assert "podFailurePolicy" not in found


def test_shards_fail_one_by_one() -> None:
    found = cronjob(with_component("indexed-verify"), "verify-artifacts")["spec"]["jobTemplate"]["spec"]
    assert found["completionMode"] == "Indexed"
    assert "backoffLimit" not in found
    actions = [rule["action"] for rule in found["podFailurePolicy"]["rules"]]
    assert actions == ["Ignore", "FailIndex"]
    assert found["podFailurePolicy"]["rules"][1]["onExitCodes"]["values"] == [65, 73, 77, 78]


# Pods


def test_pods_are_ready_for_restricted_v2() -> None:
    chosen_by_openshift = ("runAsUser", "runAsGroup", "fsGroup", "supplementalGroups", "seLinuxOptions")
    for name, pod in pod_specs():
        assert pod["securityContext"] == {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}, name
        assert not {"hostNetwork", "hostPID", "hostIPC"} & pod.keys(), name
        for container in containers(pod):
            security = container["securityContext"]
            assert not set(chosen_by_openshift) & security.keys(), name
            assert security["allowPrivilegeEscalation"] is False, name
            assert security["readOnlyRootFilesystem"] is True, name
            assert security["capabilities"] == {"drop": ["ALL"]}, name


def test_volumes_are_those_that_restricted_v2_allows_and_readable_by_any_user() -> None:
    allowed = {"configMap", "secret", "emptyDir", "projected", "downwardAPI", "persistentVolumeClaim", "ephemeral"}
    for name, pod in pod_specs():
        for volume in pod["volumes"]:
            [kind] = volume.keys() - {"name"}
            assert kind in allowed, name
            # The default mode is 0644: the pod's user is not known beforehand, and there is no fsGroup.
            assert "defaultMode" not in volume[kind], name
            if kind == "emptyDir":
                assert volume[kind]["sizeLimit"], name


def test_every_container_has_requests_limits_and_a_log_in_its_last_words() -> None:
    for name, pod in pod_specs():
        assert pod["enableServiceLinks"] is False, name
        for container in containers(pod):
            assert container["resources"]["requests"].keys() >= {"cpu", "memory"}, name
            assert container["resources"]["limits"].keys() >= {"cpu", "memory"}, name
            if container["name"] == "opskit":
                assert container["terminationMessagePolicy"] == "FallbackToLogsOnError", name
                variables = {each["name"]: each.get("value") for each in container["env"]}
                assert variables["HOME"] == "/tmp", name  # noqa: S108 - the pod's own
                assert variables["AWS_EC2_METADATA_DISABLED"] == "true", name
                assert "/tmp" in {mount["mountPath"] for mount in container["volumeMounts"]}, name  # noqa: S108


def test_what_the_cluster_trusts_is_trusted_for_s3_and_for_all_else() -> None:
    container = opskit_container(cronjob(with_component("trusted-ca"), "probe"))
    mounted = {each["name"]: each["mountPath"] for each in container["volumeMounts"]}
    bundle = f"{mounted['trusted-ca']}/ca-bundle.crt"  # the key that OpenShift fills in
    variables = {each["name"]: each.get("value") for each in container["env"]}
    assert (variables["AWS_CA_BUNDLE"], variables["SSL_CERT_FILE"]) == (bundle, bundle)


@pytest.mark.parametrize("name", ["trusted-ca", "proxy"])
def test_serve_reaches_storage_as_the_jobs_do(name: str) -> None:
    def added(component: str | None) -> tuple[list[Any], list[Any], list[Any]]:
        manifests = build_with("serve", *([component] if component else []))
        [deployment] = [each for each in manifests if each["kind"] == "Deployment"]
        pod = deployment["spec"]["template"]["spec"]
        job = cronjob(manifests, "prune")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
        [serve] = [each for each in pod["containers"] if each["name"] == "opskit"]
        [container] = job["containers"]
        return (
            [each for each in container["env"] if each not in serve["env"]],
            [each for each in container["volumeMounts"] if each not in serve["volumeMounts"]],
            [each for each in job["volumes"] if each not in pod["volumes"]],
        )

    assert added(name) == added(None)


def test_nothing_goes_through_a_shell() -> None:
    for name, pod in pod_specs():
        for container in containers(pod):
            words = [*container.get("command", ()), *container.get("args", ())]
            assert not {"sh", "bash", "/bin/sh", "-c"} & set(words), name


def test_images_have_a_version() -> None:
    for where, each in everything():
        if where == "install":
            continue  # `cluster install` wants --image
        for image in re.findall(r"^ *(?:- )?image: (\S+)$", yaml.safe_dump(each), re.MULTILINE):
            assert re.search(r"(:[\w.-]+|@sha256:[0-9a-f]{64})$", image), f"{where}: {image}"
            assert not image.endswith(":latest"), f"{where}: {image}"


def test_each_set_of_privileges_has_an_account_and_few_have_an_api_token() -> None:
    accounts = {each.name: spec_of_pod(each.name)["serviceAccountName"] for each in JOBS}
    assert accounts == {
        "backup": "opskit-backup",
        "rehearse": "opskit-rehearse",
        "verify-artifacts": "opskit-read",
        "probe": "opskit-probe",
        "freshness": "opskit-read",
        "prune": "opskit-prune",
        "restore": "opskit-restore",
    }
    with_token = {each.name for each in JOBS if spec_of_pod(each.name)["automountServiceAccountToken"]}
    assert with_token == {"restore"}
    for where, each in everything():
        if each["kind"] == "ServiceAccount" and each["metadata"]["name"] != "opskit-serve":
            assert each["automountServiceAccountToken"] is False, where


def spec_of_pod(name: str) -> dict[str, Any]:
    path = CRONJOBS / "overlays" / "distance-prediction"
    found: dict[str, Any] = cronjob(overlay(path), name)["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    return found


@pytest.mark.parametrize("of", ["probe", "serve"])
def test_token_for_the_proxy_is_rotated(of: str) -> None:
    [serve] = [each for each in with_component("serve") if each["kind"] == "Deployment"]
    pod = spec_of_pod("probe") if of == "probe" else serve["spec"]["template"]["spec"]
    [projected] = [volume for volume in pod["volumes"] if "projected" in volume]
    assert {"name": projected["name"], "mountPath": "/var/run/secrets/opskit", "readOnly": True} in pod["containers"][
        0
    ]["volumeMounts"]
    assert projected["projected"]["sources"] == [{"serviceAccountToken": {"path": "token", "expirationSeconds": 3600}}]
    config = yaml.safe_load((CRONJOBS / "overlays" / "distance-prediction" / "opskit.yaml").read_text())
    assert config["registries"][0]["proxy"]["token_file"] == "/var/run/secrets/opskit/token"


# Overlays


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.name)
def test_overlay_holds_no_namespace_and_no_secret(path: Path) -> None:
    # Argo CD would prune the Namespace, and the registries with it.
    assert not {"Namespace", "Secret"} & {each["kind"] for each in overlay(path)}


@pytest.mark.parametrize("path", OVERLAYS, ids=lambda path: path.name)
def test_configuration_of_an_overlay_is_valid(path: Path) -> None:
    [config] = [each for each in overlay(path) if each["metadata"]["name"] == "opskit-config"]
    Settings.model_validate(yaml.safe_load(config["data"]["opskit.yaml"]))


def test_objects_for_mysql_s_namespace_stay_there() -> None:
    assert {each["metadata"]["namespace"] for each in overlay(MYSQL_SIDE)} == {"distance-prediction"}
    for path in OVERLAYS:
        assert "opskit-to-mysql" not in {each["metadata"]["name"] for each in overlay(path)}


def test_every_object_says_what_it_belongs_to() -> None:
    for where, each in everything():
        labels = each["metadata"].get("labels", {})
        if where.startswith("component"):
            continue  # its own objects get the overlay's labels
        assert labels.get("app.kubernetes.io/name") == "opskit", f"{where}: {each['kind']} {each['metadata']['name']}"
        assert labels.get("app.kubernetes.io/part-of") == "model-registry-operations"


def test_argo_cd_applies_accounts_then_jobs_and_last_what_may_be_degraded() -> None:
    waves = {
        each.name: cronjob(overlay(OVERLAYS[0]), each.name)["metadata"]["annotations"]["argocd.argoproj.io/sync-wave"]
        for each in JOBS
    }
    assert {name for name, wave in waves.items() if wave == "2"} == {"probe", "freshness"}
    assert set(waves.values()) == {"1", "2"}


def test_dns_policy_knows_openshift_s_port() -> None:
    [policy] = [each for each in with_component("network-policy") if each["kind"] == "NetworkPolicy"]
    dns, *_, outside = policy["spec"]["egress"]
    ports = {(port["port"], port["protocol"]) for port in dns["ports"]}
    assert ports == {(53, "UDP"), (53, "TCP"), (5353, "UDP"), (5353, "TCP")}
    assert dns["to"][0]["namespaceSelector"]["matchExpressions"][0]["values"] == ["openshift-dns", "kube-system"]
    assert outside["to"][0]["ipBlock"] == {"cidr": "0.0.0.0/0", "except": ["169.254.0.0/16"]}
    assert {port["port"] for port in outside["ports"]} == {3306, 443, 6443, 3128}


def test_policy_lets_out_to_the_proxy() -> None:
    [policy] = [each for each in with_component("network-policy") if each["kind"] == "NetworkPolicy"]
    pod = cronjob(with_component("proxy"), "backup")["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    [proxy] = [each["value"] for each in pod["containers"][0]["env"] if each["name"] == "HTTPS_PROXY"]
    assert urlsplit(proxy).port in {port["port"] for port in policy["spec"]["egress"][-1]["ports"]}


# Alerts


def rules(manifests: list[Manifest]) -> list[dict[str, Any]]:
    return [
        rule
        for each in manifests
        if each["kind"] == "PrometheusRule"
        for group in each["spec"]["groups"]
        for rule in group["rules"]
    ]


@pytest.mark.parametrize("name", [each.name for each in JOBS if each.stale_after])
def test_age_that_alerts_is_that_of_the_table_of_jobs(name: str) -> None:
    stale_after = job(name).stale_after
    assert stale_after is not None
    ages = [
        int(seconds)
        for rule in rules(with_component("alerts"))
        for seconds in re.findall(rf'status_last_successful_time\{{cronjob="opskit-{name}"\}}\) > (\d+)', rule["expr"])
    ]
    assert ages == [stale_after.total_seconds()]


def test_alerts_have_all_that_on_call_needs_and_use_series_that_openshift_keeps() -> None:
    found = rules(with_component("alerts"))
    assert found
    for rule in found:
        assert rule["labels"]["severity"] in ("critical", "warning", "info"), rule["alert"]
        assert rule["annotations"].keys() == {"summary", "description", "runbook_url"}, rule["alert"]
        assert not re.search(r"_created\b|reason=", rule["expr"]), rule["alert"]
        for series in re.findall(r"kube_cronjob_\w+", rule["expr"]):
            assert series in {
                "kube_cronjob_spec_suspend",
                "kube_cronjob_status_active",
                "kube_cronjob_status_last_schedule_time",
                "kube_cronjob_status_last_successful_time",
            }


def test_text_tells_a_value_only_where_it_has_one_meaning() -> None:
    """The value of an expression with alternatives is an age in one of them, and a moment or a 1 in another."""
    for rule in [*rules(with_component("alerts")), *rules(with_component("serve"))]:
        if "$value" in json.dumps(rule["annotations"]):
            assert not re.search(r"\bor\b", rule["expr"]), rule["alert"]


def test_layers_that_page_are_those_of_the_job_probe() -> None:
    [expression] = [rule["expr"] for rule in rules(with_component("serve")) if rule["alert"] == "OpskitLayerDown"]
    [layers] = re.findall(r'layer=~"([\w|]+)"', expression)
    assert layers.split("|") == job("probe").arguments[-1].split(",")
