"""The newest rehearsal: whether a backup was really restored, how that ended, and how long ago."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from opskit.amounts import human_age
from opskit.backup.catalog import newest_backups
from opskit.backup.layout import is_fresh
from opskit.probe.evidence import Rehearsal, newest_rehearsals
from opskit.probe.result import Finding, State
from opskit.storage import Storage

_HINT = "opskit backup rehearse latest"


def check(storage: Storage, registry: str, max_age: timedelta, now: datetime) -> Iterator[Finding]:
    """Judge the newest rehearsal; where there is none yet, the backups may be too young to have one."""
    newest = next(newest_rehearsals(storage, registry), None)
    if newest is not None:
        yield _judged(newest, max_age, now)
        return
    moments = [each.manifest.snapshot.time for each in newest_backups(storage, registry) if each.manifest]
    young = bool(moments) and now - min(moments) <= max_age
    yield Finding(State.WARNING if young else State.CRITICAL, "no backup was ever rehearsed", _HINT)


def _judged(rehearsal: Rehearsal, max_age: timedelta, now: datetime) -> Finding:
    age = now - rehearsal.finished
    values = {
        "rehearsal_timestamp_seconds": rehearsal.finished.timestamp(),
        "rehearsal_passed": float(rehearsal.verdict == "passed"),
    }
    what = f"rehearsal of {rehearsal.backup_id}, {human_age(rehearsal.finished, now)}"
    if rehearsal.verdict == "failed":
        problems = f": {'; '.join(rehearsal.problems)}" if rehearsal.problems else ""
        return Finding(State.CRITICAL, f"{what}, failed{problems}", _HINT, "rehearsal-failing", values)
    if rehearsal.verdict == "unreadable":
        return Finding(State.UNKNOWN, f"{what}: its verdict cannot be read", _HINT, values=values)
    return Finding(State.OK if is_fresh(age, max_age) else State.CRITICAL, f"{what}, passed", _HINT, values=values)
