"""The report on every artifact, one line each, and its summary: `<registry>/artifacts/<time>.json.zst` and `.json`.

The report is one JSON document whose records stand on lines of their own, so that it is written and read as a stream.
The summary is stored last: a report without one was not finished. What does not tell of the whole registry as it is
now, a report on a former backup or on live artifacts only, lies in `<registry>/artifacts/aside/`, where nobody takes it
for the newest.
"""

import json
import logging
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields
from datetime import UTC, datetime
from time import sleep
from typing import Annotated, Any, Final

from pydantic import FailFast, TypeAdapter

from opskit import __version__
from opskit.artifacts.verdict import GONE, UNKNOWN, VERDICTS, Finding, Fingerprint, Verdict
from opskit.backup.stages import compressed, decompressed, gathered, lines
from opskit.errors import CorruptError, NotFoundError
from opskit.registry.inventory import Pointer
from opskit.storage import Storage

logger = logging.getLogger(__name__)

Record = dict[str, Any]

FORMAT: Final = 1
# What the source of a report on a backup other than the newest begins with.
FORMER: Final = "former "
_SUMMARY = re.compile(r"\d{8}T\d{6}Z\.json")
# None that opskit writes is half as long: a URI has 64 KiB (the database's TEXT), six times that where JSON escapes
# every byte; a header that a server sends has 64 KiB; each property, file name and reason is much shorter.
LONGEST_RECORD: Final = 2 * 1024 * 1024
_COMPRESSION_LEVEL = 6
_POLL_SECONDS = 0.1
_SHOWN = 1_000
# A thousand findings of ordinary length.
LARGEST_SUMMARY: Final = 2 * 1024 * 1024
# Whoever can write to the storage could have us read any number of them.
_SUMMARIES_TRIED = 10


@dataclass(slots=True)
class Summary:
    """What a run found, in numbers; `findings` are the first records that somebody should read."""

    registry: str
    time: str
    source: str
    layout: bool
    live_only: bool
    artifacts: int = 0
    archived: int = 0
    verdicts: dict[str, int] = field(default_factory=lambda: dict.fromkeys(VERDICTS, 0))
    layout_failures: int = 0
    layout_warnings: int = 0
    newly_missing: int = 0
    recovered: int = 0
    changed: int = 0
    compared_with: str | None = None
    run_id: str | None = None
    format: int = FORMAT
    opskit_version: str = __version__
    finished: str = ""
    # An error for each of a million would take two hundred times their bytes.
    findings: Annotated[list[Record], FailFast()] = field(default_factory=list)
    findings_left_out: int = 0

    @property
    def aside(self) -> bool:
        """Whether it tells of something else than the whole registry as it is now."""
        return is_aside(self.source, live_only=self.live_only)

    @property
    def gone(self) -> int:
        """Artifacts whose bytes are known not to be there."""
        return sum(self.verdicts.get(verdict, 0) for verdict in GONE)

    @property
    def unknown(self) -> int:
        """Artifacts of which nobody could tell."""
        return sum(self.verdicts.get(verdict, 0) for verdict in UNKNOWN)

    @property
    def found_problems(self) -> bool:
        """Whether anything is gone, cannot be served, or was replaced."""
        return bool(self.gone or self.layout_failures or self.changed)

    def count(self, record: Record) -> None:
        """Take one record, compared with the report before."""
        self.artifacts += 1
        self.archived += record["archived"]
        self.verdicts[record["verdict"]] += 1
        self.layout_failures += bool(record["failures"])
        self.layout_warnings += bool(record["warnings"])
        self.newly_missing += record["newly_missing"]
        self.recovered += record["recovered"]
        self.changed += record["changed"]
        if record["verdict"] != "present" or record["failures"] or record["warnings"] or record["changed"]:
            if len(self.findings) < _SHOWN:
                self.findings.append(record)
            else:
                self.findings_left_out += 1


@dataclass(frozen=True, slots=True)
class _Found:
    """What a record holds beside its pointer, before it is compared."""

    archived: bool
    verdict: Verdict
    detail: str
    fingerprint: Fingerprint | None
    failures: Annotated[tuple[str, ...], FailFast()]
    warnings: Annotated[tuple[str, ...], FailFast()]


class _Kind:
    """What a record must hold, field by field."""

    def __init__(self, of: type) -> None:
        self._names = frozenset(each.name for each in fields(of))
        self._adapter: TypeAdapter[Any] = TypeAdapter(of)

    def check(self, record: Record, text: bytes) -> None:
        """Raise `ValueError` unless the record, whose JSON is `text`, is of this kind."""
        # First, for the adapter makes the whole record anew for each field that it misses.
        if not self._names <= record.keys():
            raise ValueError("a field is missing")
        self._adapter.validate_json(text, strict=True)


_SUMMARIES: Final = TypeAdapter(Summary)
# What a line of an inventory must hold, and what a part of a report holds beside it.
POINTERS: Final = _Kind(Pointer)
FOUND: Final = _Kind(_Found)


def record_of(pointer: Pointer, finding: Finding) -> Record:
    """Return what is stored of one artifact."""
    known = asdict(pointer) | {"archived": pointer.archived}
    return known | {
        "verdict": finding.verdict,
        "detail": finding.detail,
        "fingerprint": asdict(finding.fingerprint) if finding.fingerprint else None,
        "failures": list(finding.failures),
        "warnings": list(finding.warnings),
    }


