"""Which reports on artifacts, and which leftovers of sharded runs, are too old to be kept. Nothing is deleted here."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Final

from opskit.storage import Storage, StoredObject

# A Job is started again for some hours; a run that was left lying is nobody's any more.
RUN_AGE: Final = timedelta(days=30)
_REPORT = re.compile(r"(aside/)?(\d{8}T\d{6}Z)\.json(\.zst)?")
_RUN_FILE = re.compile(
    r"([A-Za-z0-9][A-Za-z0-9.-]*)/"
    r"(?:run\.json|inventory-[0-9a-f]{6}\.json\.zst|part-\d{5}-of-\d{5}\.json\.zst)"
)


def outdated(storage: Storage, registry: str, keep: int, now: datetime) -> Iterator[StoredObject]:
    """Yield the objects of reports before the newest `keep` (1 or more), and of runs that nobody writes to any more.

    Only reports with a summary count; those aside are counted by themselves. What has another name is never among them.
    """
    yield from _reports(storage, f"{registry}/artifacts/", keep)
    yield from _runs(storage, f"{registry}/artifact-runs/", now)


def _reports(storage: Storage, folder: str, keep: int) -> Iterator[StoredObject]:
    found = [(match, stored) for stored in storage.list(folder) if (match := _in(folder, _REPORT, stored))]
    for aside in (None, "aside/"):
        reports = [(match[2], match[3], stored) for match, stored in found if match[1] == aside]
        whole = sorted((time for time, is_report, _ in reports if not is_report), reverse=True)
        oldest_kept = whole[keep - 1] if len(whole) >= keep else ""
        yield from (stored for time, _, stored in reports if time < oldest_kept)


def _runs(storage: Storage, folder: str, now: datetime) -> Iterator[StoredObject]:
    runs: dict[str, list[StoredObject]] = {}
    for stored in storage.list(folder):
        if match := _in(folder, _RUN_FILE, stored):
            runs.setdefault(match[1], []).append(stored)
    for objects in runs.values():
        if now - max(each.modified for each in objects) > RUN_AGE:
            yield from objects


def _in(folder: str, name: re.Pattern[str], stored: StoredObject) -> re.Match[str] | None:
    return name.fullmatch(stored.key.removeprefix(folder))
