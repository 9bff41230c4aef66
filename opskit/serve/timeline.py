"""What ran on each of the last days: success, failure, or a gap where something should have run."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from opskit.serve.observation import HISTORY, Observation, RegistryObservation
from opskit.serve.runs import Run
from opskit.serve.schedule import Planned

Mark = Literal["success", "findings", "failure", "gap", "nothing"]
_DAY = timedelta(days=1)
# What a day is remembered for: problems that were found, however often none were; a failure only if nothing mended it.
_MARKS: tuple[Mark, ...] = ("findings", "success", "failure")
_OF_OUTCOME: dict[str, Mark] = {
    "success": "success",
    "findings": "findings",
    "failure": "failure",
    "terminated": "failure",
    "missed": "gap",
    "overlapped": "nothing",
}


@dataclass(frozen=True, slots=True)
class Event:
    """One run of a job, wherever it ran, as far as it left a trace."""

    moment: datetime
    mark: Mark


@dataclass(frozen=True, slots=True)
class Line:
    """One job on each of the days, the oldest first; `stored` tells whether its runs leave a trace in storage."""

    job: str
    days: tuple[tuple[date, Mark], ...]
    stored: bool

    def count(self, mark: Mark) -> int:
        """Return on how many days that was so."""
        return sum(each == mark for _, each in self.days)


def timeline(
    registry: RegistryObservation, observation: Observation, planned: Sequence[Planned], zone: ZoneInfo
) -> list[Line]:
    """Return a line for each scheduled job of which there is a trace; backups always have one.

    Traces in storage are a registry's own and outlive everything; those of other jobs are of this process alone.
    """
    traces = {
        "backup": [*_backups(registry)],
        "rehearse": [*_rehearsals(registry)],
        "verify-artifacts": [*_reports(registry)],
    }
    lines = []
    for each in planned:
        name = each.job.name
        events = [*traces.get(name, ()), *_runs(observation.runs, name, stored=name in traces)]
        if events or name == "backup":
            lines.append(Line(name, _days(events, each, observation.moment, zone), stored=name in traces))
    return lines


def _days(events: Sequence[Event], planned: Planned, now: datetime, zone: ZoneInfo) -> tuple[tuple[date, Mark], ...]:
    first = min((event.moment for event in events), default=now)
    marks: defaultdict[date, set[Mark]] = defaultdict(set)
    for event in events:
        if abs(now - event.moment) <= HISTORY + _DAY:  # a forged time may be one that no zone can tell
            marks[event.moment.astimezone(zone).date()].add(event.mark)
    today = now.astimezone(zone).date()
    days = []
    for age in range(HISTORY.days - 1, -1, -1):
        day = today - age * _DAY
        days.append((day, _mark(marks[day], due=_due(planned, day, first, now, zone))))
    return tuple(days)


def _mark(marks: set[Mark], *, due: bool) -> Mark:
    """Return what a day is remembered for, given all that was tried on it."""
    return next((mark for mark in _MARKS if mark in marks), "gap" if due or "gap" in marks else "nothing")


def _due(planned: Planned, day: date, first: datetime, now: datetime, zone: ZoneInfo) -> bool:
    """Tell whether the job should have run on a day, since the first trace of it."""
    start = datetime(day.year, day.month, day.day, tzinfo=zone)
    begin, end = max(start - timedelta(seconds=1), first), min(start + _DAY, now)
    # A run in the last hour of what we know may not have ended yet.
    return begin < end and any(True for _ in planned.cron.between(begin, end - timedelta(hours=1), zone))


def _backups(registry: RegistryObservation) -> Iterable[Event]:
    for backup in registry.backups:
        if backup.manifest is not None:
            mark: Mark = "success" if backup.state == "complete" else "failure"
            yield Event(backup.manifest.snapshot.time, mark)


def _rehearsals(registry: RegistryObservation) -> Iterable[Event]:
    for rehearsal in registry.rehearsals:
        yield Event(rehearsal.finished, "success" if rehearsal.verdict == "passed" else "failure")


def _reports(registry: RegistryObservation) -> Iterable[Event]:
    for report in registry.artifact_reports:
        yield Event(report.finished, "findings" if report.gone else "success")


def _runs(runs: Sequence[Run], job: str, *, stored: bool) -> Iterable[Event]:
    """Yield the runs of this process; a success that leaves a trace in storage is believed by its trace."""
    for run in runs:
        if run.job == job and not (stored and run.outcome == "success"):
            yield Event(run.ended, _OF_OUTCOME[run.outcome])
