"""Metrics for Prometheus, all of one observation; docs/metrics.md lists them."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily
from prometheus_client.registry import Collector

from opskit import __version__
from opskit.backup.catalog import STATES
from opskit.probe import render
from opskit.serve.observation import Observation
from opskit.serve.records import JobRecord, job_records

Family = GaugeMetricFamily | CounterMetricFamily
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


def exposition(observation: Observation | None, next_runs: Mapping[str, datetime]) -> bytes:
    """Return the metrics in Prometheus' text format; before the first observation there is little to tell."""
    registry = CollectorRegistry()
    registry.register(_Collector(observation, next_runs))
    return generate_latest(registry)


class _Collector(Collector):
    def __init__(self, observation: Observation | None, next_runs: Mapping[str, datetime]) -> None:
        self._observation = observation
        self._next_runs = next_runs

    def collect(self) -> Iterator[Family]:
        yield _gauge("opskit_build_info", "The version of opskit.", ["version"], [((__version__,), 1)])
        yield _gauge(
            "opskit_job_next_run_timestamp_seconds",
            "When this process runs a job next.",
            ["job"],
            [((job,), moment.timestamp()) for job, moment in self._next_runs.items()],
        )
        if self._observation is not None:
            yield from _families(self._observation)


def _families(observation: Observation) -> Iterator[Family]:
    yield _gauge(
        "opskit_observation_timestamp_seconds",
        "When all that is exposed here was looked at.",
        [],
        [((), observation.moment.timestamp())],
    )
    for name, explanation, series in render.metrics([each for one in observation.registries for each in one.checks]):
        labels = list(series[0][0]) if series else ["registry", "layer"]
        yield _gauge(name, explanation, labels, [(tuple(each.values()), value) for each, value in series])
    yield from _backups(observation)
    yield from _artifacts(observation)
    yield from _jobs(observation)
    yield from _runs(observation)


def _gauge(
    name: str, explanation: str, labels: list[str], series: Iterable[tuple[tuple[str, ...], float]]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, explanation, labels=labels)
    for values, number in series:
        family.add_metric(values, number)
    return family


def _backups(observation: Observation) -> Iterator[Family]:
    counts = [
        ((registry.name, state), float(sum(backup.state == state for backup in registry.backups)))
        for registry in observation.registries
        if registry.problem is None
        for state in STATES
    ]
    yield _gauge("opskit_backups", "Backups in storage by state.", ["registry", "state"], counts)


def _artifacts(observation: Observation) -> Iterator[Family]:
    newest = [(each.name, each.artifact_reports[0]) for each in observation.registries if each.artifact_reports]
    yield _gauge(
        "opskit_artifacts",
        "Registered artifacts by verdict, from the newest report.",
        ["registry", "verdict"],
        [((name, verdict), count) for name, report in newest for verdict, count in report.verdicts.items()],
    )
    yield _gauge(
        "opskit_artifacts_changed",
        "Registered artifacts whose bytes were replaced, from the newest report.",
        ["registry"],
        [((name,), report.changed) for name, report in newest],
    )


def _jobs(observation: Observation) -> Iterator[Family]:
    """Yield what is known of jobs, wherever they ran."""
    records = [(each.name, record) for each in observation.registries for record in job_records(each, observation)]
    wanted: list[tuple[str, str, Callable[[JobRecord], float | None]]] = [
        (
            "opskit_job_last_attempt_timestamp_seconds",
            "When a job was last tried for a registry.",
            lambda record: _epoch(record.last_attempt),
        ),
        (
            "opskit_job_last_success_timestamp_seconds",
            "When a job last succeeded for a registry.",
            lambda record: _epoch(record.last_success),
        ),
        ("opskit_job_duration_seconds", "How long the last run of a job took.", lambda record: record.seconds),
        (
            "opskit_job_rows",
            "Rows that the last run of a job saved or restored, and artifacts that it looked at.",
            lambda record: record.rows,
        ),
        (
            "opskit_job_bytes",
            "Stored bytes of the backup that the last run of a job wrote or restored.",
            lambda record: record.stored_bytes,
        ),
    ]
    for name, explanation, value in wanted:
        known = [((registry, record.job), value(record)) for registry, record in records]
        yield _gauge(
            name,
            explanation,
            ["registry", "job"],
            [(labels, number) for labels, number in known if number is not None],
        )


def _epoch(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _runs(observation: Observation) -> Iterator[Family]:
    """Yield what this process has run itself."""
    newest = {run.job: run for run in observation.runs if run.exit_code is not None}
    yield _gauge(
        "opskit_run_timestamp_seconds",
        "When the last run of a job in this process ended.",
        ["job"],
        [((job,), run.ended.timestamp()) for job, run in newest.items()],
    )
    yield _gauge(
        "opskit_run_duration_seconds",
        "How long the last run of a job in this process took.",
        ["job"],
        [((job,), (run.ended - run.started).total_seconds()) for job, run in newest.items()],
    )
    yield _gauge(
        "opskit_run_exit_code",
        "The exit code of the last run of a job in this process.",
        ["job"],
        [((job,), run.exit_code) for job, run in newest.items() if run.exit_code is not None],
    )
    runs = CounterMetricFamily("opskit_runs", "Runs of jobs in this process by outcome.", labels=["job", "outcome"])
    for (job, outcome), count in Counter((run.job, run.outcome) for run in observation.runs).items():
        runs.add_metric([job, outcome], count)
    yield runs
