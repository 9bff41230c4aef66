"""How `opskit serve` runs jobs, and where it shows what it knows."""

from datetime import timedelta
from typing import Annotated, Literal
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import AfterValidator, Field, SecretStr, field_validator

from opskit.cron import Cron
from opskit.settings.kinds import File, HttpUrl, NonEmpty, Whole
from opskit.settings.secret import reveal
from opskit.settings.section import Section
from opskit.settings.units import Duration

_LONGEST_JITTER = timedelta(minutes=1)


def _cron(value: str) -> str:
    if value != "none":
        Cron(value)
    return value


def _time_zone(value: str) -> str:
    try:
        ZoneInfo(value)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError("is no time zone of the IANA database, such as Etc/UTC or Europe/Berlin") from None
    return value


JobName = Literal["backup", "rehearse", "verify-artifacts", "probe", "freshness", "prune"]
Schedule = Annotated[str, AfterValidator(_cron)]
TimeZone = Annotated[str, AfterValidator(_time_zone)]


class ScheduledJob(Section):
    """When a job runs, if not as opskit/jobs.py says, and who is told of each success."""

    name: JobName
    schedule: Schedule | None = None
    heartbeat_url: SecretStr | None = None
    heartbeat_url_file: File | None = None

    def read_heartbeat_url(self) -> str | None:
        """Return the URL, which is a secret: whoever has it can say that all is well."""
        return reveal(self.heartbeat_url, self.heartbeat_url_file)


class Serve(Section):
    """One process that runs the jobs, shows a status page and exposes metrics."""

    host: NonEmpty = "127.0.0.1"
    port: Annotated[Whole, Field(ge=0, le=65_535)] = 8790
    token_file: File | None = None
    schedule: Literal["jobs", "none"] = "jobs"
    time_zone: TimeZone = "Etc/UTC"
    jitter: Duration = timedelta(seconds=30)
    misfire_grace: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(hours=1)
    stop_wait: Duration = timedelta(minutes=10)
    refresh: Annotated[Duration, Field(ge=timedelta(seconds=1))] = timedelta(minutes=1)
    runbooks_url: HttpUrl | None = None
    jobs: tuple[ScheduledJob, ...] = ()

    @field_validator("jitter")
    @classmethod
    def _less_than_a_period(cls, value: timedelta) -> timedelta:
        if value >= _LONGEST_JITTER:
            raise ValueError("must be less than 1m: that is how close two runs of a schedule can be")
        return value

    @field_validator("jobs")
    @classmethod
    def _each_once(cls, value: tuple[ScheduledJob, ...]) -> tuple[ScheduledJob, ...]:
        if len({job.name for job in value}) < len(value):
            raise ValueError("a job is listed twice")
        return value

    def job(self, name: str) -> ScheduledJob | None:
        """Return what is configured for a job, if anything is."""
        return next((job for job in self.jobs if job.name == name), None)

    def read_token(self) -> str | None:
        """Return the bearer token that clients must show, if there is one."""
        return reveal(None, self.token_file)
