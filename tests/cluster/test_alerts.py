"""The alerts of the built rules, judged by promtool on series as kube-state-metrics and `opskit serve` have them."""

import json
import re
import subprocess
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml

from sandbox.kustomize import CRONJOBS, Manifest, build_with
from sandbox.prometheus import promtool
from tests.cluster.test_manifests import rules
from tests.conftest import skipped_unless_had
from tests.unit.command_line import PROJECT

pytestmark = pytest.mark.prometheus
JOBS = ("backup", "rehearse", "verify-artifacts", "probe", "freshness", "prune")
HOUR = 3600
DAY = 24 * HOUR
# The clock of promtool starts at 0; everything happens around this hour.
NOW = 30 * DAY
# Minutes between two samples, and between two evaluations; every `for:` is a multiple or shorter.
STEP = 15
METRICS = {
    name
    for line in (PROJECT / "docs" / "metrics.md").read_text().splitlines()
    for name in re.findall(r"^\| `(opskit_\w+)`", line)
}
# Series → its value all the time, or its values as promtool writes them.
Series = dict[str, float | str]


def series(name: str, job: str, *, scraper: str = "a") -> str:
    labels = f'cronjob="opskit-{job}",namespace="registries",instance="{scraper}",job="kube-state-metrics"'
    return f"kube_cronjob_{name}{{{labels}}}"


def healthy(*jobs: str, scraper: str = "a") -> Series:
    """Every job ran ten seconds ago and succeeded."""
    found: Series = {}
    for job in jobs or JOBS:
        found[series("spec_suspend", job, scraper=scraper)] = 0
        found[series("status_active", job, scraper=scraper)] = 0
        found[series("status_last_schedule_time", job, scraper=scraper)] = NOW - 10
        found[series("status_last_successful_time", job, scraper=scraper)] = NOW - 5
    return found


def serving() -> Series:
    return {
        'opskit_build_info{namespace="registries",version="1"}': 1,
        'opskit_observation_timestamp_seconds{namespace="registries"}': NOW - 30,
    }


@cache
def built(component: str) -> list[Manifest]:
    return build_with(component)


