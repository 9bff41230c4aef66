"""What a swap and a rollback show, and the restart of the registry that ends them."""

import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import click

from opskit.checks import planned_checks
from opskit.cli.invocation import Invocation
from opskit.cli.output import Table
from opskit.cli.parameters import DurationType
from opskit.cli.text import human_seconds, human_size
from opskit.errors import ConfigurationError, OpskitError
from opskit.probe.result import CheckResult, State, gravest
from opskit.probe.runner import run_checks
from opskit.registry.deployment import Deployment, require_restartable, restart
from opskit.restore.settled import Settled
from opskit.restore.swap import SwapPlan, SwapReport
from opskit.restore.target import RUN_ID, Generated
from opskit.settings import Registry

if TYPE_CHECKING:
    from opskit.kubernetes_api import KubernetesApi

_PROBED = ("mysql", "rest", "grpc", "proxy")
_POLL_SECONDS = 1.0


class RunIdType(click.ParamType[str]):
    """A run id as opskit makes it."""

    name = "run id"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the run id; anything else is a usage error."""
        if not re.fullmatch(RUN_ID, str(value)):
            self.fail(f"{value!r} is no run id: take the one that opskit printed", param, ctx)
        return str(value)


def exchange_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that exchanges tables the options of doing so, and of the restart after it."""
    for option in (
        click.option("--run-id", type=RunIdType(), metavar="ID", help="Use these names: they were granted one by one."),
        click.option(
            "--restart-timeout",
            type=DurationType(),
            default="5m",
            metavar="DURATION",
            help="How long the restart and the probe may take [5m].",
        ),
        click.option("--restart", is_flag=True, help="Then restart the registry's Deployment, wait, and probe it."),
    ):
        command = option(command)
    return command


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


def planned(plan: SwapPlan) -> list[str | Table]:
    """Show what a swap would do, and name the backup by its id: by then `latest` can be another one."""
    state = "is replaced; its tables are kept beside it" if plan.live_exists else "does not exist, and is made"
    return [
        f"plan: database {plan.live} {state}",
        f"  {human_size(plan.live_bytes)} of former tables stay until `restore cleanup`",
        Table(
            ("TABLE", "ROWS NOW", "ROWS IN BACKUP", "NEWER THAN BACKUP"),
            [
                (each.table, _number(each.live_rows), _number(each.backup_rows), _number(each.newer))
                for each in plan.tables
            ],
            right=("ROWS NOW", "ROWS IN BACKUP", "NEWER THAN BACKUP"),
        ),
        *_found(plan.found),
        f"nothing was changed; to carry it out: opskit restore run {plan.backup_id} --swap --yes",
    ]


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _found(found: Sequence[Generated]) -> list[str]:
    return [
        f"found {each.database}, left {human_seconds(each.age_seconds)} ago by an earlier run"
        f"{'' if each.tables else ', which got no further'}; to drop it: opskit restore cleanup"
        for each in found
    ]


def swapped(done: SwapReport) -> list[str]:
    """Show what a swap did."""
    return [
        f"swapped: {len(done.settled.exchange.moved_in)} tables are live in {done.settled.exchange.live}",
        *settled(done.settled),
        f"  safety backup: {done.safety_backup or 'none'}",
        "  to go back: opskit restore rollback --yes",
        *_found(done.found),
    ]


def settled(done: Settled) -> list[str]:
    """Show where the former tables are, and what is not live any more."""
    moved = done.exchange
    former = f"the former {len(moved.moved_out)} are kept in {moved.outgoing}"
    return [
        f"  {former if moved.moved_out else 'there were no former tables'}",
        *(
            f"  {rows:,} rows of {table} are not live any more: only {moved.outgoing} has them"
            for table, rows in (done.lost or {}).items()
        ),
        *(f"  stray table in {moved.live}: {name}" for name in done.stray),
    ]
