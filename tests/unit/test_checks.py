"""What a layer says before anything is asked: it is not configured, or what it needs is not there."""

import sys
from pathlib import Path

import pytest

from opskit.checks import planned_checks
from opskit.errors import DeniedError
from opskit.probe.result import LAYERS, CheckResult, State
from opskit.probe.runner import run_checks
from opskit.serve.observation import observe
from opskit.settings import load_settings


def looked(folder: Path, layers: tuple[str, ...], **environment: str) -> dict[str, CheckResult]:
    database = {"HOST": "127.0.0.1", "PORT": "1", "USER": "user", "DATABASE": "models"}
    told = {"NAME": "models", **{f"MYSQL__{name}": value for name, value in database.items()}, **environment}
    registry = {f"OPSKIT_REGISTRIES__0__{name}": value for name, value in told.items()}
    settings = load_settings(None, registry | {"OPSKIT_STORAGE_URL": folder.as_uri()})
    results = run_checks(planned_checks(settings, settings.registries, layers), 30)
    return {result.layer: result for result in results}


def test_layers_that_are_not_configured_are_not_applicable(tmp_path: Path) -> None:
    results = looked(tmp_path, LAYERS)
    unconfigured = {layer for layer, result in results.items() if result.detail == "not configured"}
    assert unconfigured == {"rest", "grpc", "proxy", "operator"}
    assert {results[layer].state for layer in unconfigured} == {State.NOT_APPLICABLE}


def test_token_that_cannot_be_read_is_unknown(tmp_path: Path) -> None:
    environment = {"REST__URL": "http://127.0.0.1:1", "REST__TOKEN_FILE": str(tmp_path / "absent")}
    (result,) = looked(tmp_path, ("rest",), **environment).values()
    assert (result.state, result.runbook) == (State.UNKNOWN, "registry-down")


@pytest.mark.parametrize(
    ("layer", "library", "extra", "environment"),
    [
        ("grpc", "grpc", "probe", {"GRPC__ADDRESS": "127.0.0.1:1"}),
        (
            "operator",
            "kubernetes",
            "cluster",
            {
                "DEPLOYMENT__NAMESPACE": "registries",
                "DEPLOYMENT__NAME": "models",
            },
        ),
    ],
)
def test_library_that_is_not_installed_makes_its_layer_unknown(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    layer: str,
    library: str,
    extra: str,
    environment: dict[str, str],
) -> None:
    for module in ("opskit.probe.grpc", "opskit.kubernetes_api"):
        monkeypatch.delitem(sys.modules, module, raising=False)
    for module in [library, *(each for each in sys.modules if each.startswith(f"{library}."))]:
        monkeypatch.setitem(sys.modules, module, None)
    (result,) = looked(tmp_path, (layer,), **environment).values()
    assert (result.state, result.hint) == (State.UNKNOWN, f"pip install 'opskit[{extra}]'")


def test_registry_that_discovery_could_not_read_is_unknown_and_nothing_of_it_is_called_well(tmp_path: Path) -> None:
    settings = load_settings(None, {"OPSKIT_STORAGE_URL": tmp_path.as_uri(), "OPSKIT_DISCOVER__NAMESPACE": "models"})
    denied = {"greedy": DeniedError("secrets/private may not be read", hint="grant it")}
    (only,) = run_checks(planned_checks(settings, [], ("storage", "backup"), unreadable=denied), 30)
    assert (only.registry, only.state) == ("greedy", State.UNKNOWN)
    assert only.findings[0].hint == "grant it"
    (observed,) = observe(settings, [], unreadable=denied).registries
    assert (observed.name, observed.state, observed.well) == ("greedy", State.UNKNOWN, {})
