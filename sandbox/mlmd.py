"""The registry's own library, ml-metadata, as RHOAI up to 2.22 uses it: it writes and reads a real registry.

It has wheels for Python 3.11 and wants an old protobuf, so it lives in a virtual environment of its own. Its
MySQL client knows no caching_sha2_password: it works with MariaDB, not with MySQL 9.
"""

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from sandbox import UnavailableSandboxError
from sandbox.cache import cached
from sandbox.process import Service, answers, scratch
from sandbox.server import Server

PACKAGE = "ml-metadata==1.17.1"
PYTHON = "3.11"
SCRIPT = Path(__file__).with_name("mlmd_script.py")
SERVER = Path(__file__).with_name("mlmd_server.py")
SECONDS = 600

# Text outside ASCII, as the library is given it; what it stores is another matter (double encoding).
MODEL_NAME = "mnist é 模型"


def _interpreter() -> str:
    """Return a Python of the one version that the library has wheels for."""
    for candidate in (sys.executable, shutil.which(f"python{PYTHON}"), f"/usr/bin/python{PYTHON}"):
        command = [candidate or "", "-c", "import sys, venv, ensurepip; print('%d.%d' % sys.version_info[:2])"]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False)
        except OSError:
            continue
        if candidate and done.stdout.strip() == PYTHON:
            return candidate
    raise UnavailableSandboxError(f"ml-metadata needs Python {PYTHON}, and there is none with venv")


def _install(folder: Path) -> None:
    interpreter = _interpreter()
    for command in (
        [interpreter, "-m", "venv", str(folder)],
        [str(folder / "bin/python"), "-m", "pip", "install", "--quiet", "--only-binary=:all:", PACKAGE],
    ):
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=SECONDS)
        if done.returncode:
            raise UnavailableSandboxError(f"ml-metadata cannot be installed: {done.stderr[-500:]}")


@dataclass(frozen=True)
class Library:
    """The library, in its own environment."""

    python: Path

    def write(self, server: Server, database: str, *, model_name: str = MODEL_NAME) -> None:
        """Let it make its schema in an empty database of a MariaDB, and write a small registry."""
        self._run("write", server, database, model_name=model_name)

    def read(self, server: Server, database: str) -> dict[str, Any]:
        """Return everything that it reads from a database, as JSON."""
        found: dict[str, Any] = self._run("read", server, database)
        return found

    @contextmanager
    def grpc_service(self, server: Server, database: str) -> Iterator[Service]:
        """Run its gRPC service over a database, as the registry's grpc-container does."""
        with scratch("mlmd") as place:
            file = place.folder / "connection.json"
            file.touch(mode=0o600)
            file.write_text(json.dumps(self._connection(server, database)))
            yield Service(place, lambda port: [str(self.python), "-I", str(SERVER), str(port), str(file)], answers)

    def _connection(self, server: Server, database: str) -> dict[str, Any]:
        return {
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "password": server.password,
            "database": database,
        }

    def _run(self, action: Literal["write", "read"], server: Server, database: str, **more: str) -> Any:  # noqa: ANN401 (JSON)
        connection = self._connection(server, database)
        done = subprocess.run(
            [str(self.python), "-I", str(SCRIPT)],
            input=json.dumps({"action": action, "connection": connection, **more}),
            capture_output=True,
            text=True,
            check=False,
            timeout=SECONDS,
        )
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)


def mlmd_library() -> Library:
    """Return the library; its environment is made once, then cached."""
    return Library(cached(f"ml-metadata-1.17.1-{platform.machine()}", _install) / "bin/python")
