"""The scheduler under a clock that the test sets: missed runs, overlaps, jitter."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
import time_machine

from opskit.jobs import JOBS, Job, job
from opskit.serve.runs import RunLog
from opskit.serve.schedule import JobScheduler, planned_jobs
from opskit.settings.serve import Serve

MIDNIGHT = datetime(2026, 11, 25, tzinfo=UTC)
HOUR = timedelta(hours=1)
WAIT_SECONDS = 30.0


@dataclass
class Clock:
    """Moves the time, and waits for what the scheduler then does."""

    traveller: time_machine.Traveller
    log: RunLog
    scheduler: JobScheduler = field(init=False)
    started: list[tuple[str, datetime]] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)
    hold: threading.Event | None = None

    def run(self, job: Job) -> None:
        with self.changed:
            self.started.append((job.name, datetime.now(UTC)))
            self.changed.notify_all()
        if self.hold is not None:
            self.hold.wait(WAIT_SECONDS)

    def move_to(self, moment: datetime) -> None:
        if self.hold is None:
            until_idle(self.scheduler)
        self.traveller.move_to(moment)
        self.scheduler.wake()

    def started_jobs(self, count: int) -> list[str]:
        with self.changed:
            assert self.changed.wait_for(lambda: len(self.started) >= count, WAIT_SECONDS), self.started
            return [name for name, _ in self.started]

    def logged(self, count: int) -> list[tuple[str, str]]:
        waiting = threading.Event()
        for _ in range(int(WAIT_SECONDS / 0.01)):
            if len(self.log.runs) >= count:
                break
            waiting.wait(0.01)
        return [(run.job, run.outcome) for run in self.log.runs]


def until_idle(scheduler: JobScheduler) -> None:
    """Wait until APScheduler has noticed that what it ran has ended."""
    executor = scheduler._scheduler._lookup_executor("default")
    waiting = threading.Event()
    for _ in range(int(WAIT_SECONDS / 0.01)):
        with executor._lock:  # a job is counted after it was handed over, under this lock
            idle = not any(executor._instances.values())
        if idle:
            return
        waiting.wait(0.01)
    pytest.fail("a job did not end")


@contextmanager
def scheduled(serve: Serve, *names: str) -> Iterator[Clock]:
    with time_machine.travel(MIDNIGHT, tick=False) as traveller:
        log = RunLog()
        planned = [each for each in planned_jobs(serve) if each.job.name in names]
        clock = Clock(traveller, log)
        clock.scheduler = JobScheduler(serve, planned, clock.run, log)
        clock.scheduler.start()
        try:
            yield clock
        finally:
            if clock.hold is not None:
                clock.hold.set()
            clock.scheduler.stop()


NO_JITTER = Serve.model_validate({"jitter": "0s"})


def test_jobs_run_when_the_table_says() -> None:
    with scheduled(NO_JITTER, "backup", "prune") as clock:
        assert clock.scheduler.next_runs() == {
            "backup": MIDNIGHT.replace(hour=2, minute=17),
            "prune": MIDNIGHT.replace(hour=6, minute=37),
        }
        clock.move_to(MIDNIGHT.replace(hour=2, minute=17))
        assert clock.started_jobs(1) == ["backup"]
        clock.move_to(MIDNIGHT.replace(hour=6, minute=37))
        assert clock.started_jobs(2) == ["backup", "prune"]


def test_runs_that_were_slept_through_are_made_up_for_once() -> None:
    with scheduled(NO_JITTER, "freshness") as clock:
        clock.move_to(MIDNIGHT + 5 * HOUR + timedelta(minutes=54))
        assert clock.started_jobs(1) == ["freshness"]
        clock.move_to(MIDNIGHT + 6 * HOUR + timedelta(minutes=53))
        assert clock.started_jobs(2) == ["freshness", "freshness"]


def test_run_that_is_too_late_is_missed_and_the_next_one_comes() -> None:
    with scheduled(NO_JITTER, "backup") as clock:
        clock.move_to(MIDNIGHT + 12 * HOUR)
        assert clock.logged(1) == [("backup", "missed")]
        clock.move_to(MIDNIGHT + timedelta(days=1, hours=2, minutes=17))
        assert clock.started_jobs(1) == ["backup"]


def test_job_never_runs_twice_at_a_time() -> None:
    with scheduled(NO_JITTER, "probe") as clock:
        clock.hold = threading.Event()
        clock.move_to(MIDNIGHT + timedelta(minutes=5))
        assert clock.started_jobs(1) == ["probe"]
        clock.move_to(MIDNIGHT + timedelta(minutes=10))
        assert clock.logged(1) == [("probe", "overlapped")]
        assert clock.started_jobs(1) == ["probe"]


def test_job_that_raises_does_not_end_the_scheduler() -> None:
    with time_machine.travel(MIDNIGHT, tick=False) as traveller:
        called = threading.Semaphore(0)

        def fail(_job: Job) -> None:
            called.release()
            raise RuntimeError("a bug")

        planned = [each for each in planned_jobs(NO_JITTER) if each.job.name == "probe"]
        scheduler = JobScheduler(NO_JITTER, planned, fail, RunLog())
        scheduler.start()
        for minutes in (5, 10):
            until_idle(scheduler)
            traveller.move_to(MIDNIGHT + timedelta(minutes=minutes))
            scheduler.wake()
            assert called.acquire(timeout=WAIT_SECONDS)
        scheduler.stop()


def test_jitter_delays_and_never_hastens() -> None:
    with scheduled(Serve.model_validate({"jitter": "59s"}), *[each.name for each in JOBS]) as clock:
        due = {name: moment.replace(second=0, microsecond=0) for name, moment in clock.scheduler.next_runs().items()}
        assert due["backup"] == MIDNIGHT.replace(hour=2, minute=17)
        assert any(moment.second or moment.microsecond for moment in clock.scheduler.next_runs().values())


def test_schedule_in_another_zone_follows_its_daylight_saving() -> None:
    serve = Serve.model_validate(
        {"jitter": "0s", "time_zone": "Europe/Berlin", "jobs": [{"name": "backup", "schedule": "30 2 * * *"}]}
    )
    with scheduled(serve, "backup") as clock:
        assert clock.scheduler.next_runs()["backup"] == MIDNIGHT + timedelta(hours=1, minutes=30)


def test_configuration_replaces_a_schedule_or_takes_a_job_out() -> None:
    serve = Serve.model_validate(
        {"jobs": [{"name": "backup", "schedule": "none"}, {"name": "prune", "schedule": "1 1 * * *"}]}
    )
    expressions = {each.job.name: each.cron.expression for each in planned_jobs(serve)}
    assert "backup" not in expressions
    assert "restore" not in expressions
    assert expressions["prune"] == "1 1 * * *"
    assert expressions["rehearse"] == job("rehearse").schedule


@pytest.mark.parametrize(
    "wrong",
    [
        {"jitter": "1m"},
        {"time_zone": "Mars/Olympus"},
        {"time_zone": "../../etc/passwd"},
        {"jobs": [{"name": "restore"}]},
        {"jobs": [{"name": "backup", "schedule": "61 * * * *"}]},
        {"jobs": [{"name": "backup"}, {"name": "backup"}]},
    ],
)
def test_what_cannot_be_scheduled_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="validation error"):
        Serve.model_validate(wrong)
