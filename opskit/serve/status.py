"""The status as one JSON document; `status.schema.json` describes it, and is served beside it."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from importlib.resources import files
from typing import Final

from opskit import __version__
from opskit.backup.catalog import STATES
from opskit.probe import render
from opskit.serve.observation import Observation, RegistryObservation
from opskit.serve.runs import Run
from opskit.serve.schedule import Planned

SCHEMA: Final = files(__package__).joinpath("status.schema.json").read_text()


def status(
    observation: Observation, planned: Sequence[Planned], next_runs: Mapping[str, datetime]
) -> dict[str, object]:
    """Return everything that is known, as plain data."""
    newest = {run.job: run for run in observation.runs}
    return {
        "opskit_version": __version__,
        "moment": _time(observation.moment),
        "state": observation.state,
        "storage": observation.storage_url,
        "registries": [_registry(each) for each in observation.registries],
        "jobs": [
            {
                "name": each.job.name,
                "schedule": each.cron.expression,
                "next_run": _time(next_runs.get(each.job.name)),
                "last_run": _run(newest.get(each.job.name)),
            }
            for each in planned
        ],
    }


def _registry(registry: RegistryObservation) -> dict[str, object]:
    manifests = [each.manifest for each in registry.complete_backups if each.manifest is not None]
    states = [each.state for each in registry.backups]
    return {
        "name": registry.name,
        "state": registry.state,
        "problem": registry.problem,
        "checks": render.document(registry.checks)["checks"],
        "backups": {state: states.count(state) for state in STATES},
        "newest_backup": {
            "id": manifests[0].id,
            "time": _time(manifests[0].snapshot.time),
            "rows": manifests[0].rows,
            "bytes": manifests[0].stored_bytes,
        }
        if manifests
        else None,
        "newest_rehearsal": next(
            (
                {"backup": each.backup_id, "finished": _time(each.finished), "verdict": each.verdict}
                for each in registry.rehearsals
            ),
            None,
        ),
        "newest_artifact_report": next(
            (
                {"finished": _time(each.finished), "verdicts": each.verdicts, "changed": each.changed}
                for each in registry.artifact_reports
            ),
            None,
        ),
    }


def _run(run: Run | None) -> dict[str, object] | None:
    if run is None:
        return None
    return {
        "started": _time(run.started),
        "ended": _time(run.ended),
        "outcome": run.outcome,
        "exit_code": run.exit_code,
    }


def _time(moment: datetime | None) -> str | None:
    return None if moment is None else moment.isoformat().replace("+00:00", "Z")
