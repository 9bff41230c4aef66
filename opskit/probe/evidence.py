"""What storage tells of rehearsals and of artifacts: the side files that jobs leave behind.

They are read with tolerance: what cannot be read is `unreadable`, never an error.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any, TypeGuard

from opskit.artifacts.report import LARGEST_SUMMARY, summary_key, summary_times
from opskit.artifacts.verdict import GONE, UNKNOWN, VERDICTS
from opskit.backup import layout
from opskit.backup.catalog import VERDICT_MAXIMUM_BYTES, folders
from opskit.backup.manifest import backup_key
from opskit.backup.stages import gathered
from opskit.errors import CorruptError, NotFoundError
from opskit.storage import Storage

_STAMP = "%Y%m%dT%H%M%S"
_STAMP_CHARACTERS = 15
_LARGEST_COUNT = 2**53


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """One rehearsal of a backup: `passed`, `failed` or `unreadable`."""

    backup_id: str
    finished: datetime
    verdict: str
    seconds: float | None = None
    problems: tuple[str, ...] = ()
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class ArtifactReport:
    """The summary of one report on artifacts: how many have which verdict."""

    finished: datetime
    verdicts: dict[str, int] = field(default_factory=dict)
    changed: int = 0
    layout_failures: int = 0
    readable: bool = True
    seconds: float | None = None

    @property
    def artifacts(self) -> int:
        """How many were looked at."""
        return sum(self.verdicts.values())

    @property
    def gone(self) -> int:
        """How many registered artifacts have no bytes."""
        return sum(self.verdicts.get(verdict, 0) for verdict in GONE)

    @property
    def unknown(self) -> int:
        """How many could not be looked at."""
        return sum(self.verdicts.get(verdict, 0) for verdict in UNKNOWN)


def newest_rehearsals(storage: Storage, registry: str) -> Iterator[Rehearsal]:
    """Yield the rehearsals of all backups, the newest first; each is read when it is wanted.

    A folder without a manifest, or without one that a restore would believe, is no backup: whatever lies in it.
    """
    found = [
        (_stamp(name.removeprefix(layout.REHEARSALS)) or stored.modified, backup_id, stored.key)
        for backup_id, folder in folders(storage, registry).items()
        if layout.MANIFEST in folder.objects
        for name, stored in folder.objects.items()
        if name.startswith(layout.REHEARSALS)
    ]
    is_believed = cache(partial(_is_believed, storage, registry))
    for finished, backup_id, key in sorted(found, reverse=True):
        if not is_believed(backup_id):
            continue
        document = _read(storage, key, VERDICT_MAXIMUM_BYTES)
        verdict = document.get("verdict")
        rows = document.get("rows")
        yield Rehearsal(
            backup_id=backup_id,
            finished=finished,
            verdict=verdict if verdict in ("passed", "failed") else "unreadable",
            seconds=_seconds(_moment(document.get("started")), _moment(document.get("finished"))),
            problems=tuple(str(each) for each in _items(document.get("problems"))),
            rows=rows if _is_count(rows) else None,
        )


def newest_artifact_reports(storage: Storage, registry: str) -> Iterator[ArtifactReport]:
    """Yield the summaries of the reports on artifacts, the newest first; each is read when it is wanted."""
    for time in summary_times(storage, registry):
        # The name is the moment of the beginning: what is known is as old as that.
        finished = _stamp(time)
        if finished is None:  # no moment, so that opskit did not write it
            continue
        document = _read(storage, summary_key(registry, time), LARGEST_SUMMARY)
        verdicts = document.get("verdicts")
        changed, layout_failures = document.get("changed", 0), document.get("layout_failures", 0)
        seconds = _seconds(finished, _moment(document.get("finished")))
        if _are_counts(verdicts) and _is_count(changed) and _is_count(layout_failures):
            yield ArtifactReport(finished, verdicts, changed, layout_failures, seconds=seconds)
        else:
            yield ArtifactReport(finished, readable=False)


def _is_believed(storage: Storage, registry: str, backup_id: str) -> bool:
    """Tell whether the storage gives out the manifest: one that keeps trusted keys wants a signature."""
    try:
        next(storage.get(backup_key(registry, backup_id, layout.MANIFEST)), None)
    except (CorruptError, NotFoundError):
        return False
    return True


def _read(storage: Storage, key: str, maximum: int) -> dict[str, Any]:
    try:
        document = json.loads(gathered(storage.get(key), maximum, key))
    except (CorruptError, NotFoundError, ValueError, RecursionError):
        return {}
    return document if isinstance(document, dict) else {}


def _stamp(name: str) -> datetime | None:
    """Return the moment in the name of a side file, such as `20261124T021500Z.json`."""
    try:
        return datetime.strptime(name[:_STAMP_CHARACTERS], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None


def _moment(value: object) -> datetime | None:
    try:
        moment = datetime.fromisoformat(str(value))
    except ValueError:
        return None
    return moment if moment.tzinfo else None


def _seconds(begin: datetime | None, end: datetime | None) -> float | None:
    """Return how long something took, None where that is not known, or cannot be."""
    return (end - begin).total_seconds() if begin and end and begin <= end else None


def _are_counts(verdicts: object) -> TypeGuard[dict[str, int]]:
    """Tell whether a value says how many there are of known verdicts; any other would become a label of a metric."""
    return isinstance(verdicts, dict) and set(verdicts) <= set(VERDICTS) and all(map(_is_count, verdicts.values()))


def _is_count(value: object) -> bool:
    """Tell whether a value is a number of things; one that no double holds would break the metrics."""
    return isinstance(value, int) and 0 <= value <= _LARGEST_COUNT


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
