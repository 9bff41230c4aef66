"""Where programs are measured: a server of their own, and how far away it is."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.background import listening
from benchmarks.databases import SERVER
from sandbox.mysql import mysql_server
from sandbox.server import Address, OwnServer, Server, Template

DELAY_MS = 20
TLS, PLAIN, FAR = "TLS", "no TLS", f"TLS, {DELAY_MS} ms away"
LINKS = {"tls": TLS, "plain": PLAIN, "far": FAR}


@dataclass(frozen=True, slots=True)
class Place:
    """A server, the same as its clients reach it, and a folder for what they write."""

    link: str
    server: OwnServer
    reached: Server
    tls: str
    folder: Path


@contextmanager
def place(template: Template | None, link: str) -> Iterator[Place]:
    """Run a server on a copy of the data, or an empty one; its clients' account must use TLS, or there is none."""
    with ExitStack() as stack:
        server = stack.enter_context(mysql_server(SERVER, tls="off" if link == PLAIN else "trusted", template=template))
        folder = Path(stack.enter_context(TemporaryDirectory()))
        port = server.port
        if link == FAR:
            port = stack.enter_context(listening("benchmarks.link", port, DELAY_MS / 2))
        account = f"CREATE USER bench@'%' IDENTIFIED BY '{server.password}'"
        server.execute(
            account if link == PLAIN else f"{account} REQUIRE SSL",
            "GRANT ALL ON *.* TO bench@'%' WITH GRANT OPTION",
        )
        address = Address("127.0.0.1", port, "bench", server.password)
        reached = Server(address, server.programs, folder, server.version)
        if link == PLAIN:
            reached.connect().close()  # the server then knows the password, and asks no client for an RSA key
        tls = "disabled" if link == PLAIN else f"verify_identity&ca_file={server.ca_file}"
        yield Place(link, server, reached, tls, folder)
