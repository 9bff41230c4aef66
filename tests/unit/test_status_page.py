"""The status page as text; tests/integration/serve looks at it in a browser."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from opskit.serve.page import page
from opskit.serve.records import job_records
from tests.observations import PLANNED, backup_at, healthy


def test_backup_of_a_time_that_no_zone_can_tell_spoils_nothing() -> None:
    observation = healthy()
    registry = observation.registries[0]
    forged = backup_at(datetime(9999, 12, 31, 23, 0, tzinfo=UTC), 1)
    observation = replace(observation, registries=(replace(registry, backups=(forged, *registry.backups)),))
    content = page(observation, PLANNED, ZoneInfo("Asia/Tokyo"))
    assert forged.id in content
    assert "from 2026-10-17 to 2026-11-25" in content


def test_backup_from_the_future_is_neither_the_last_success_nor_what_could_be_restored() -> None:
    observation = healthy()
    registry = replace(observation.registries[0], moment=observation.moment)
    forged = backup_at(observation.moment + timedelta(days=9), 1)
    with_forged = replace(registry, backups=(forged, *registry.backups))
    observation = replace(observation, registries=(with_forged,))
    (record,) = (each for each in job_records(with_forged, observation) if each.job == "backup")
    assert record.last_success is not None
    assert record.last_success < observation.moment
    assert "As of 7 h ago" in page(observation, PLANNED, ZoneInfo("UTC"))


def test_artifacts_that_nobody_looked_for_are_not_hidden() -> None:
    observation = healthy()
    registry = observation.registries[0]
    report = replace(
        registry.artifact_reports[0], verdicts={"present": 2, "unsupported": 45, "endpoint-not-allowed": 1360}
    )
    observation = replace(observation, registries=(replace(registry, artifact_reports=(report,)),))
    content = page(observation, PLANNED, ZoneInfo("UTC"))
    assert "0 of 1,407 artifacts" in content
    assert "1,360 endpoint-not-allowed, 45 unsupported" in content
