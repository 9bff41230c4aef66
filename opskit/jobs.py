"""The table of jobs: what each runs, when, for how long at most, and how old its last success may get.

A job is the command line that anybody could type: the CronJobs, `opskit serve` and the alerts all read this table,
so that a job is the same thing wherever it runs.
"""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final


@dataclass(frozen=True, slots=True)
class Job:
    """One job: `opskit` with these `arguments`.

    `schedule` is a cron expression in UTC, None for a job that only a person starts. Weekdays have names, and
    day of month and weekday are never both given: cron implementations disagree on the rest. `deadline` ends a run
    that hangs. `stale_after` is the age of the last success above which somebody is told: two periods, so that one
    failure that the next run mends wakes nobody.
    """

    name: str
    summary: str
    arguments: tuple[str, ...]
    schedule: str | None
    deadline: timedelta
    stale_after: timedelta | None


JOBS: Final[tuple[Job, ...]] = (
    Job(
        name="backup",
        summary="Back up every registry.",
        arguments=("backup", "create", "--skip-recent", "--lease-wait", "10m"),
        schedule="17 2 * * *",
        deadline=timedelta(hours=7),
        stale_after=timedelta(hours=48),
    ),
    Job(
        name="rehearse",
        summary="Restore the newest backup into a scratch database, compare it, drop it.",
        arguments=("backup", "rehearse", "latest", "--lease-wait", "10m"),
        schedule="41 4 * * sun",
        deadline=timedelta(hours=7),
        stale_after=timedelta(days=14),
    ),
    Job(
        name="verify-artifacts",
        summary="Look for the bytes of every registered artifact.",
        arguments=("artifacts", "verify", "--layout", "--exit-zero-on-findings"),
        schedule="23 5 * * *",
        deadline=timedelta(hours=6),
        stale_after=timedelta(hours=48),
    ),
    Job(
        name="probe",
        summary="Look whether the registry works, layer by layer.",
        arguments=("probe", "--only", "mysql,rest,grpc,proxy,operator"),
        schedule="*/5 * * * *",
        deadline=timedelta(minutes=3),
        stale_after=timedelta(minutes=15),
    ),
    Job(
        name="freshness",
        summary="Look how old the newest good backup, rehearsal and artifact report are.",
        arguments=("probe", "--only", "storage,backup,rehearsal,artifacts"),
        schedule="53 * * * *",
        deadline=timedelta(minutes=10),
        stale_after=timedelta(hours=2),
    ),
    Job(
        name="prune",
        summary="Delete the backups that retention lets go.",
        arguments=("backup", "prune", "--apply"),
        schedule="37 6 * * *",
        deadline=timedelta(hours=2),
        stale_after=timedelta(hours=48),
    ),
    Job(
        name="restore",
        summary="Restore a backup beside the live database; a person starts it.",
        arguments=("restore", "run"),
        schedule=None,
        deadline=timedelta(hours=24),
        stale_after=None,
    ),
)


def job(name: str) -> Job:
    """Return the job of that name; `KeyError` if there is none."""
    return {each.name: each for each in JOBS}[name]
