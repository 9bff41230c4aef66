"""Everything that is known at one moment: what the layers say, and what lies in storage.

Metrics, status page and API are views of one `Observation`. What it says of backups comes from their manifests, so
that it survives restarts, and a lost cluster.
"""

import logging
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from opskit.backup.catalog import Backup, list_backups
from opskit.backup.layout import is_from_the_future
from opskit.checks import planned_checks
from opskit.errors import OpskitError
from opskit.jobs import job
from opskit.probe.evidence import ArtifactReport, Rehearsal, newest_artifact_reports, newest_rehearsals
from opskit.probe.result import LAYERS, CheckResult, State, gravest
from opskit.probe.runner import run_checks, shown
from opskit.serve.runs import Run
from opskit.settings import Registry, Settings
from opskit.storage import Storage
from opskit.wiring import configured_storage

logger = logging.getLogger(__name__)

# What is shown of the past.
HISTORY = timedelta(days=30)
# Storage is read for so long at most: the manifests of some thousand backups.
STORAGE_SECONDS: Final = 60.0

# The jobs that look and leave nothing in storage, and the layers that each looks at.
LOOKS: Final[Mapping[str, tuple[str, ...]]] = {
    name: tuple(job(name).arguments[-1].split(",")) for name in ("probe", "freshness")
}

_END_OF_TIME: Final = datetime.max.replace(tzinfo=UTC)

Trace = TypeVar("Trace", Rehearsal, ArtifactReport)


@dataclass(frozen=True, slots=True)
class RegistryObservation:
    """One registry: its layers, and the newest first of what storage holds of it.

    `problem` says why storage could not be read, which is another thing than that it holds nothing. `well` says when
    this process last found the layers of a job as they should be, `moment` when it looked.
    """

    name: str
    checks: tuple[CheckResult, ...]
    backups: tuple[Backup, ...] = ()
    rehearsals: tuple[Rehearsal, ...] = ()
    artifact_reports: tuple[ArtifactReport, ...] = ()
    problem: str | None = None
    well: Mapping[str, datetime] = field(default_factory=dict)
    moment: datetime = _END_OF_TIME

    @property
    def state(self) -> State:
        """The gravest state of its layers; a storage that cannot be read is unknown, whatever they say."""
        stored = State.NOT_APPLICABLE if self.problem is None else State.UNKNOWN
        return gravest((stored, *(check.state for check in self.checks)))

    def check(self, layer: str) -> CheckResult | None:
        """Return what one layer says, if it was looked at."""
        return next((check for check in self.checks if check.layer == layer), None)

    @property
    def complete_backups(self) -> tuple[Backup, ...]:
        """The backups that can be restored, the newest first; one from the future takes no other's place."""
        return tuple(
            backup
            for backup in self.backups
            if backup.state == "complete" and not is_from_the_future(backup.id, self.moment)
        )


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


def observe(
    settings: Settings,
    registries: Sequence[Registry],
    runs: Sequence[Run] = (),
    former: Observation | None = None,
    *,
    unreadable: Mapping[str, OpskitError] | None = None,
    storage_seconds: float = STORAGE_SECONDS,
) -> Observation:
    """Look at every layer and at the storage; what cannot be read, or not in time, is part of what is returned.

    `former` is what this process observed before, if it did; `unreadable` is as of `planned_checks`.
    """
    results = run_checks(
        planned_checks(settings, registries, LAYERS, unreadable=unreadable), settings.probe.deadline.total_seconds()
    )
    moment = datetime.now(UTC)
    known = {each.name: each for each in former.registries} if former else {}
    looked = []
    for name in (*(registry.name for registry in registries), *(unreadable or ())):
        checks = tuple(each for each in results if each.registry == name)
        before = known[name].well if name in known else {}
        looked.append(
            RegistryObservation(name, checks, moment=moment, well={**before, **dict.fromkeys(_well(checks), moment)})
        )
    return Observation(
        moment=moment,
        storage_url=settings.storage.url,
        registries=tuple(_with_stored(settings, looked, storage_seconds)),
        runs=tuple(runs),
        backup_max_age=settings.probe.backup_max_age,
    )


def _well(checks: Iterable[CheckResult]) -> list[str]:
    """Return the jobs that would succeed now: all of their layers were looked at, none is critical or unknown."""
    well = {check.layer for check in checks if check.state.gravity < State.UNKNOWN.gravity}
    return [name for name, layers in LOOKS.items() if well.issuperset(layers)]


def _with_stored(
    settings: Settings, looked: Sequence[RegistryObservation], seconds: float
) -> list[RegistryObservation]:
    """Add what storage holds of each registry; threads read, for no timeout of a library bounds the whole."""
    try:
        storage = configured_storage(settings)
    except OpskitError as error:
        return [replace(each, problem=shown(error.message)) for each in looked]
    found = [replace(each, problem=f"the storage has not answered within {seconds:g} s") for each in looked]

    def read(number: int) -> None:
        found[number] = _read(storage, looked[number])

    threads = [threading.Thread(target=read, args=(number,), daemon=True) for number in range(len(looked))]
    deadline = time.monotonic() + seconds
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(max(0.0, deadline - time.monotonic()))
    return list(found)


def _read(storage: Storage, registry: RegistryObservation) -> RegistryObservation:
    try:
        backups = tuple(reversed(list_backups(storage, registry.name)))
        rehearsals = _recent(newest_rehearsals(storage, registry.name))
        reports = _recent(newest_artifact_reports(storage, registry.name))
    except OpskitError as error:
        return replace(registry, problem=shown(error.message))
    except Exception as error:
        logger.exception("%s: reading the storage ended with a bug", registry.name)
        return replace(registry, problem=f"a bug in opskit: {type(error).__name__}")
    return replace(registry, backups=backups, rehearsals=rehearsals, artifact_reports=reports)


def _recent(found: Iterable[Trace]) -> tuple[Trace, ...]:
    """Return the newest whatever its age, and those of the time that is shown; no more is read from storage."""
    recent: list[Trace] = []
    for each in found:
        if recent and datetime.now(UTC) - each.finished > HISTORY:
            break
        recent.append(each)
    return tuple(recent)
