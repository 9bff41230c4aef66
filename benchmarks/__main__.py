"""`make bench`: opskit beside mysqldump and mydumper, on one server, in one run.

Without arguments everything is measured, part by part, as WHOLE says: that takes about an hour. With arguments one part
is. Each part replaces what it measures in benchmarks/results, and the README's figures with it.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from benchmarks import artifacts, report, results
from benchmarks.databases import ARTIFACTS, SUBJECTS, subject
from benchmarks.place import LINKS, place
from benchmarks.programs import ENCODER, PROGRAMS, START_UP, short_commands
from benchmarks.results import Section
from benchmarks.rounds import measure
from opskit.mysql.encode import ACCELERATED

WHOLE = (
    "start-up --rounds 10",
    "databases --sizes 1",
    "databases --sizes 1 --only encoder --programs opskit python",
    "databases --sizes 4 --only backup",
    "databases --sizes 16 --only backup --rounds 1",
    "databases --sizes 16 --only restore --rounds 1 --programs opskit",
    "databases --sizes 1 --only backup restore --links plain far --rounds 1",
    "databases --sizes oversized --rounds 1",
    "artifacts",
)
JOBS = ("backup", "check", "restore")


def main(arguments: Sequence[str]) -> int:
    """Measure what the arguments ask for, print and keep it; return the exit code."""
    if not arguments:
        return max([main(part.split()) for part in WHOLE])
    options = _options(arguments)
    if options.part == "artifacts":
        return artifacts.run(options.results)
    measure_part = _start_up if options.part == START_UP else _databases
    for section in measure_part(options):
        results.keep(options.results, section)
    report.write(options.results)
    return 0


def _start_up(options: argparse.Namespace) -> Iterator[Section]:
    registry = subject("1", options.artifacts)
    with place(registry.template, LINKS["tls"]) as here:
        yield from measure(here, registry, short_commands(here), [START_UP], options.rounds)


def _databases(options: argparse.Namespace) -> Iterator[Section]:
    if not ACCELERATED:
        raise SystemExit("opskit's C extension was not built: what would be measured is its stand-in")
    for size in options.sizes:
        database = subject(size, options.artifacts)
        for link in options.links:
            with place(database.template, LINKS[link]) as here:
                programs = [PROGRAMS[name](here) for name in options.programs]
                yield from measure(here, database, programs, options.only, options.rounds)


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--results", type=Path, default=results.FOLDER, help="the folder to write to")
    common.add_argument("--rounds", type=int, default=3, help="how often each program runs [%(default)s]")
    common.add_argument("--artifacts", type=int, default=ARTIFACTS, help="of a registry of size 1 [%(default)s]")
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parts = parser.add_subparsers(dest="part", required=True)
    databases = parts.add_parser("databases", parents=[common], help="backup and restore, beside other programs")
    for name, choices, default in (
        ("sizes", SUBJECTS, ["1"]),
        ("only", (*JOBS, ENCODER), list(JOBS)),
        ("programs", PROGRAMS, ["mysqldump", "mydumper", "opskit"]),
        ("links", LINKS, ["tls"]),
    ):
        databases.add_argument(f"--{name}", nargs="+", choices=choices, default=default, help=f"[{' '.join(default)}]")
    parts.add_parser(START_UP, parents=[common], help="the shortest commands, as whole processes")
    parts.add_parser("artifacts", parents=[common], help="the search for artifacts")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
