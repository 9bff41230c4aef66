"""The restart of the registry that ends a swap or a rollback, and the probe after it."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

from opskit.amounts import human_seconds
from opskit.checks import planned_checks
from opskit.cli.invocation import Invocation
from opskit.errors import ConfigurationError, OpskitError
from opskit.probe.result import CheckResult, State, gravest
from opskit.probe.runner import run_checks
from opskit.registry.deployment import Deployment, require_restartable, restart
from opskit.settings import Registry

if TYPE_CHECKING:
    from opskit.kubernetes_api import KubernetesApi

_PROBED = ("mysql", "rest", "grpc", "proxy")
_POLL_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Restarted:
    """How the restart ended: `error` says why not, `results` is what the probe found."""

    deployment: str
    seconds: float | None
    error: str | None
    results: tuple[CheckResult, ...] = ()


class Restart:
    """The restart that is to come: what it needs is looked at before anything is changed."""

    def __init__(self, invocation: Invocation, registry: Registry, timeout: timedelta) -> None:
        if registry.deployment is None:
            raise ConfigurationError(
                f"--restart: it is not configured which Deployment registry {registry.name!r} is",
                hint="set registries.deployment.namespace and .name, or restart it by hand",
            )
        self._invocation = invocation
        self._registry = registry
        self._deployment = Deployment(registry.deployment.namespace, registry.deployment.name)
        self._timeout_seconds = timeout.total_seconds()
        self._api = _cluster()
        require_restartable(self._api, self._deployment)

    def carry_out(self) -> Restarted:
        """Restart and probe; the tables are exchanged by now, so that a failure is told and not raised."""
        name = f"{self._deployment.namespace}/{self._deployment.name}"
        deadline = time.monotonic() + self._timeout_seconds
        try:
            seconds = restart(self._api, self._deployment, self._timeout_seconds)
        except OpskitError as error:
            self._invocation.codes.append(error.exit_code)
            return Restarted(name, None, f"{error.message}; {error.hint or self._deployment.command}")
        results = self._probe(deadline)
        if _broken(results):
            self._invocation.found_problems()
        return Restarted(name, seconds, None, tuple(results))

    def _probe(self, deadline: float) -> list[CheckResult]:
        settings = self._invocation.settings
        while True:
            checks = planned_checks(settings, [self._registry], _PROBED)
            results = run_checks(checks, settings.probe.deadline.total_seconds())
            if not _broken(results) or time.monotonic() >= deadline:
                return results
            time.sleep(_POLL_SECONDS)


def _cluster() -> "KubernetesApi":
    try:
        from opskit.kubernetes_api import connect  # noqa: PLC0415 - an extra, and slow to import
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"--restart: {error.name} is not installed", hint="pip install 'opskit[cluster]', or restart it by hand"
        ) from error
    return connect()


def _broken(results: Sequence[CheckResult]) -> bool:
    return gravest(each.state for each in results).gravity > State.WARNING.gravity


def by_hand(registry: Registry) -> str:
    """Say how the registry is restarted by hand."""
    if registry.deployment is None:
        command = "kubectl rollout restart deployment/<name>"
    else:
        command = Deployment(registry.deployment.namespace, registry.deployment.name).command
    return f"  the registry caches ids: restart it ({command})"


def restarted(done: Restarted) -> list[str]:
    """Say how the restart and the probe went."""
    if done.seconds is None:
        return [f"  deployment {done.deployment} was not restarted: {done.error}"]
    looked = [each for each in done.results if each.state is not State.NOT_APPLICABLE]
    probed = ", ".join(f"{each.layer} {each.state}" for each in looked)
    return [
        f"  deployment {done.deployment} was restarted in {human_seconds(done.seconds)}; probe: {probed}",
        *(f"  {each.layer}: {finding.detail}" for each in looked if _broken([each]) for finding in each.findings),
    ]
