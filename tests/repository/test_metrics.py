"""The metrics that are documented are those that are exposed, and Prometheus finds nothing wrong with them."""

import re
import subprocess
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from prometheus_client.parser import text_string_to_metric_families

from opskit.backup.catalog import Backup
from opskit.errors import DeniedError
from opskit.probe import render
from opskit.serve.metrics import exposition
from sandbox.prometheus import promtool
from tests.conftest import skipped_unless_had
from tests.observations import NOW, broken, healthy, hostile
from tests.unit.command_line import PROJECT

DOCUMENTED = re.findall(
    r"^\| `(opskit_\w+)` \| (.*?) ?\| (.+) \|$", (PROJECT / "docs" / "metrics.md").read_text(), re.MULTILINE
)


def exposed(text: str) -> dict[str, tuple[set[str], str]]:
    """Name → labels and explanation."""
    return {
        family.name + ("_total" if family.type == "counter" else ""): (
            {label for sample in family.samples for label in sample.labels},
            family.documentation,
        )
        for family in text_string_to_metric_families(text)
    }


def everything() -> str:
    return exposition(healthy(), {"backup": datetime.now(UTC)}).decode()


def test_documented_metrics_are_those_that_are_exposed() -> None:
    documented = {name: (set(re.findall(r"`(\w+)`", labels)), meaning) for name, labels, meaning in DOCUMENTED}
    assert documented == exposed(everything())


def test_every_measurement_of_a_layer_is_documented() -> None:
    assert {f"opskit_{name}" for name in render.MEASUREMENTS} <= {name for name, _, _ in DOCUMENTED}


def test_series_are_unique_and_a_broken_registry_is_exposed_too() -> None:
    for observation in (healthy(), broken(), hostile(), None):
        text = exposition(observation, {}).decode()
        series = [line.rpartition(" ")[0] for line in text.splitlines() if not line.startswith("#")]
        assert len(series) == len(set(series))


def test_layers_are_exposed_alike_by_probe_and_by_serve() -> None:
    results = healthy().registries[0].checks
    probe = exposed(render.prometheus(results) + "\n")
    assert probe == {name: each for name, each in exposed(everything()).items() if name in probe}


def test_backup_that_cannot_be_read_is_counted_too() -> None:
    observation = broken()
    registry = observation.registries[0]
    denied = Backup("20261125T021700Z-ffffff", None, ("denied",), 10, NOW, None, DeniedError("denied"))
    registry = replace(registry, backups=(denied, *registry.backups))
    text = exposition(replace(observation, registries=(registry,)), {}).decode()
    counts = {
        sample.labels["state"]: sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "opskit_backups"
    }
    assert (counts["unreadable"], counts["damaged"], counts["unfinished"]) == (1, 1, 1)
    assert sum(counts.values()) == len(registry.backups)


@pytest.mark.prometheus
def test_promtool_finds_nothing_wrong() -> None:
    with skipped_unless_had("prometheus"):
        command = promtool()
    probe = render.prometheus(healthy().registries[0].checks) + "\n"
    for text in (everything(), *(exposition(each, {}).decode() for each in (broken(), hostile())), probe):
        checked = subprocess.run(
            [*command, "check", "metrics"], input=text, capture_output=True, text=True, check=False
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, "", "")
