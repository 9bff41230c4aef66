"""A throw-away MySQL or MariaDB server: what both have in common."""

import os
import re
import shutil
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote, urlsplit

import pymysql

from sandbox import UnavailableSandboxError
from sandbox.archive import Unpacked
from sandbox.process import Scratch, Service

# A server is seldom on an ordinary user's PATH.
SEARCHED = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"

Product = Literal["MySQL", "MariaDB"]
if TYPE_CHECKING:
    Connection = pymysql.Connection[Any]


@dataclass(frozen=True)
class Account:
    """A user of a server."""

    user: str
    password: str


@dataclass(frozen=True)
class Programs:
    """Where the programs of one product come from, and how to run them."""

    product: Product
    source: str
    server: Sequence[str]
    folders: Sequence[str] = ()
    unpacked: Unpacked | None = None

    def version(self) -> str:
        """Ask the server program for its version, such as `9.7.4`."""
        said = subprocess.run([*self.server, "--version"], capture_output=True, text=True, check=True).stdout
        found = re.search(r"Ver ([\d.]+)", said)
        if found is None or ("MariaDB" in said) != (self.product == "MariaDB"):
            raise UnavailableSandboxError(f"{self.server[-1]} is not {self.product}: {said.strip()}")
        return found[1]

    def command(self, name: str) -> list[str]:
        """Return how to run another program of the same product."""
        inside = self.unpacked and self.unpacked.file(f"usr/bin/{name}", f"usr/sbin/{name}")
        if self.unpacked and inside:
            return self.unpacked.command(inside)
        found = shutil.which(name)
        if found is None:
            raise UnavailableSandboxError(f"there is no {name} beside {self.source}")
        return [found]


@dataclass(frozen=True)
class Template:
    """An initialised data folder, copied for each server, and the password of its root."""

    folder: Path
    version: str

    @property
    def password(self) -> str:
        """The password of root, made when the folder was initialised."""
        return (self.folder / "password").read_text()


@dataclass(frozen=True)
class Address:
    """How to reach a server as its administrator."""

    host: str
    port: int
    user: str
    password: str

    @classmethod
    def from_url(cls, url: str) -> "Address":
        """Read `mysql://user:password@host:port`."""
        parts = urlsplit(url)
        return cls(
            host=parts.hostname or "127.0.0.1",
            port=parts.port or 3306,
            user=unquote(parts.username or "root"),
            password=unquote(parts.password or ""),
        )


class Server:
    """A running server. One that was started here can also be stopped, paused and started again."""

    def __init__(self, address: Address, programs: Programs, folder: Path, version: str) -> None:
        self.host = address.host
        self.port = address.port
        self.user = address.user
        self.password = address.password
        self.product = programs.product
        self.source = programs.source
        self.version = version
        self.folder = folder
        self.programs = programs

    @property
    def url(self) -> str:
        """Its address without the password, as opskit wants it; add `/database`."""
        return f"mysql://{self.user}@{self.host}:{self.port}"

    def connect(self, **options: Any) -> "Connection":  # noqa: ANN401 (PyMySQL's own options)
        """Connect as the administrator; options are PyMySQL's and replace the defaults."""
        defaults: dict[str, Any] = {"host": self.host, "port": self.port, "user": self.user, "password": self.password}
        return pymysql.Connection(**(defaults | {"autocommit": True} | options))

    def execute(self, *statements: str) -> tuple[tuple[Any, ...], ...]:
        """Execute statements as the administrator and return the rows of the last one."""
        with self.connect() as connection, connection.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)
            return tuple(cursor.fetchall())

    @property
    def options_file(self) -> Path:
        """A file with the address and the password, for the client programs."""
        path = self.folder / "client.cnf"
        if not path.exists():
            path.touch(mode=0o600)
            settings = ("host", "port", "user", "password")
            lines = [f"{name}={getattr(self, name)}" for name in settings]
            sections = [f"[{name}]\n" + "\n".join(lines) for name in ("client", "mydumper", "myloader")]
            path.write_text("\n".join([*sections, ""]))
        return path

    def client(self, program: str = "mysql") -> list[str]:
        """Return how to run a client program against this server; the password is in a file."""
        return [*self.programs.command(program), f"--defaults-file={self.options_file}"]

    def __str__(self) -> str:
        return f"{self.product} {self.version} from {self.source}, port {self.port}"


class OwnServer(Server):
    """A server of one's own, with its data in a temporary folder."""

    def __init__(self, programs: Programs, template: Template, options: Sequence[str], place: Scratch) -> None:
        super().__init__(Address("127.0.0.1", 0, "root", template.password), programs, place.folder, template.version)
        self.socket = place.folder / "socket"
        self.data = place.folder / "data"
        # A MariaDB that starts clears its folder for temporary tables, those of other servers included.
        self.temporary = place.folder / "tmp"
        self.temporary.mkdir()
        self._options = options
        # Reflinks make the copy free where the file system can.
        subprocess.run(["cp", "-a", "--reflink=auto", template.folder / "data", self.data], check=True)
        self.service = Service(place, self._command, self._answers)

    @property
    def ca_file(self) -> Path:
        """The certificate authority of the server's own certificate."""
        own = self.folder / "ca.pem"
        return own if own.exists() else self.data / "ca.pem"

    @property
    def log(self) -> str:
        """What the server has logged so far."""
        return self.service.process.log.read_text(errors="replace")

    def start(self) -> None:
        """Start it again after it was stopped: with the same port and the same data."""
        self.service.start()

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stop it in good order, or crash it with SIGKILL; return when it is gone."""
        self.service.stop(number)

    def pause(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self.service.pause()

    def resume(self) -> None:
        """Let it go on."""
        self.service.resume()

    def _command(self, port: int) -> list[str]:
        return [
            *self.programs.server,
            "--no-defaults",
            *(["--user=root"] if os.getuid() == 0 else []),
            f"--datadir={self.data}",
            f"--tmpdir={self.temporary}",
            f"--socket={self.socket}",
            f"--pid-file={self.folder / 'pid'}",
            f"--port={port}",
            "--bind-address=127.0.0.1",
            *self.programs.folders,
            *self._options,
        ]

    def _answers(self, port: int) -> bool:
        self.port = port
        try:
            self.connect(connect_timeout=10).close()
        except pymysql.err.OperationalError:
            return False
        return True
