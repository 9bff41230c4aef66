"""What is known of each job of a registry, from storage, from the looks of this process, and from its runs."""

from dataclasses import replace
from datetime import timedelta

from opskit.jobs import JOBS
from opskit.probe.result import LAYERS
from opskit.serve.observation import LOOKS, Observation
from opskit.serve.records import JobRecord, job_records
from opskit.serve.runs import Run
from tests.observations import DAY, NOW, broken, healthy, hostile


def records(observation: Observation) -> dict[str, JobRecord]:
    return {record.job: record for record in job_records(observation.registries[0], observation)}


def test_every_scheduled_job_has_a_record_with_its_moments_and_its_duration() -> None:
    found = records(healthy())
    assert set(found) == {job.name for job in JOBS if job.schedule}
    for record in found.values():
        assert record.last_attempt
        assert record.last_success
        assert record.seconds is not None


def test_looks_are_at_the_layers_that_the_jobs_look_at() -> None:
    assert sorted(layer for layers in LOOKS.values() for layer in layers) == sorted(LAYERS)


def test_backup_and_rehearsal_tell_rows_and_bytes() -> None:
    found = records(healthy())
    assert (found["backup"].rows, found["backup"].stored_bytes) == (48_000, 1_716_000)
    assert (found["rehearse"].rows, found["rehearse"].seconds) == (41_007, 95.0)
    assert found["rehearse"].stored_bytes is not None
    assert (found["verify-artifacts"].rows, found["verify-artifacts"].seconds) == (1204, 31.0)


def test_success_is_that_of_the_last_good_one_and_the_attempt_that_of_the_last() -> None:
    found = records(broken())
    for name, success in (("backup", 4 * DAY), ("rehearse", 10 * DAY), ("probe", DAY)):
        last_success, last_attempt = found[name].last_success, found[name].last_attempt
        assert last_success
        assert last_attempt
        assert abs(NOW - last_success - success) < timedelta(hours=12)
        assert last_attempt > last_success + DAY / 2
    assert found["freshness"].last_success is None


def test_failed_run_of_this_process_is_an_attempt_though_it_left_nothing() -> None:
    observation = replace(healthy(), runs=(Run("backup", NOW, NOW, "failure", 69),))
    record = records(observation)["backup"]
    assert record.last_attempt == NOW
    assert record.last_success == healthy().registries[0].backups[0].manifest.finished  # type: ignore[union-attr] # it is complete


def test_run_that_was_never_started_is_no_attempt() -> None:
    assert records(broken())["prune"] == JobRecord("prune")


def test_storage_that_cannot_be_read_leaves_what_this_process_knows() -> None:
    found = records(hostile())
    assert found["backup"] == JobRecord("backup")
    assert found["probe"].last_attempt == NOW
