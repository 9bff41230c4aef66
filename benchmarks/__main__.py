"""`make bench`: opskit beside mysqldump and mysql, on one server, in one run.

Seconds depend on the machine and on who else uses it; the ratios between two programs that ran one after the other
mean more. Peak memory depends on neither.
"""

import argparse
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from benchmarks import artifacts
from benchmarks.databases import Subject, oversized, registry
from benchmarks.measure import Measured, measured
from benchmarks.report import Run, write
from sandbox.archive import unpacked
from sandbox.mysql import mysql_server
from sandbox.server import OwnServer

ARTIFACTS = 250_000
WORKERS = 4
SERVER = ("--innodb-buffer-pool-size=2G", "--innodb-redo-log-capacity=2G", "--max-allowed-packet=128M")


@dataclass(frozen=True, slots=True)
class Bench:
    """A server, a folder, and the programs that are measured on them."""

    server: OwnServer
    folder: Path
    zstd: list[str]

    def opskit(self, subject: Subject, *arguments: str) -> Measured:
        """Measure an opskit command on one database."""
        environment = os.environ | {
            "OPSKIT_MYSQL_URL": f"{self.server.url}/{subject.database}?tls=disabled",
            "OPSKIT_MYSQL_PASSWORD": self.server.password,
            "OPSKIT_STORAGE_URL": (self.folder / subject.database).as_uri(),
        }
        return measured([sys.executable, "-m", "opskit", *arguments, "--quiet"], environment=environment)

    def start_up(self, subject: Subject) -> list[Run]:
        """Measure what a command costs before it does anything, and the quickest one that asks a server."""
        return [
            Run(subject, "start", "opskit --help", self.opskit(subject, "--help")),
            Run(subject, "start", "opskit probe", self.opskit(subject, "probe", "--only", "mysql")),
        ]

    def run(self, subject: Subject) -> list[Run]:
        """Back one database up and bring it back, with opskit and with the programs that MySQL has for it."""
        dump = self.folder / f"{subject.database}.sql.zst"
        dumper = [*self.server.client("mysqldump"), "--single-transaction", "--set-gtid-purged=OFF"]
        workers = ("--workers", str(WORKERS))
        self.server.execute("CREATE DATABASE other")
        steps: list[tuple[str, str, Callable[[], Measured]]] = [
            (
                "backup",
                "mysqldump | zstd -3",
                lambda: measured([*dumper, subject.database], [*self.zstd, "-3"], stdout=dump),
            ),
            ("backup", "opskit", lambda: self.opskit(subject, "backup", "create", *workers)),
            ("check", "opskit", lambda: self.opskit(subject, "backup", "check")),
            (
                "restore",
                "zstd -d | mysql",
                lambda: measured([*self.zstd, "-dc"], [*self.server.client(), "other"], stdin=dump),
            ),
            (
                "restore",
                "opskit",
                lambda: self.opskit(subject, "restore", "run", "latest", "--into", "again", *workers),
            ),
        ]
        done = []
        for job, program, step in steps:
            print(f"{subject.name}: {job}, {program} …", file=sys.stderr, flush=True)
            done.append(Run(subject, job, program, step()))
        self.server.execute("DROP DATABASE other", "DROP DATABASE again")
        return done


def main() -> None:
    """Measure, print and keep the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__.splitlines()[0])
    parser.add_argument("--artifacts", type=int, default=ARTIFACTS, help="of the larger registry [%(default)s]")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"), help="where to write")
    options = parser.parse_args()
    with mysql_server(SERVER) as server, tempfile.TemporaryDirectory() as folder:
        bench = Bench(server, Path(folder), _zstd())
        print(f"{server}; filling registries …", file=sys.stderr, flush=True)
        subjects = [
            registry(server, "small", options.artifacts // 10),
            registry(server, "large", options.artifacts),
            oversized(server),
        ]
        runs = [*bench.start_up(subjects[0]), *(run for subject in subjects for run in bench.run(subject))]
        write(options.results, str(server.version), WORKERS, runs)
    artifacts.run(options.results)


def _zstd() -> list[str]:
    found = shutil.which("zstd")
    if found:
        return [found]
    archive = unpacked("zstd", ["zstd"])
    inside = archive.file("usr/bin/zstd")
    if inside is None:
        raise SystemExit("the package archive gave no zstd")
    return archive.command(inside)


if __name__ == "__main__":
    main()
