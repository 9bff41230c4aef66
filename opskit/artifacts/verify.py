"""A verification from beginning to end: look for every artifact, compare with the report before, store the report."""

import logging
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from opskit.artifacts.history import Former, compared
from opskit.artifacts.report import (
    FORMAT,
    Record,
    Summary,
    get_records,
    put_records,
    put_summary,
    record_of,
    report_key,
    summaries,
)
from opskit.artifacts.search import Options, Places, find_all
from opskit.errors import CorruptError, NotFoundError
from opskit.progress import NoProgress, Progress
from opskit.registry.inventory import Pointer
from opskit.storage import Storage

logger = logging.getLogger(__name__)

Listener = Callable[[Record], None]


def verify(
    pointers: Iterable[Pointer],
    places: Places,
    storage: Storage,
    summary: Summary,
    options: Options = Options(),
    *,
    listeners: Iterable[Listener] = (),
    progress: Progress = NoProgress(),
) -> Summary:
    """Look for the bytes of every pointer and return the summary, once report and summary are stored.

    `summary` says what is verified, and when; it is filled in. `listeners` are told each record as it is found.
    """
    wanted = (each for each in pointers if not (summary.live_only and each.archived))
    records = (record_of(*each) for each in find_all(wanted, places, options, progress))
    return store_report(records, storage, summary, listeners=listeners)


def store_report(
    records: Iterable[Record],
    storage: Storage,
    summary: Summary,
    *,
    listeners: Iterable[Listener] = (),
    again: bool = False,
) -> Summary:
    """Compare the records with the report before, store them and then their summary, and return that.

    The same records give the same report, so that it may be stored `again` after a try that did not end.
    """
    former = _former(storage, summary)

    def counted() -> Iterator[Record]:
        for record in compared(records, former, datetime.fromisoformat(summary.time)):
            summary.count(record)
            for tell in listeners:
                tell(record)
            yield record

    head = {"format": FORMAT, "registry": summary.registry, "time": summary.time, "source": summary.source}
    put_records(storage, report_key(summary.registry, summary.time, aside=summary.aside), head, counted(), again=again)
    summary.finished = datetime.now(UTC).isoformat(timespec="seconds")
    put_summary(storage, summary)
    return summary


def _former(storage: Storage, summary: Summary) -> Former:
    """Read the newest report before that can be read; none is no reason to stop looking. A report aside has none."""
    if summary.aside:
        return Former()
    for before in summaries(storage, summary.registry, before=summary.time):
        try:
            former = Former(get_records(storage, report_key(before.registry, before.time)))
        except (CorruptError, NotFoundError, KeyError, ValueError, TypeError, OverflowError) as error:
            logger.warning("the report of %s cannot be compared: %s", before.time, error)
        else:
            summary.compared_with = before.time
            return former
    return Former()
