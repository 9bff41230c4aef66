"""How the CronJobs of a namespace stand, against the table of jobs."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from opskit.cluster.install import absent_secrets, secrets_of
from opskit.cron import Cron
from opskit.errors import NotFoundError
from opskit.jobs import JOBS, Job
from opskit.kubernetes_api import KubernetesApi, Resource


@dataclass(frozen=True, slots=True)
class CronJobStatus:
    """One CronJob; `problem` says why somebody should look at it, None where nobody need."""

    job: str
    schedule: str | None
    suspended: bool
    last_schedule: datetime | None
    last_success: datetime | None
    next_run: datetime | None
    active: int
    problem: str | None


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """Every job, and the Secrets that pods would take if they were there."""

    cronjobs: tuple[CronJobStatus, ...]
    absent_secrets: tuple[str, ...]


def status(api: KubernetesApi, namespace: str, now: datetime) -> ClusterStatus:
    """Look at each CronJob of the table of jobs."""
    found = {each.name: _cronjob(api, namespace, each.name) for each in JOBS}
    present = [each for each in found.values() if each]
    return ClusterStatus(
        tuple(_status(each, found[each.name], now) for each in JOBS),
        tuple(absent_secrets(api, namespace, secrets_of(present))),
    )


def _cronjob(api: KubernetesApi, namespace: str, job: str) -> Resource | None:
    try:
        return api.get(f"/apis/batch/v1/namespaces/{namespace}/cronjobs/opskit-{job}")
    except NotFoundError:
        return None


def _status(job: Job, found: Resource | None, now: datetime) -> CronJobStatus:
    if found is None:
        return CronJobStatus(job.name, job.schedule, suspended=False, last_schedule=None, last_success=None,
                             next_run=None, active=0, problem="there is no such CronJob")  # fmt: skip
    spec, state = found["spec"], found.get("status", {})
    suspended = spec.get("suspend", False)
    last_success = _time(state.get("lastSuccessfulTime"))
    created = _time(found["metadata"]["creationTimestamp"])
    return CronJobStatus(
        job=job.name,
        schedule=spec["schedule"] if job.schedule else None,
        suspended=suspended,
        last_schedule=_time(state.get("lastScheduleTime")),
        last_success=last_success,
        next_run=None if suspended else _next(spec, now),
        active=len(state.get("active", ())),
        problem=_problem(job, spec, last_success, created, now) if job.schedule else None,
    )


def _problem(
    job: Job, spec: Resource, last_success: datetime | None, created: datetime | None, now: datetime
) -> str | None:
    if spec.get("suspend", False):
        return "suspended"
    since = last_success or created
    if job.stale_after and since and now - since > job.stale_after:
        return "no success for too long" if last_success else "never succeeded"
    if spec["schedule"] != job.schedule:
        return f"its schedule is not that of this opskit: {job.schedule}"
    return None


def _time(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _next(spec: Resource, now: datetime) -> datetime | None:
    try:
        return Cron(spec["schedule"]).next_after(now, ZoneInfo(spec.get("timeZone", "Etc/UTC")))
    except (ValueError, ZoneInfoNotFoundError):  # somebody's own, with a macro: nothing is known of it
        return None
