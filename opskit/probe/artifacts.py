"""The newest report on artifacts: whether every registered model has its bytes, and how old that knowledge is."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from opskit.amounts import human_age
from opskit.artifacts.verdict import GONE, VERDICTS
from opskit.backup.layout import is_fresh
from opskit.probe.evidence import ArtifactReport, newest_artifact_reports
from opskit.probe.result import Finding, State
from opskit.storage import Storage

_HINT = "opskit artifacts verify"


def check(storage: Storage, registry: str, max_age: timedelta, now: datetime, *, configured: bool) -> Iterator[Finding]:
    """Judge the newest summary; without one, and with no store configured, there is nothing to judge."""
    newest = next(newest_artifact_reports(storage, registry), None)
    if newest is not None:
        yield from _judged(newest, max_age, now)
    elif configured:
        yield Finding(State.WARNING, "artifacts were never verified", _HINT, "artifacts-unverified")
    else:
        yield Finding(State.NOT_APPLICABLE, "never verified, and no store is configured (artifacts.stores)")


def _judged(report: ArtifactReport, max_age: timedelta, now: datetime) -> Iterator[Finding]:
    looked = human_age(report.finished, now)
    if not report.readable:
        yield Finding(State.UNKNOWN, f"the report of {looked} cannot be read", _HINT)
        return
    total = sum(report.verdicts.values())
    values = {"artifacts_timestamp_seconds": report.finished.timestamp()}
    if not is_fresh(now - report.finished, max_age):
        yield Finding(State.CRITICAL, f"last looked at {looked}", _HINT, "artifacts-unverified", values)
    if report.gone:
        said = ", ".join(
            f"{report.verdicts[each]} {each}" for each in VERDICTS if each in GONE and report.verdicts.get(each)
        )
        yield Finding(State.CRITICAL, f"of {total} artifacts, {said}", "models cannot be deployed", values=values)
    if report.unknown:
        yield Finding(State.WARNING, f"{report.unknown} of {total} artifacts could not be looked at", values=values)
    if report.layout_failures:
        yield Finding(
            State.WARNING, f"{report.layout_failures} of {total} artifacts cannot be served", _HINT, values=values
        )
    if report.changed:
        yield Finding(
            State.WARNING, f"{report.changed} artifacts were replaced since", None, "artifacts-changed", values
        )
    yield Finding(State.OK, f"{total} artifacts looked at {looked}", values=values)
