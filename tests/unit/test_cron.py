"""Cron expressions mean what they mean in Kubernetes."""

import itertools
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from croniter import croniter
from hypothesis import given
from hypothesis import strategies as st

from opskit.cron import Cron
from opskit.jobs import JOBS
from opskit.settings.serve import Serve

UTC_ZONE = ZoneInfo("Etc/UTC")
START = datetime(2026, 11, 25, 1, 2, 30, tzinfo=UTC)
EXPRESSIONS = (
    "* * * * 0",
    "*/5 * * * *",
    "7-59/13 3,15 * * *",
    "0 0 1 * *",
    "0 0 31 * *",
    "30 4 1,15 * 5",
    "0 12 * * mon-fri",
    "0 12 * jan,JUL SUN",
    "5/20 * * * *",
    "0 0 29 2 *",
    "0 0 */2 * 1",
)


def fire_times(cron: Cron, start: datetime, zone: ZoneInfo = UTC_ZONE) -> Iterator[datetime]:
    while True:
        start = cron.next_after(start, zone)
        yield start


@pytest.mark.parametrize("expression", [*EXPRESSIONS[:-2], *(job.schedule for job in JOBS if job.schedule)])
def test_the_next_400_times_are_those_of_an_independent_cron(expression: str) -> None:
    other = croniter(expression, START)
    expected = [other.get_next(datetime) for _ in range(400)]
    assert list(itertools.islice(fire_times(Cron(expression), START), 400)) == expected


def test_sunday_is_0_and_not_monday() -> None:
    times = itertools.islice(fire_times(Cron("0 0 * * 0"), START), 10)
    assert {moment.isoweekday() for moment in times} == {7}


def test_either_day_field_suffices_where_both_are_restricted() -> None:
    days = [moment.date() for moment in itertools.islice(fire_times(Cron("0 0 13 * fri"), START), 20)]
    assert all(day.day == 13 or day.isoweekday() == 5 for day in days)
    assert any(day.day == 13 and day.isoweekday() != 5 for day in days)


def test_leap_day_is_waited_for() -> None:
    assert Cron("0 0 29 2 *").next_after(START, UTC_ZONE) == datetime(2028, 2, 29, tzinfo=UTC)


def test_time_that_daylight_saving_skips_is_skipped() -> None:
    berlin = ZoneInfo("Europe/Berlin")  # 2027-03-28 has no 02:30
    before = datetime(2027, 3, 27, 12, tzinfo=UTC)
    times = list(itertools.islice(fire_times(Cron("30 2 * * *"), before, berlin), 2))
    assert times == [datetime(2027, 3, 29, 0, 30, tzinfo=UTC), datetime(2027, 3, 30, 0, 30, tzinfo=UTC)]


def test_time_that_daylight_saving_repeats_is_met_twice() -> None:
    berlin = ZoneInfo("Europe/Berlin")  # 2027-10-31 has 02:30 twice
    before = datetime(2027, 10, 30, 12, tzinfo=UTC)
    times = list(itertools.islice(fire_times(Cron("30 2 * * *"), before, berlin), 3))
    assert times == [
        datetime(2027, 10, 31, 0, 30, tzinfo=UTC),
        datetime(2027, 10, 31, 1, 30, tzinfo=UTC),
        datetime(2027, 11, 1, 1, 30, tzinfo=UTC),
    ]


@given(st.sampled_from(EXPRESSIONS), st.datetimes(datetime(2020, 1, 1), datetime(2040, 1, 1)))  # noqa: DTZ001 - naive
def test_next_time_is_later_whatever_the_moment(expression: str, naive: datetime) -> None:
    for name in ("Etc/UTC", "America/Sao_Paulo", "Australia/Lord_Howe", "Asia/Beirut"):
        moment = naive.replace(tzinfo=UTC)
        assert Cron(expression).next_after(moment, ZoneInfo(name)) > moment


@pytest.mark.parametrize(
    ("expression", "words"),
    [
        ("* * * *", "five fields"),
        ("@daily", "five fields"),
        ("60 * * * *", "minute: '60' is not within 0 to 59"),
        ("* * * * 7", "day of week: '7' is not within 0 to 6"),
        ("* * 0 * *", "day of month"),
        ("5-1 * * * *", "in this order"),
        ("*/0 * * * *", "minute"),
        ("x * * * *", "'x' is no number"),
        ("* * * foo *", "none of jan"),
        (", * * * *", "is no number"),
        ("0 0 30 2 *", "no month has"),
        ("٣ * * * *", "no number"),
    ],
)
def test_expression_that_kubernetes_would_refuse_is_refused(expression: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        Cron(expression)


def test_jobs_name_weekdays_and_never_use_both_day_fields() -> None:
    for job in JOBS:
        if job.schedule is not None:
            day, weekday = job.schedule.split()[2], job.schedule.split()[4]
            assert "*" in (day, weekday), job.name
            assert not any(character.isdigit() for character in weekday), job.name


def test_between_leaves_out_its_start_and_takes_its_end() -> None:
    noon = datetime(2026, 11, 25, 12, tzinfo=UTC)
    times = list(Cron("0 * * * *").between(noon, noon + timedelta(hours=2), UTC_ZONE))
    assert times == [noon + timedelta(hours=1), noon + timedelta(hours=2)]


def test_settings_know_every_job_that_has_a_schedule() -> None:
    scheduled = [job.name for job in JOBS if job.schedule]
    serve = Serve.model_validate({"jobs": [{"name": name, "schedule": "1 1 * * *"} for name in scheduled]})
    assert [job.name for job in serve.jobs] == scheduled
