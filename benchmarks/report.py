"""The results as tables for people: first the figures that have a bar, then everything that was measured."""

import textwrap
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path

from benchmarks.bars import MEGABYTE, SIZES, readings
from benchmarks.databases import SERVER, SUBJECTS
from benchmarks.measure import Measured
from benchmarks.place import LINKS, TLS
from benchmarks.programs import ENCODER, START_UP
from benchmarks.results import FOLDER, Results, Section, load, middle
from opskit.backup.create import Options
from sandbox.mysql import OPTIONS

FILE = "databases.md"
JOBS = (START_UP, "backup", "check", "restore", ENCODER)
COMMANDS = {
    ("backup", "mysqldump"): "`mysqldump \\| zstd -3`",
    ("backup", "mydumper"): "`mydumper -t 4`, then `zstd -3`",
    ("restore", "mysqldump"): "`mysql < dump.sql`",
    ("restore", "mydumper"): "`myloader -t 4`",
}
DEFAULTS = Options()
NOTES = f"""\
Medians of the rounds of one run, in which the programs take turns, each time another one first; before the first round
each program backs up once, unmeasured. Client CPU is user and system time of all processes of the client; peak memory
is the resident set of the largest of them, the greatest of all rounds. The last two columns tell what part opskit's
time and CPU are of that program's. Server and clients share the machine.

- opskit runs with its defaults: {DEFAULTS.workers} workers, zstd level {DEFAULTS.compression_level}, and a restore
  that compares every row.
- A backup by opskit is on the disk when it ends; those of the others may still be in memory.
- `mysql` and `myloader` read SQL that was decompressed before; opskit decompresses as it restores.
- `myloader` keeps its restore out of the binary log; `mysql` and opskit do not.
- Restores go into an empty database of the same server, beside the original; its rows are counted afterwards.
- Over TLS the clients' account must use it; without, the server has none. 20 ms away means a relay between client
  and server that passes each byte on 10 ms later, in both directions alike.
"""
HEAD = ["job", "program", "seconds", "from-to", "client CPU", "peak memory", "opskit's time", "opskit's CPU"]
WIDTH = 120
README = Path(__file__).parents[1] / "README.md"
BEGIN, END = "<!-- figures: benchmarks/results -->", "<!-- end of figures -->"


def write(folder: Path) -> None:
    """Print and write the page of a folder's results; the project's own also go into its README."""
    results = load(folder)
    text = markdown(results)
    print(text)
    (folder / FILE).write_text(text)
    if folder == FOLDER:
        README.write_text(in_readme(README.read_text(), results))


def in_readme(text: str, results: Results) -> str:
    """Return the README with these figures in the place of those that it has."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return "\n".join([before + begin, *by_size(results), end + after])


def markdown(results: Results) -> str:
    """Return all results as one page."""
    options = ", ".join(f"`{each.removeprefix('--')}`" for each in (*OPTIONS, *SERVER))
    settings = textwrap.fill(f"What the server is started with: {options}.", WIDTH, break_on_hyphens=False)
    lines = ["# Databases: opskit, mysqldump and mydumper", ""]
    lines += [NOTES, settings, ""]
    lines += [*figures(results), "", f"## Time and memory against size, {TLS}", "", *by_size(results), ""]
    ordered = sorted(results.sections, key=_place)
    for (link, database), group in groupby(ordered, key=lambda each: (each.link, each.database)):
        sections = list(group)
        lines += [f"## {database}, {link}: {sections[0].rows:,} rows", "", *_table([HEAD, *_rows(sections)]), ""]
        lines += [*(textwrap.fill(each, WIDTH, break_on_hyphens=False) for each in _occasions(sections)), ""]
    return "\n".join(lines)


def figures(results: Results) -> list[str]:
    """Return the table of the figures that have a bar."""
    rows = [["figure", "measured", "bar", ""]]
    for bar, value in readings(results):
        if value is not None:
            missed = "" if value <= bar.limit else "missed"
            rows.append([bar.figure, bar.shown(value), f"≤ {bar.shown(bar.limit)}", missed])
    return _table(rows, left=(0, 3))


def by_size(results: Results) -> list[str]:
    """Return the table of what each program took at each size that was measured; the README has it too."""
    sizes = [size for size in SIZES if any(results.section(TLS, size, job) for job in ("backup", "restore"))]
    rows = [["job", "program", *(f"{size}, {what}" for size in sizes for what in ("seconds", "MB"))]]
    for job in ("backup", "restore"):
        for program in ("mysqldump", "mydumper", "opskit"):
            costs = [results.cost(TLS, size, job, program) for size in sizes]
            cells = [
                (f"{each.seconds:.1f}", f"{each.peak_bytes / MEGABYTE:.0f}") if each else ("", "") for each in costs
            ]
            if any(costs):
                rows.append([job, _command(job, program), *(cell for pair in cells for cell in pair)])
    return _table(rows)


def _command(job: str, program: str) -> str:
    return COMMANDS.get((job, program), f"`{program}`")


def _place(section: Section) -> tuple[int, ...]:
    """Return where a section comes on the page."""
    orders = (tuple(LINKS.values()), tuple(SUBJECTS.values()), JOBS)
    return tuple(order.index(each) for order, each in zip(orders, section.key, strict=True))


def _occasions(sections: Sequence[Section]) -> list[str]:
    """Say when and where each section was measured, once where it is the same."""
    said: dict[str, list[str]] = {}
    for section in sections:
        where = f"{section.versions}, {section.machine}"
        said.setdefault(where, []).append(f"{section.job} at {section.time}")
    return [f"Measured with {where}: {', '.join(times)} UTC." for where, times in said.items()]


def _rows(sections: Sequence[Section]) -> Iterator[list[str]]:
    for section in sections:
        ours = section.cost("opskit")
        for program, rounds in section.costs.items():
            cost = middle(rounds)
            times = sorted(each.seconds for each in rounds)
            yield [
                section.job,
                _command(section.job, program),
                f"{cost.seconds:.2f}",
                f"{times[0]:.2f}-{times[-1]:.2f}" if len(times) > 1 else "one round",
                f"{cost.processor_seconds:.2f} s",
                f"{cost.peak_bytes / MEGABYTE:.0f} MB",
                *(_of(ours, cost) if ours and program != "opskit" else ("", "")),
            ]


def _of(ours: Measured, theirs: Measured) -> tuple[str, str]:
    """Return what part of theirs our time and our processor time are."""
    return (
        f"{ours.seconds / theirs.seconds:.2f}",
        f"{ours.processor_seconds / theirs.processor_seconds:.2f}",
    )


def _table(rows: Sequence[Sequence[str]], left: Sequence[int] = (0, 1)) -> list[str]:
    """Return a table in Markdown whose columns line up as text too; those not in `left` are aligned to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = [
        " | ".join(
            cell.ljust(width) if number in left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
    rule = "|".join(
        "-" * (width + 2) if number in left else "-" * (width + 1) + ":" for number, width in enumerate(widths)
    )
    return [f"| {lines[0]} |", f"|{rule}|", *(f"| {line} |" for line in lines[1:])]
