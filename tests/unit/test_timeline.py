"""What ran on each of the last thirty days."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

import pytest

from opskit.serve.runs import Run
from opskit.serve.timeline import Line, Mark, timeline
from tests.observations import NOW, PLANNED, ZONE, broken, healthy, rehearsed


def lines(name: str) -> dict[str, Line]:
    observation = {"healthy": healthy, "broken": broken}[name]()
    return {line.job: line for line in timeline(observation.registries[0], observation, PLANNED, ZONE)}


def mark(line: Line, age: int) -> Mark:
    return line.days[-1 - age][1]


def test_every_line_has_thirty_days_that_end_today() -> None:
    for line in lines("healthy").values():
        assert len(line.days) == 30
        assert str(line.days[-1][0]) == "2026-11-25"


def test_backup_of_every_night_is_a_success_of_every_day() -> None:
    assert lines("healthy")["backup"].count("success") == 30


def test_night_without_a_backup_is_a_gap() -> None:
    backup = lines("broken")["backup"]
    assert mark(backup, 9) == mark(backup, 10) == "gap"
    assert mark(backup, 3) == "gap"
    assert mark(backup, 2) == "failure"
    assert mark(backup, 1) == "failure"


def test_weekly_job_is_not_due_on_other_days() -> None:
    rehearse = lines("healthy")["rehearse"]
    assert rehearse.count("success") == 4
    assert rehearse.count("gap") == 0
    assert mark(lines("broken")["rehearse"], 3) == "failure"


def test_findings_are_no_failure() -> None:
    assert mark(lines("broken")["verify-artifacts"], 0) == "findings"


@pytest.mark.parametrize(
    ("outcomes", "remembered"),
    [
        (("findings", "success"), "findings"),
        (("failure", "success"), "success"),
        (("failure", "findings", "success"), "findings"),
    ],
)
def test_day_is_remembered_for_what_was_found_and_not_for_a_failure_that_was_mended(
    outcomes: tuple[Literal["success", "findings", "failure"], ...], remembered: Mark
) -> None:
    runs = tuple(Run("probe", NOW, NOW - age * timedelta(minutes=5), each) for age, each in enumerate(outcomes))
    observation = replace(healthy(), runs=runs)
    shown = timeline(observation.registries[0], observation, PLANNED, ZONE)
    assert [mark(line, 0) for line in shown if line.job == "probe"] == [remembered]


@pytest.mark.parametrize("moment", [datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)])
def test_forged_time_in_storage_spoils_nothing(moment: datetime) -> None:
    forged = replace(rehearsed(0), finished=moment)
    registry = replace(healthy().registries[0], rehearsals=(forged,))
    for zone in ("America/New_York", "Asia/Tokyo"):
        shown = timeline(registry, healthy(), PLANNED, ZoneInfo(zone))
        assert [line.count("success") for line in shown if line.job == "rehearse"] == [0]


def test_before_the_first_trace_of_a_job_nothing_was_missed() -> None:
    verify = lines("broken")["verify-artifacts"]
    assert [mark(verify, age) for age in (19, 20, 29)] == ["success", "nothing", "nothing"]


@pytest.mark.parametrize("job", ["probe", "freshness", "prune"])
def test_runs_of_this_process_are_shown_where_storage_holds_no_trace(job: str) -> None:
    assert lines("healthy")[job].count("success") == 13


def test_run_that_was_missed_is_a_gap() -> None:
    assert mark(lines("broken")["prune"], 1) == "gap"
