"""Everything that is known at one moment: what the layers say, and what lies in storage.

Metrics, status page and API are views of one `Observation`. What it says of backups comes from their manifests, so
that it survives restarts, and a lost cluster.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from opskit.backup.catalog import Backup, list_backups
from opskit.checks import planned_checks
from opskit.errors import OpskitError
from opskit.probe.evidence import ArtifactReport, Rehearsal, newest_artifact_reports, newest_rehearsals
from opskit.probe.result import LAYERS, CheckResult, State, gravest
from opskit.probe.runner import run_checks
from opskit.redaction import mask
from opskit.serve.runs import Run
from opskit.settings import Registry, Settings
from opskit.wiring import configured_storage

# What is shown of the past.
HISTORY = timedelta(days=30)

Trace = TypeVar("Trace", Rehearsal, ArtifactReport)


@dataclass(frozen=True, slots=True)
class RegistryObservation:
    """One registry: its layers, and the newest first of what storage holds of it.

    `problem` says why storage could not be read, which is another thing than that it holds nothing.
    """

    name: str
    checks: tuple[CheckResult, ...]
    backups: tuple[Backup, ...] = ()
    rehearsals: tuple[Rehearsal, ...] = ()
    artifact_reports: tuple[ArtifactReport, ...] = ()
    problem: str | None = None

    @property
    def state(self) -> State:
        """The gravest state of its layers."""
        return gravest(check.state for check in self.checks)

    def check(self, layer: str) -> CheckResult | None:
        """Return what one layer says, if it was looked at."""
        return next((check for check in self.checks if check.layer == layer), None)

    @property
    def complete_backups(self) -> tuple[Backup, ...]:
        """The backups that can be restored, the newest first."""
        return tuple(backup for backup in self.backups if backup.state == "complete")


@dataclass(frozen=True, slots=True)
class Observation:
    """All registries at one moment, the runs of the process that looked, and how old a backup may be at most."""

    moment: datetime
    storage_url: str
    registries: tuple[RegistryObservation, ...]
    runs: tuple[Run, ...] = ()
    backup_max_age: timedelta = timedelta(hours=26)

    @property
    def state(self) -> State:
        """The gravest state of all."""
        return gravest(registry.state for registry in self.registries)


def observe(settings: Settings, registries: Sequence[Registry], runs: Sequence[Run] = ()) -> Observation:
    """Look at every layer and at the storage; what cannot be read is part of what is returned."""
    results = run_checks(planned_checks(settings, registries, LAYERS), settings.probe.deadline.total_seconds())
    return Observation(
        moment=datetime.now(UTC),
        storage_url=settings.storage.url,
        registries=tuple(
            _observed(settings, registry.name, tuple(each for each in results if each.registry == registry.name))
            for registry in registries
        ),
        runs=tuple(runs),
        backup_max_age=settings.probe.backup_max_age,
    )


def _observed(settings: Settings, name: str, checks: tuple[CheckResult, ...]) -> RegistryObservation:
    try:
        storage = configured_storage(settings)
        backups = tuple(reversed(list_backups(storage, name)))
        rehearsals = _recent(newest_rehearsals(storage, name))
        reports = _recent(newest_artifact_reports(storage, name))
    except OpskitError as error:
        return RegistryObservation(name, checks, problem=mask(error.message))
    return RegistryObservation(name, checks, backups, rehearsals, reports)


def _recent(found: Iterable[Trace]) -> tuple[Trace, ...]:
    """Return the newest whatever its age, and those of the time that is shown; no more is read from storage."""
    recent: list[Trace] = []
    for each in found:
        if recent and datetime.now(UTC) - each.finished > HISTORY:
            break
        recent.append(each)
    return tuple(recent)
