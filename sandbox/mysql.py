"""A real MySQL, version 8 or newer."""

import hashlib
import os
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

from sandbox import UnavailableSandboxError
from sandbox.archive import unpacked
from sandbox.cache import cache_folder, cached
from sandbox.certificate import trusted_certificate
from sandbox.process import scratch
from sandbox.server import SEARCHED, Address, OwnServer, Programs, Server, Template

URL_VARIABLE = "OPSKIT_TEST_MYSQL_URL"
OLDEST = 8

Tls = Literal["generated", "trusted", "off"]

# A crash of the server loses nothing, a power cut may; all else is as on a real server.
OPTIONS = (
    "--mysqlx=OFF",
    "--secure-file-priv=NULL",
    "--log-bin=binlog",
    "--server-id=1",
    "--gtid-mode=ON",
    "--enforce-gtid-consistency=ON",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--sync-binlog=0",
)
# These shape the data folder when it is made.
INITIAL = ("--lower-case-table-names=", "--innodb-page-size=", "--innodb-data-file-path=")


def _from_path() -> Programs:
    program = shutil.which("mysqld", path=SEARCHED)
    if program is None:
        raise UnavailableSandboxError("there is no mysqld on PATH")
    return Programs("MySQL", program, [program])


def _from_archive() -> Programs:
    found = unpacked("mysql-sid", ["mysql-server-core", "mysql-client-core"], suite="sid")
    program = found.file("usr/sbin/mysqld")
    if program is None:
        raise UnavailableSandboxError(f"the package archive gave no mysqld: {found.root}")
    share = found.root / "usr/share/mysql"
    folders = [
        f"--lc-messages-dir={share}",
        f"--character-sets-dir={share / 'charsets'}",
        f"--plugin-dir={found.root / 'usr/lib/mysql/plugin'}",
    ]
    return Programs("MySQL", found.origin, found.command(program), folders, found)


def _template(programs: Programs, initial: Sequence[str]) -> Template:
    version = programs.version()
    if int(version.split(".")[0]) < OLDEST:
        raise UnavailableSandboxError(f"{programs.source} is MySQL {version}, too old")

    def initialise(folder: Path) -> None:
        password = secrets.token_hex(12)
        (folder / "password").write_text(password)
        (folder / "root.sql").write_text(
            f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';\n"
            f"CREATE USER 'root'@'%' IDENTIFIED BY '{password}';\n"
            "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;\n"
        )
        done = subprocess.run(
            [
                *programs.server,
                "--no-defaults",
                "--initialize-insecure",
                *(["--user=root"] if os.getuid() == 0 else []),
                f"--datadir={folder / 'data'}",
                f"--init-file={folder / 'root.sql'}",
                "--innodb-flush-method=nosync",
                *programs.folders,
                *initial,
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            # Ubuntu's AppArmor profile, for one, keeps the system's mysqld out of other folders.
            raise UnavailableSandboxError(f"{programs.source} does not start: {done.stderr[-500:]}")
        # Each copy is a server of its own, and gets a UUID of its own.
        (folder / "data/auto.cnf").unlink()

    variant = hashlib.sha256(repr((programs.server, list(initial))).encode()).hexdigest()[:8]
    return Template(cached(f"templates/mysql-{version}-{os.getuid()}-{variant}", initialise), version)


def _certificate_options(folder: Path, tls: Tls) -> list[str]:
    if tls == "off":
        return ["--tls-version="]
    if tls == "generated":
        return []
    return trusted_certificate(folder)


@cache
def _found(initial: tuple[str, ...]) -> tuple[Programs, Template] | str:
    """Return the first source whose server initialises a data folder, or why there is none: asked once."""
    reasons = []
    for find in (_from_path, _from_archive):
        try:
            programs = find()
            return programs, _template(programs, initial)
        except UnavailableSandboxError as error:
            reasons.append(str(error))
    return "no MySQL: " + "; ".join(reasons)


def _had(initial: tuple[str, ...]) -> tuple[Programs, Template]:
    found = _found(initial)
    if isinstance(found, str):
        raise UnavailableSandboxError(found)
    return found


@contextmanager
def mysql_server(
    options: Sequence[str] = (), *, tls: Tls = "generated", template: Template | None = None
) -> Iterator[OwnServer]:
    """Run a MySQL of one's own on a free port; `options` are mysqld's and win over OPTIONS.

    `tls` chooses its certificate: the one it generates itself (good for verify_ca, its name fits nothing), one
    for 127.0.0.1 and localhost from an authority of its own (`server.ca_file`), or no TLS at all. `template` is what
    it holds: nothing, or what `filled` has made.
    """
    programs, empty = _had(tuple(each for each in options if each.startswith(INITIAL)))
    with scratch("mysql") as place:
        certificate = _certificate_options(place.folder, tls)
        yield OwnServer(programs, template or empty, [*OPTIONS, *certificate, *options], place)


def filled(name: str, options: Sequence[str], fill: Callable[[OwnServer], None]) -> Template:
    """Return a data folder that `fill` has filled; it is made once and kept in the cache under this name."""
    _, empty = _had(())

    def make(folder: Path) -> None:
        with mysql_server(options) as server:
            fill(server)
            server.stop()
            (server.data / "auto.cnf").unlink()
            shutil.move(server.data, folder / "data")
        (folder / "password").write_text(empty.password)

    return Template(cached(f"{empty.folder.relative_to(cache_folder())}-{name}", make), empty.version)


@contextmanager
def shared_mysql_server() -> Iterator[Server]:
    """Run a MySQL that many tests share, or use the one that OPSKIT_TEST_MYSQL_URL names."""
    url = os.environ.get(URL_VARIABLE)
    if url is None:
        with mysql_server() as own:
            yield own
        return
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Address.from_url(url), Programs("MySQL", URL_VARIABLE, []), Path(folder), "")
        server.version = server.execute("SELECT VERSION()")[0][0]
        if "MariaDB" in server.version or int(server.version.split(".")[0]) < OLDEST:
            raise UnavailableSandboxError(f"{URL_VARIABLE} is {server.version}, not MySQL {OLDEST} or newer")
        yield server
