"""What has become of each artifact since the report before: newly missing, recovered, replaced, and since when."""

from array import array
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from heapq import merge
from typing import Final, NamedTuple

import xxhash

from opskit.artifacts.report import Record
from opskit.artifacts.verdict import GONE, VERDICTS

# Ids are INT in the database.
_INDEX_BITS: Final = 32
_INDEX_MASK: Final = (1 << _INDEX_BITS) - 1
_SORTED_AT_ONCE: Final = 50_000
# The first of the scopes that the last two bits of a fingerprint's digest tell.
_OBJECT: Final = 1


class _Entry(NamedTuple):
    verdict: str
    since: int
    pointer: int
    baseline: int


class Former:
    """The report before, as far as it is compared: some thirty bytes an artifact, for millions of them.

    The baseline is the first fingerprint that was seen of an artifact as it is registered now. It is kept from report
    to report, so that replaced bytes stay replaced until somebody updates the artifact in the registry.
    """

    def __init__(self, records: Iterable[Record] = ()) -> None:
        packed = array("Q")
        self._verdicts, self._since = array("B"), array("I")
        self._pointers, self._baselines = array("Q"), array("Q")
        for index, record in enumerate(records):
            packed.append(int(record["artifact_id"]) << _INDEX_BITS | index)
            self._verdicts.append(VERDICTS.index(record["verdict"]))
            self._since.append(int(datetime.fromisoformat(record["since"]).timestamp()))
            self._pointers.append(_pointer(record))
            self._baselines.append(int(record["baseline"] or "0", 16))
        self._ids, self._order = array("I"), array("I")
        for each in _sorted(packed):
            self._ids.append(each >> _INDEX_BITS)
            self._order.append(each & _INDEX_MASK)

    def __len__(self) -> int:
        return len(self._ids)

    def find(self, artifact_id: int) -> _Entry | None:
        """Return what is known of an artifact."""
        position = bisect_left(self._ids, artifact_id)
        if position == len(self._ids) or self._ids[position] != artifact_id:
            return None
        index = self._order[position]
        verdict = VERDICTS[self._verdicts[index]]
        return _Entry(verdict, self._since[index], self._pointers[index], self._baselines[index])


def _sorted(packed: "array[int]") -> Iterator[int]:
    """Yield the numbers in order; as Python's own integers, all at once, they would take five times the memory."""
    runs = [
        array("Q", sorted(packed[start : start + _SORTED_AT_ONCE])) for start in range(0, len(packed), _SORTED_AT_ONCE)
    ]
    return merge(*runs)


def compared(records: Iterable[Record], former: Former, now: datetime) -> Iterator[Record]:
    """Yield each record with what has become of it; with an empty report before, nothing is new."""
    moment = now.astimezone(UTC)
    for record in records:
        before = former.find(record["artifact_id"])
        gone = record["verdict"] in GONE
        fingerprint = _fingerprint(record)
        same_pointer = before is not None and before.pointer == _pointer(record)
        baseline = before.baseline if before is not None and same_pointer else 0
        # The first run with --layout knows more than those without: the whole folder instead of its first object.
        kept = fingerprint if _knows_more(fingerprint, baseline) else baseline
        since = moment
        if before is not None and before.verdict == record["verdict"]:
            since = datetime.fromtimestamp(before.since, UTC)
        yield record | {
            "since": since.isoformat(timespec="seconds"),
            "was": before.verdict if before is not None else None,
            "newly_missing": bool(gone and len(former) and (before is None or before.verdict not in GONE)),
            "recovered": bool(before and before.verdict in GONE and record["verdict"] == "present"),
            "changed": _differ(baseline, fingerprint),
            "baseline": f"{kept:016x}",
        }


def _pointer(record: Record) -> int:
    """Return a digest of how the artifact is registered: whoever updates it means the bytes of that moment."""
    text = "\0".join(str(record[name]) for name in ("uri", "storage_key", "storage_path", "updated"))
    return xxhash.xxh64_intdigest(text.encode(errors="replace"))


def _differ(baseline: int, fingerprint: int) -> bool:
    """Tell whether these are of different bytes; an object that is a folder now was replaced as well."""
    if not baseline or not fingerprint:
        return False
    same_scope = baseline % 4 == fingerprint % 4
    return baseline != fingerprint if same_scope else _OBJECT in (baseline % 4, fingerprint % 4)


def _knows_more(fingerprint: int, baseline: int) -> bool:
    return not baseline or (fingerprint % 4 > baseline % 4 > _OBJECT)


def _fingerprint(record: Record) -> int:
    """Return a digest of the bytes' fingerprint, whose last two bits tell of what it is; 0 for none.

    A whole folder and its first object cannot be compared. When something was modified is left out: the same bytes,
    restored or copied, are the same.
    """
    known = record["fingerprint"]
    if not known or not known["tag"]:
        return 0
    scope = _OBJECT + ("object", "first", "whole").index(known["scope"])
    return xxhash.xxh64_intdigest(f"{known['tag']}\0{known['size']}".encode()) & ~3 | scope