def firing(
    found: Series, tmp_path: Path, *, component: str = "alerts", minutes: int = 3 * DAY // 60, step: int = STEP
) -> set[str]:
    """The alerts that fire at NOW when these series have had these values for three days, or for some minutes."""
    manifests = built(component)
    [rule] = [each for each in manifests if each["kind"] == "PrometheusRule"]
    (tmp_path / "rules.yaml").write_text(yaml.safe_dump({"groups": rule["spec"]["groups"]}))
    names = sorted({each["alert"] for each in rules(manifests)})
    with skipped_unless_had("prometheus"):
        command = promtool()
    # promtool says what it expected and what it got: nothing is expected, so everything that fires is told.
    values = {key: _values(value, minutes, step) for key, value in found.items()}
    test = {
        "rule_files": ["rules.yaml"],
        "evaluation_interval": f"{step}m",
        "tests": [
            {
                "interval": f"{step}m",
                "input_series": [{"series": key, "values": value} for key, value in values.items()],
                "alert_rule_test": [
                    {"eval_time": f"{minutes}m", "alertname": name, "exp_alerts": []} for name in names
                ],
            }
        ],
    }
    (tmp_path / "test.yaml").write_text(yaml.safe_dump(test))
    done = subprocess.run(
        [*command, "test", "rules", "test.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    output = done.stdout + done.stderr
    fired = set(re.findall(r"alertname: ?(\w+)", output)) & set(names)
    assert done.returncode == (1 if fired else 0), output
    return fired


def _values(value: float | str, minutes: int, step: int) -> str:
    """One value a step. Moments are told relative to NOW, which in promtool's clock is the last minute."""
    if isinstance(value, str):
        return value
    shifted = value - (NOW - minutes * 60) if value > 3 * DAY else value
    return f"{shifted:.0f}x{minutes // step}"


def changed(found: Series, **values: Any) -> Series:  # noqa: ANN401 - None takes a series away
    """The series, with those of `job_metric` set."""
    for key, value in values.items():
        job, _, metric = key.partition("__")
        name = series(metric, job.replace("_", "-"))
        if value is None:
            found.pop(name)
        else:
            found[name] = value
    return found


def test_nothing_fires_where_all_is_well(tmp_path: Path) -> None:
    assert firing(healthy(), tmp_path) == set()


def test_two_scrapers_raise_no_alarm_when_one_of_them_is_behind(tmp_path: Path) -> None:
    behind = healthy(scraper="b")
    for key in behind:
        if "last_successful_time" in key:
            behind[key] = NOW - 60 * DAY
    assert firing(healthy() | behind, tmp_path) == set()


@pytest.mark.parametrize(
    ("job", "age", "alerts"),
    [
        ("backup", 47 * HOUR, {"OpskitBackupFailing"}),
        ("backup", 49 * HOUR, {"OpskitBackupFailing", "OpskitBackupStale"}),
        ("rehearse", 13 * DAY, {"OpskitRehearsalFailing"}),
        ("rehearse", 15 * DAY, {"OpskitRehearsalFailing", "OpskitRehearsalStale"}),
        ("probe", 14 * 60, set()),
        ("probe", 40 * 60, {"OpskitRegistryDown"}),
        ("freshness", 3 * HOUR, {"OpskitFreshness"}),
        ("verify-artifacts", 3 * DAY, {"OpskitArtifactsUnverified"}),
        ("prune", 3 * DAY, {"OpskitPruneStale"}),
    ],
)
def test_old_success_fires(job: str, age: int, alerts: set[str], tmp_path: Path) -> None:
    found = healthy()
    found[series("status_last_successful_time", job)] = _moment(age)
    assert firing(found, tmp_path) == alerts


def _moment(age: int) -> float:
    return NOW - age


def test_failure_fires_only_when_no_try_is_running(tmp_path: Path) -> None:
    found = changed(healthy(), backup__status_last_successful_time=NOW - DAY)
    assert firing(found, tmp_path) == {"OpskitBackupFailing"}
    assert firing(changed(found, backup__status_active=1), tmp_path) == set()


def test_job_that_never_succeeded_fires(tmp_path: Path) -> None:
    found = healthy()
    del found[series("status_last_successful_time", "backup")]
    assert firing(found, tmp_path) == {"OpskitBackupNeverSucceeded", "OpskitBackupFailing"}


@pytest.mark.parametrize(("job", "alert"), [("backup", "OpskitBackupNeverSucceeded"), ("probe", "OpskitDown")])
def test_job_that_was_never_even_scheduled_fires(job: str, alert: str, tmp_path: Path) -> None:
    found = healthy()
    del found[series("status_last_successful_time", job)]
    del found[series("status_last_schedule_time", job)]
    assert firing(found, tmp_path) == {alert}


@pytest.mark.parametrize(
    ("minutes", "active", "alerts"),
    [
        (10, 1, set()),
        (45, 1, {"OpskitRegistryDown"}),  # by then the probe was started nine times
        (
            45,
            0,
            {
                "OpskitArtifactsUnverified",
                "OpskitBackupFailing",
                "OpskitFreshness",
                "OpskitPruneStale",
                "OpskitRegistryDown",
                "OpskitRehearsalFailing",
            },
        ),
    ],
)
def test_first_run_fires_once_it_has_failed_and_not_before(
    minutes: int, active: int, alerts: set[str], tmp_path: Path
) -> None:
    found = healthy()
    for job in JOBS:
        del found[series("status_last_successful_time", job)]
        found[series("status_active", job)] = active
    assert firing(found, tmp_path, minutes=minutes, step=5) == alerts


NOT_STARTED = {
    "backup": "OpskitBackupNotScheduled",
    "rehearse": "OpskitRehearsalStale",
    "verify-artifacts": "OpskitArtifactsUnverified",
    "probe": "OpskitDown",
    "freshness": "OpskitFreshness",
    "prune": "OpskitPruneStale",
}


@pytest.mark.parametrize("job", JOBS)
def test_suspended_job_fires(job: str, tmp_path: Path) -> None:
    found = healthy()
    found[series("spec_suspend", job)] = 1
    found[series("status_last_schedule_time", job)] = NOW - HOUR
    found[series("status_last_successful_time", job)] = NOW - HOUR + 5
    assert firing(found, tmp_path) == {NOT_STARTED[job]}


@pytest.mark.parametrize("job", JOBS)
def test_job_that_is_gone_fires(job: str, tmp_path: Path) -> None:
    assert firing(healthy(*(each for each in JOBS if each != job)), tmp_path) == {NOT_STARTED[job]}


def test_nothing_at_all_is_no_silence(tmp_path: Path) -> None:
    assert firing({}, tmp_path) == set(NOT_STARTED.values())


def test_probe_that_was_suspended_before_its_first_success_says_nothing_of_the_registry(tmp_path: Path) -> None:
    found = changed(healthy(), probe__spec_suspend=1, probe__status_last_schedule_time=NOW - HOUR)
    del found[series("status_last_successful_time", "probe")]
    assert firing(found, tmp_path) == {"OpskitDown"}


@pytest.mark.parametrize(("looking", "alerts"), [(3, set()), (8, {"OpskitRegistryDown"})])
def test_probe_that_starts_again_after_a_pause_has_time_for_a_look(
    looking: int, alerts: set[str], tmp_path: Path
) -> None:
    """The clock of these series begins when it starts again, an hour after its last success, 30 minutes after 0."""
    found = healthy()
    found[series("status_last_schedule_time", "probe")] = f"-1800x29 1800x{looking}"
    found[series("status_last_successful_time", "probe")] = f"-1800x{30 + looking}"
    assert firing(found, tmp_path, minutes=30 + looking, step=1) == alerts


@pytest.mark.parametrize(
    ("name", "value", "alerts"),
    [
        ('opskit_probe_state{registry="a",layer="mysql",state="critical"}', 1, {"OpskitLayerDown"}),
        ('opskit_probe_state{registry="a",layer="mysql",state="unknown"}', 1, {"OpskitLayerDown"}),
        ('opskit_probe_state{registry="a",layer="mysql",state="warning"}', 1, set()),
        ('opskit_probe_state{registry="a",layer="backup",state="critical"}', 1, set()),
        ('opskit_schema_dirty{registry="a"}', 1, {"OpskitSchemaDirty"}),
        ('opskit_schema_dirty{registry="a"}', 0, set()),
        ('opskit_certificate_expiry_timestamp_seconds{registry="a"}', NOW + 13 * DAY, {"OpskitCertificateExpiring"}),
        ('opskit_certificate_expiry_timestamp_seconds{registry="a"}', NOW + 15 * DAY, set()),
        ('opskit_artifacts{registry="a",verdict="missing"}', 2, {"OpskitArtifactsMissing"}),
        ('opskit_artifacts{registry="a",verdict="present"}', 2, set()),
        ('opskit_artifacts_changed{registry="a"}', 1, {"OpskitArtifactsChanged"}),
        ('opskit_observation_timestamp_seconds{namespace="registries"}', NOW - HOUR, {"OpskitServeDown"}),
    ],
)
def test_finer_alerts_of_serve(name: str, value: float, alerts: set[str], tmp_path: Path) -> None:
    assert firing(serving() | {name: value}, tmp_path, component="serve") == alerts


def test_serve_that_exposes_nothing_is_down(tmp_path: Path) -> None:
    assert firing({}, tmp_path, component="serve") == {"OpskitServeDown"}


# What is asked for is exposed


def metrics_of(expressions: Sequence[str]) -> set[str]:
    return {name for each in expressions for name in re.findall(r"\bopskit_\w+", each)}


def test_alerts_ask_for_metrics_that_are_exposed() -> None:
    asked = metrics_of([rule["expr"] for rule in rules(built("serve"))])
    assert asked
    assert asked <= METRICS


def test_every_query_of_the_dashboard_is_parsed_and_names_an_exposed_metric(tmp_path: Path) -> None:
    dashboard = json.loads((CRONJOBS / "components" / "grafana" / "opskit.json").read_text())
    queries = [target["expr"] for panel in dashboard["panels"] for target in panel["targets"]]
    assert len(queries) == 10
    for query in queries:
        assert metrics_of([query]), query
    assert metrics_of(queries) <= METRICS
    recorded = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries)]
    (tmp_path / "queries.yaml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    with skipped_unless_had("prometheus"):
        command = promtool()
    done = subprocess.run(
        [*command, "check", "rules", "queries.yaml"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
