"""When jobs run: APScheduler, with cron expressions that mean what they mean in Kubernetes."""

import logging
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final, Literal
from zoneinfo import ZoneInfo

from apscheduler.events import EVENT_JOB_MAX_INSTANCES, EVENT_JOB_MISSED, JobExecutionEvent, JobSubmissionEvent
from apscheduler.schedulers.background import BackgroundScheduler
from apscheduler.triggers.base import BaseTrigger

from opskit.cron import Cron
from opskit.jobs import JOBS, Job
from opskit.serve.runs import Run, RunLog
from opskit.settings.serve import Serve

logger = logging.getLogger(__name__)

_NONE: Final = "none"


@dataclass(frozen=True, slots=True)
class Planned:
    """A job and the expression by which it runs."""

    job: Job
    cron: Cron


def planned_jobs(serve: Serve) -> list[Planned]:
    """Return the jobs that have a schedule: the configuration's, else that of opskit/jobs.py."""
    planned = []
    for job in JOBS:
        configured = serve.job(job.name)
        expression = (configured and configured.schedule) or job.schedule
        if expression is not None and expression != _NONE:
            planned.append(Planned(job, Cron(expression)))
    return planned


class CronTrigger(BaseTrigger):  # type: ignore[misc] # APScheduler has no types
    """Fires at the times that the expression names, each a little later by chance.

    APScheduler's own reads weekday 0 as Monday and joins the two day fields by AND (measured, 3.11).
    """

    def __init__(self, cron: Cron, zone: ZoneInfo, jitter: timedelta) -> None:
        self.cron = cron
        self.zone = zone
        self.jitter = jitter

    def get_next_fire_time(self, previous_fire_time: datetime | None, now: datetime) -> datetime:
        """Return the next time in UTC; after one that was missed comes the one after it, however late it is."""
        chosen = self.cron.next_after(previous_fire_time or now, self.zone)
        return chosen + self.jitter * random.random()  # noqa: S311 - to spread load, no secret


class JobScheduler:
    """Runs planned jobs, each at most once at a time, while the block lasts."""

    def __init__(self, serve: Serve, planned: Sequence[Planned], run: Callable[[Job], object], log: RunLog) -> None:
        self._log = log
        self._scheduler = BackgroundScheduler(
            timezone=UTC,
            job_defaults={
                "coalesce": True,
                "max_instances": 1,
                "misfire_grace_time": int(serve.misfire_grace.total_seconds()),
            },
        )
        self._scheduler.add_listener(self._missed, EVENT_JOB_MISSED)
        self._scheduler.add_listener(self._overlapped, EVENT_JOB_MAX_INSTANCES)
        zone = ZoneInfo(serve.time_zone)
        for each in planned:
            trigger = CronTrigger(each.cron, zone, serve.jitter)
            self._scheduler.add_job(run, trigger, args=[each.job], id=each.job.name, name=each.job.name)

    def start(self) -> None:
        """Begin to run jobs, in threads of its own."""
        self._scheduler.start()

    def wake(self) -> None:
        """Look at the clock now, not when the next job was expected to be due."""
        self._scheduler.wakeup()

    def stop(self) -> None:
        """Start no more jobs; those that run go on."""
        self._scheduler.shutdown(wait=False)

    def next_runs(self) -> dict[str, datetime]:
        """Return when each job runs next."""
        return {job.id: job.next_run_time for job in self._scheduler.get_jobs() if job.next_run_time}

    def _missed(self, event: JobExecutionEvent) -> None:
        self._note(event.job_id, event.scheduled_run_time, "missed")

    def _overlapped(self, event: JobSubmissionEvent) -> None:
        self._note(event.job_id, event.scheduled_run_times[0], "overlapped")

    def _note(self, name: str, due: datetime, outcome: Literal["missed", "overlapped"]) -> None:
        logger.warning("job %s, due at %s: %s", name, due.isoformat(), outcome)
        self._log.add(Run(name, due.astimezone(UTC), due.astimezone(UTC), outcome))
