"""A MySQL server for one run: in a temporary folder, reached by its socket alone, and gone without a trace."""

import contextlib
import os
import pwd
import secrets
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from opskit.errors import ConfigurationError, UnavailableError
from opskit.mysql.connection import Endpoint, connect
from opskit.mysql.watcher import EXIT_CODE

_START_SECONDS = 120.0
_POLL_SECONDS = 0.05
# A server is seldom on an ordinary user's PATH.
_PATH = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin:/usr/libexec"
_LOG_CHARACTERS = 500

# Nothing here has to outlive the run, so nothing is flushed; no event runs, and nobody connects from outside.
_OPTIONS = (
    "--skip-networking",
    "--mysqlx=OFF",
    "--skip-log-bin",
    "--event-scheduler=OFF",
    "--secure-file-priv=NULL",
    "--max-allowed-packet=1G",
    "--innodb-flush-method=nosync",
    "--innodb-flush-log-at-trx-commit=0",
)


@contextmanager
def throwaway_server(program: Path | None = None) -> Iterator[Endpoint]:
    """Run `mysqld`, the one given or the one on PATH, until the block ends; yield how to reach it.

    The account is root of this server with a random password. Its process has no privileges, and neither it nor its
    folder survives the run, however that ends. `ConfigurationError` if there is no `mysqld`, or none that starts.
    """
    mysqld = _found(program)
    folder = Path(tempfile.mkdtemp(prefix="opskit-mysqld-"))
    try:
        command = [
            mysqld,
            "--no-defaults",
            *_unprivileged(folder),
            f"--datadir={folder / 'data'}",
            f"--tmpdir={folder}",
        ]
        endpoint = Endpoint("localhost", 0, "root", secrets.token_hex(16), "disabled", unix_socket=folder / "socket")
        _initialise(command, folder, endpoint.password)
        arguments = [*command, f"--socket={endpoint.unix_socket}", f"--pid-file={folder / 'pid'}", *_OPTIONS]
        with _watched(folder, arguments) as server:
            _wait_until_ready(server, endpoint, folder)
            yield endpoint
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _found(program: Path | None) -> str:
    mysqld = shutil.which(program or "mysqld", path=_PATH)
    if mysqld is None:
        raise ConfigurationError(
            f"{program} is no program that can be run" if program else "there is no mysqld on PATH",
            hint="install a MySQL server (it need not run), name its mysqld with --mysqld, or configure rehearse:",
        )
    said = subprocess.run([mysqld, "--version"], capture_output=True, text=True, check=False)  # noqa: S603 - as above
    if said.returncode or "MariaDB" in said.stdout or "Ver " not in said.stdout:
        raise ConfigurationError(f"{mysqld} is not MySQL: {(said.stdout or said.stderr).strip()[:_LOG_CHARACTERS]}")
    return mysqld


def _unprivileged(folder: Path) -> list[str]:
    """Let the server give up root, if it is run as root, for an account that owns the folder and nothing else."""
    if os.getuid() != 0:
        return []
    for name in ("mysql", "nobody"):
        with contextlib.suppress(KeyError):
            account = pwd.getpwnam(name)
            os.chown(folder, account.pw_uid, account.pw_gid)
            return [f"--user={name}"]
    raise ConfigurationError("there is no account `mysql` or `nobody` to run mysqld as", hint="run opskit as a user")


def _watched(folder: Path, command: list[str]) -> subprocess.Popen[bytes]:
    """Start a server as a block: leaving it closes the pipe, the watcher's signal, and waits until all is gone."""
    watcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("watcher.py"))]
    return subprocess.Popen(  # noqa: S603 - the program that the operator named
        [*watcher, str(folder), *command], stdin=subprocess.PIPE, start_new_session=True
    )


def _initialise(command: list[str], folder: Path, password: str) -> None:
    first = folder / "first.sql"
    first.touch(mode=0o600)
    first.write_text(f"ALTER USER root@localhost IDENTIFIED BY '{password}';\n")
    os.chown(first, folder.stat().st_uid, folder.stat().st_gid)
    with _watched(folder, [*command, "--initialize-insecure", f"--init-file={first}"]) as server:
        server.wait()
        if (folder / EXIT_CODE).read_text() != "0":
            raise ConfigurationError(
                f"{command[0]} does not make a data folder: {_reason(folder)}",
                hint="AppArmor, SELinux or a folder that only root may enter can keep it out of"
                f" {folder.parent}; TMPDIR names another place",
            )
    first.unlink()


def _wait_until_ready(server: subprocess.Popen[bytes], endpoint: Endpoint, folder: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        try:
            connect(endpoint).close()
        except UnavailableError:
            if server.poll() is not None or time.monotonic() >= deadline:
                raise ConfigurationError(f"mysqld does not start: {_reason(folder)}") from None
            time.sleep(_POLL_SECONDS)
        else:
            return


def _reason(folder: Path) -> str:
    """Return the first error that the server logged, else the end of what it said."""
    lines = (folder / "log").read_text(errors="replace").strip().splitlines()
    errors = [line for line in lines if "[ERROR]" in line]
    return (errors or lines[-1:] or ["it said nothing"])[0][-_LOG_CHARACTERS:]
