"""The programs that are compared: how each backs the database up, and how it brings it back into another."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.databases import DATABASE
from benchmarks.measure import Measured, measured
from benchmarks.place import PLAIN, Place
from sandbox.archive import unpacked
from sandbox.mariadb import mydumper as mydumper_command

RESTORED = "restored"
START_UP = "start-up"
ENCODER = "encoder"
DUMP = ("--single-transaction", "--set-gtid-purged=OFF")
# Stands for an installation without a compiler: the extension cannot be imported.
PYTHON_ENCODER = "import sys; sys.modules['opskit.mysql._encode'] = None; from opskit.cli import main; main()"

Job = Callable[[], Measured]


@dataclass(frozen=True, slots=True)
class Program:
    """A program, the jobs that it can do, and its version where that is not the server's."""

    name: str
    jobs: Mapping[str, Job]
    version: str = ""


def opskit(place: Place, command: Sequence[str] = ()) -> Program:
    """Return opskit with its defaults, as a user would start it."""
    storage = place.folder / "opskit"
    environment = {key: value for key, value in os.environ.items() if not key.startswith("OPSKIT_")} | {
        "OPSKIT_MYSQL_URL": f"{place.reached.url}/{DATABASE}?tls={place.tls}",
        "OPSKIT_MYSQL_PASSWORD": place.reached.password,
        "OPSKIT_STORAGE_URL": storage.as_uri(),
    }
    program = command or (str(Path(sys.executable).with_name("opskit")),)

    def run(*arguments: str) -> Measured:
        return measured([*program, *arguments], environment=environment)

    def backup() -> Measured:
        shutil.rmtree(storage, ignore_errors=True)
        storage.mkdir()
        return run("backup", "create", "--quiet")

    jobs = {
        "backup": backup,
        ENCODER: backup,
        "check": lambda: run("backup", "check", "latest", "--quiet"),
        "restore": lambda: run("restore", "run", "latest", "--into", RESTORED, "--quiet"),
        "--help": lambda: run("--help"),
        "probe": lambda: run("probe", "--only", "mysql"),
    }
    return Program("opskit", jobs)


def short_commands(place: Place) -> list[Program]:
    """Return what shows how long opskit takes to start: the help, and the quickest command that asks a server."""
    jobs = opskit(place).jobs
    return [
        Program("opskit --help", {START_UP: jobs["--help"]}),
        Program("opskit probe --only mysql", {START_UP: jobs["probe"]}),
    ]


def opskit_in_python(place: Place) -> Program:
    """Return opskit without its C extension."""
    command = (sys.executable, "-c", PYTHON_ENCODER)
    return Program("opskit in Python", {ENCODER: opskit(place, command).jobs["backup"]})


def mysqldump(place: Place) -> Program:
    """Return MySQL's own programs, with zstd behind the dump."""
    dump, text = place.folder / "mysqldump.sql.zst", place.folder / "mysqldump.sql"

    def restore() -> Measured:
        if not text.exists():
            subprocess.run([*zstd(), "-dq", dump, "-o", text], check=True)
        return measured([*place.reached.client(), RESTORED], stdin=text)

    return Program(
        "mysqldump",
        {
            "backup": lambda: measured(
                [*place.reached.client("mysqldump"), *DUMP, DATABASE], [*zstd(), "-3"], stdout=dump
            ),
            "restore": restore,
        },
    )


def mydumper(place: Place) -> Program:
    """Return mydumper, whose files zstd compresses afterwards, and myloader, which reads them as they were."""
    files = place.folder / "mydumper"
    # Without being told to, it uses no TLS.
    options = ("--threads", "4", *(() if place.link == PLAIN else ("--ssl",)))

    def backup() -> Measured:
        shutil.rmtree(files, ignore_errors=True)
        dump = mydumper_command(place.reached, "mydumper")
        dumped = measured([*dump, *options, "--database", DATABASE, "--outputdir", str(files)])
        return dumped.then(measured([*zstd(), "-3qr", str(files)]))

    def restore() -> Measured:
        for compressed in files.glob("*.zst"):
            compressed.unlink()  # myloader would take it for SQL
        load = mydumper_command(place.reached, "myloader")
        return measured([*load, *options, "--database", RESTORED, "--directory", str(files)])

    version = [*mydumper_command(place.reached, "mydumper"), "--version"]
    said = subprocess.run(version, check=True, capture_output=True, text=True).stdout
    return Program("mydumper", {"backup": backup, "restore": restore}, said.partition(",")[0])


PROGRAMS: Mapping[str, Callable[[Place], Program]] = {
    "mysqldump": mysqldump,
    "mydumper": mydumper,
    "opskit": opskit,
    "python": opskit_in_python,
}


@functools.cache
def zstd() -> list[str]:
    """Return the program zstd: the one on PATH, else the package archive's."""
    found = shutil.which("zstd")
    if found:
        return [found]
    archive = unpacked("zstd", ["zstd"])
    inside = archive.file("usr/bin/zstd")
    if inside is None:
        raise SystemExit("the package archive gave no zstd")
    return archive.command(inside)
