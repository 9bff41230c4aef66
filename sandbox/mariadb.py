"""A real MariaDB, and mydumper and myloader, which come with it."""

import hashlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Literal

from sandbox import UnavailableSandboxError
from sandbox.archive import Unpacked, unpacked
from sandbox.cache import cached
from sandbox.process import scratch
from sandbox.server import SEARCHED, OwnServer, Programs, Server, Template

PACKAGES = ("mariadb-server-core", "mariadb-server", "mariadb-client-core", "mydumper")
OPTIONS = (
    # As Debian's configuration has it; the program's own default is latin1.
    "--character-set-server=utf8mb4",
    "--collation-server=utf8mb4_general_ci",
    "--log-bin=binlog",
    "--server-id=1",
    "--innodb-flush-log-at-trx-commit=2",
    "--innodb-flush-method=nosync",
    "--sync-binlog=0",
)


def _unpacked() -> Unpacked:
    return unpacked("mariadb", PACKAGES)


def _share(prefix: Path) -> Path:
    """Return the folder of the server's messages and SQL files; MariaDB 11 renamed it."""
    for name in ("mariadb", "mysql"):
        if (prefix / "share" / name / "fill_help_tables.sql").exists():
            return prefix / "share" / name
    raise UnavailableSandboxError(f"no MariaDB in {prefix}/share")


def _from_path() -> Programs:
    program = shutil.which("mariadbd", path=SEARCHED) or shutil.which("mysqld", path=SEARCHED)
    if program is None:
        raise UnavailableSandboxError("there is no mariadbd on PATH")
    share = _share(Path(program).resolve().parents[1])
    return Programs("MariaDB", program, [program], [f"--lc-messages-dir={share}"])


def _from_archive() -> Programs:
    found = _unpacked()
    program = found.file("usr/sbin/mariadbd")
    if program is None:
        raise UnavailableSandboxError(f"the package archive gave no mariadbd: {found.root}")
    share = _share(found.root / "usr")
    folders = [
        f"--lc-messages-dir={share}",
        f"--character-sets-dir={share / 'charsets'}",
        f"--plugin-dir={found.root / 'usr/lib/mysql/plugin'}",
    ]
    return Programs("MariaDB", found.origin, found.command(program), folders, found)


def _system_tables(share: Path, password: str) -> str:
    """Return what mariadb-install-db feeds to the server: that script runs programs without their loader."""
    files = [
        next(iter(share.glob(f"m*_{name}.sql")))
        for name in ("system_tables", "performance_tables", "system_tables_data", "sys_schema")
    ]
    script = [
        "CREATE DATABASE mysql;",
        "USE mysql;",
        "SET @auth_root_socket = NULL;",
        *(each.read_text() for each in files[:3]),
        (share / "maria_add_gis_sp_bootstrap.sql").read_text(),
        files[3].read_text(),
        "FLUSH PRIVILEGES;",
        f"ALTER USER 'root'@'localhost' IDENTIFIED BY '{password}';",
        f"CREATE USER 'root'@'%' IDENTIFIED BY '{password}';",
        "GRANT ALL ON *.* TO 'root'@'%' WITH GRANT OPTION;",
        "",
    ]
    return "\n".join(script)


def _template(programs: Programs) -> Template:
    version = programs.version()
    share = Path(programs.folders[0].partition("=")[2])

    def initialise(folder: Path) -> None:
        password = secrets.token_hex(12)
        (folder / "password").write_text(password)
        (folder / "data").mkdir()
        done = subprocess.run(
            [
                *programs.server,
                "--no-defaults",
                "--bootstrap",
                *(["--user=root"] if os.getuid() == 0 else []),
                f"--datadir={folder / 'data'}",
                *programs.folders,
                "--max-allowed-packet=8M",
            ],
            input=_system_tables(share, password),
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode:
            raise UnavailableSandboxError(f"{programs.source} does not start: {done.stderr[-500:]}")

    variant = hashlib.sha256(repr(programs.server).encode()).hexdigest()[:8]
    return Template(cached(f"templates/mariadb-{version}-{os.getuid()}-{variant}", initialise), version)


@cache
def _found() -> tuple[Programs, Template] | str:
    """Return the first source whose server initialises a data folder, or why there is none: asked once."""
    reasons = []
    for find in (_from_path, _from_archive):
        try:
            programs = find()
            return programs, _template(programs)
        except UnavailableSandboxError as error:
            reasons.append(str(error))
    return "no MariaDB: " + "; ".join(reasons)


def _had() -> tuple[Programs, Template]:
    found = _found()
    if isinstance(found, str):
        raise UnavailableSandboxError(found)
    return found


@contextmanager
def mariadb_server(options: Sequence[str] = ()) -> Iterator[OwnServer]:
    """Run a MariaDB of one's own on a free port; `options` are mariadbd's and win over OPTIONS."""
    programs, template = _had()
    with scratch("mariadb") as place:
        yield OwnServer(programs, template, [*OPTIONS, *options], place)


def mydumper(server: Server, program: Literal["mydumper", "myloader"]) -> list[str]:
    """Return how to run mydumper or myloader against a server, MariaDB or MySQL."""
    on_path = shutil.which(program)
    options = f"--defaults-file={server.options_file}"
    if on_path:
        return [on_path, options]
    found = _unpacked()
    inside = found.file(f"usr/bin/{program}")
    if inside is None:
        raise UnavailableSandboxError(f"the package archive gave no {program}: {found.root}")
    plugins = next(found.root.glob("usr/lib/*/libmariadb3/plugin"))
    # MySQL's only password plugin is not built into the client library.
    return ["env", f"MARIADB_PLUGIN_DIR={plugins}", *found.command(inside), options]
