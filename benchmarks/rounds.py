"""Several programs at one job, in turn: round after round, each time another one first."""

import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime

from benchmarks.databases import DATABASE, Subject, row_counts
from benchmarks.measure import Measured
from benchmarks.place import Place
from benchmarks.programs import RESTORED, Job, Program
from benchmarks.results import Section


def measure(
    place: Place,
    subject: Subject,
    programs: Sequence[Program],
    jobs: Sequence[str],
    rounds: int,
    settle: Callable[[], None] = os.sync,
) -> Iterator[Section]:
    """Measure the jobs, one after the other; before the first, each program backs up once, unmeasured.

    `settle` comes before each run: nobody is to wait for the disk on account of who came before.
    """
    counts = row_counts(place.server, DATABASE)
    for program in programs:
        if "backup" in program.jobs:
            _say(place.link, subject.name, "warm-up", program.name)
            program.jobs["backup"]()
    for job in jobs:
        able = [each for each in programs if job in each.jobs]
        if not able:
            continue
        costs: dict[str, list[Measured]] = {each.name: [] for each in able}
        for number in range(rounds):
            first = number % len(able)
            for program in (*able[first:], *able[:first]):
                _say(place.link, subject.name, job, program.name)
                run = program.jobs[job]
                settle()
                costs[program.name].append(_restored(place, run, counts) if job == "restore" else run())
        time, versions = f"{datetime.now(UTC):%Y-%m-%d %H:%M}", _versions(place, able)
        yield Section(time, _machine(), versions, place.link, subject.name, sum(counts.values()), job, costs)


def _restored(place: Place, restore: Job, counts: dict[str, int]) -> Measured:
    """Measure one restore into a database of its own, and insist on every row: myloader ends well whatever happens."""
    place.server.execute(f"CREATE DATABASE {RESTORED}")
    cost = restore()
    found = row_counts(place.server, RESTORED)
    missing = {table: count for table, count in counts.items() if found.get(table) != count}
    assert not missing, f"not restored: {missing}"
    place.server.execute(f"DROP DATABASE {RESTORED}")
    return cost


def _versions(place: Place, programs: Sequence[Program]) -> str:
    return ", ".join([f"MySQL {place.server.version}", *(each.version for each in programs if each.version)])


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} processors, {memory:.0f} GiB of memory, Python {platform.python_version()}"


def _say(*what: str) -> None:
    print(", ".join(what), "…", file=sys.stderr, flush=True)