def time_name(moment: datetime) -> str:
    """Return a moment as it stands in keys: `20261123T021500Z`."""
    return f"{moment.astimezone(UTC):%Y%m%dT%H%M%SZ}"


def unused_time(storage: Storage, registry: str) -> str:
    """Return the present second as it stands in keys; where it names a report already, wait for the next one."""
    while True:
        now = time_name(datetime.now(UTC))
        taken = (report_key(registry, now), report_key(registry, now, aside=True))
        if not any(each.key in taken for key in taken for each in storage.list(key)):
            return now
        sleep(_POLL_SECONDS)


def is_aside(source: str, *, live_only: bool) -> bool:
    """Tell a report on a former backup, or on live artifacts only, from one on the whole registry as it is now."""
    return live_only or source.startswith(FORMER)


def report_key(registry: str, time: str, *, aside: bool = False) -> str:
    """Return the storage key of a report."""
    return f"{_folder(registry, aside=aside)}{time}.json.zst"


def summary_key(registry: str, time: str, *, aside: bool = False) -> str:
    """Return the storage key of a report's summary."""
    return f"{_folder(registry, aside=aside)}{time}.json"


def _folder(registry: str, *, aside: bool) -> str:
    return f"{registry}/artifacts/aside/" if aside else f"{registry}/artifacts/"


def put_records(
    storage: Storage, key: str, head: Mapping[str, object], records: Iterable[Record], *, again: bool = False
) -> None:
    """Store records as they come; if they break off, nothing is stored.

    `ObjectExistsError` if the key is taken, unless the same may be stored `again`.
    """

    def text() -> Iterator[bytes]:
        yield json.dumps(head)[:-1].encode() + b', "artifacts": ['
        separator = b"\n"
        for record in records:
            yield separator + json.dumps(record, ensure_ascii=False).encode(errors="replace")
            separator = b",\n"
        yield b"\n]}\n"

    storage.put(key, compressed(text(), _COMPRESSION_LEVEL), if_absent=not again)


def get_records(storage: Storage, key: str, *kinds: _Kind) -> Iterator[Record]:
    """Yield the records of a stored report; `CorruptError` if it is none, is not whole, or one is not of `kinds`."""
    content = lines(decompressed(storage.get(key)), LONGEST_RECORD)
    next(content, b"")
    for line in content:
        if line == b"]}":
            return
        text = line.removesuffix(b",")
        try:
            record = _record(text)
            for kind in kinds:
                kind.check(record, text)
        except (ValueError, RecursionError) as error:
            raise CorruptError(f"{key} is damaged: a line is no record") from error
        yield record
    raise CorruptError(f"{key} is damaged: it ends too early")


def _record(text: bytes) -> Record:
    # As Python's objects JSON may take thirty times its bytes.
    if len(text) > LONGEST_RECORD:
        raise ValueError("it is too long to be one")
    record = json.loads(text)
    if not isinstance(record, dict):
        raise ValueError("it is no object")  # noqa: TRY004 - not of a caller's argument
    return record


def put_summary(storage: Storage, summary: Summary) -> None:
    """Store the summary beside its report; findings that would make it too large to be read are left out."""
    while len(content := _stored(summary)) > LARGEST_SUMMARY:
        kept = len(summary.findings) // 2
        summary.findings_left_out += len(summary.findings) - kept
        del summary.findings[kept:]
    storage.put(summary_key(summary.registry, summary.time, aside=summary.aside), [content], if_absent=True)


def _stored(summary: Summary) -> bytes:
    return f"{json.dumps(asdict(summary), ensure_ascii=False, indent=1)}\n".encode(errors="replace")


def newest_summary(storage: Storage, registry: str) -> Summary | None:
    """Return the newest summary of a registry that can be read, None if there is none."""
    return next(summaries(storage, registry), None)


def summaries(storage: Storage, registry: str, *, before: str | None = None) -> Iterator[Summary]:
    """Yield the summaries of a registry, the newest first, and no more than a few; warn of what cannot be read."""
    times = [time for time in summary_times(storage, registry) if before is None or time < before]
    for time in times[:_SUMMARIES_TRIED]:
        if summary := read_summary(storage, registry, time):
            yield summary
        else:
            logger.warning("the report of %s has no summary that can be read", time)


def summary_times(storage: Storage, registry: str) -> list[str]:
    """Return the times of all reports on the whole registry that were finished, the newest first."""
    folder = _folder(registry, aside=False)
    names = [each.key.removeprefix(folder) for each in storage.list(folder)]
    return sorted((name.removesuffix(".json") for name in names if _SUMMARY.fullmatch(name)), reverse=True)


def read_summary(storage: Storage, registry: str, time: str, *, aside: bool = False) -> Summary | None:
    """Return one summary, None if there is none or it is not one."""
    key = summary_key(registry, time, aside=aside)
    try:
        # Not validate_json: it makes the whole anew for each error that it tells.
        summary = _SUMMARIES.validate_python(json.loads(gathered(storage.get(key), LARGEST_SUMMARY, key)))
    except (NotFoundError, CorruptError, ValueError, RecursionError):
        return None
    return summary if summary.time == time else None
