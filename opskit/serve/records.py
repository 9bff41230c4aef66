"""What is known of each job of one registry: when it was last tried, when it last succeeded, and what that took.

Backups, rehearsals and reports on artifacts are told by storage. `probe` and `freshness` leave nothing there: this
process looks at the same layers, and each look is a run of both. Of `prune` it knows what it has started itself.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from opskit.serve.observation import LOOKS, Observation, RegistryObservation
from opskit.serve.runs import Run


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job of one registry; None is what nobody knows. `rows` of `verify-artifacts` are artifacts."""

    job: str
    last_attempt: datetime | None = None
    last_success: datetime | None = None
    seconds: float | None = None
    rows: int | None = None
    stored_bytes: int | None = None


def job_records(registry: RegistryObservation, observation: Observation) -> Iterator[JobRecord]:
    """Yield what is known of each job that has a schedule."""
    for record in (_backup(registry), _rehearse(registry), _verify_artifacts(registry)):
        yield _tried(record, observation.runs)
    for name in LOOKS:
        yield _look(registry, name, observation.moment)
    yield _started(JobRecord("prune"), observation.runs)


def _backup(registry: RegistryObservation) -> JobRecord:
    record = JobRecord("backup", last_attempt=registry.backups[0].modified if registry.backups else None)
    manifest = next((each.manifest for each in registry.complete_backups), None)
    if manifest is None:
        return record
    return replace(
        record,
        last_success=manifest.finished,
        seconds=(manifest.finished - manifest.snapshot.time).total_seconds(),
        rows=manifest.rows,
        stored_bytes=manifest.stored_bytes,
    )


def _rehearse(registry: RegistryObservation) -> JobRecord:
    newest = next(iter(registry.rehearsals), None)
    if newest is None:
        return JobRecord("rehearse")
    manifest = next((each.manifest for each in registry.complete_backups if each.id == newest.backup_id), None)
    return JobRecord(
        "rehearse",
        last_attempt=newest.finished,
        last_success=next((each.finished for each in registry.rehearsals if each.verdict == "passed"), None),
        seconds=newest.seconds,
        rows=newest.rows,
        stored_bytes=manifest.stored_bytes if manifest else None,
    )


def _verify_artifacts(registry: RegistryObservation) -> JobRecord:
    newest = next(iter(registry.artifact_reports), None)
    if newest is None:
        return JobRecord("verify-artifacts")
    # Whatever a report says, the job has done what it is there for.
    readable = next((each for each in registry.artifact_reports if each.readable), None)
    return JobRecord(
        "verify-artifacts",
        last_attempt=newest.finished,
        last_success=readable.finished if readable else None,
        seconds=newest.seconds,
        rows=newest.artifacts if newest.readable else None,
    )


def _look(registry: RegistryObservation, name: str, moment: datetime) -> JobRecord:
    taken = [check.seconds for check in registry.checks if check.layer in LOOKS[name]]
    return JobRecord(name, moment, registry.well.get(name), max(taken, default=None))


def _started(record: JobRecord, runs: Sequence[Run]) -> JobRecord:
    """Return what the runs of this process tell of a job that leaves nothing in storage."""
    ended = [run for run in runs if run.job == record.job and run.exit_code is not None]
    if not ended:
        return record
    # One run is for all registries: it is a success only if it was one for each.
    success = next((run.ended for run in reversed(ended) if run.outcome == "success"), None)
    newest = ended[-1]
    return replace(
        record, last_attempt=newest.ended, last_success=success, seconds=(newest.ended - newest.started).total_seconds()
    )


def _tried(record: JobRecord, runs: Sequence[Run]) -> JobRecord:
    """Return the record with the runs of this process as attempts: one that failed may have left nothing in storage."""
    moments = [run.ended for run in runs if run.job == record.job and run.exit_code is not None]
    stored = [record.last_attempt] if record.last_attempt else []
    return replace(record, last_attempt=max([*moments, *stored], default=None))
