"""A registry on a server that may be broken, and what a layer says of it."""

import contextlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

import pytest

from opskit.mysql.connection import Endpoint
from opskit.probe.mysql import check
from opskit.probe.result import CheckResult, Finding
from opskit.probe.runner import Check, run_checks
from sandbox.mysql import mysql_server
from sandbox.registry import Shape, generate
from sandbox.server import OwnServer, Server
from tests.conftest import skipped_unless_had

MARGIN_SECONDS = 60.0
SMALL = Shape(flavour="embedmd", models=1, versions_per_model=1)


def result_of(look: Callable[[], Iterable[Finding]], *, layer: str = "mysql", deadline: float = 30) -> CheckResult:
    """Run one check as `opskit probe` does."""
    return run_checks([Check("registry", layer, look)], deadline)[0]


@dataclass(frozen=True)
class Database:
    """A small registry's database, and how its own user logs in."""

    server: Server
    name: str

    def execute(self, *statements: str) -> None:
        self.server.execute(f"USE `{self.name}`", *statements)

    def endpoint(self, *, user: str | None = None, password: str | None = None) -> Endpoint:
        server = self.server
        return Endpoint(
            server.host,
            server.port,
            user or server.user,
            password or server.password,
            read_timeout=MARGIN_SECONDS,
        )

    def probed(
        self, endpoint: Endpoint | None = None, *, deadline: float = 30, max_lag_seconds: float = 60, **account: str
    ) -> CheckResult:
        chosen = endpoint or self.endpoint(**account)
        return result_of(
            lambda: check(chosen, self.name, replica_max_lag_seconds=max_lag_seconds, certificate_min_days=14),
            deadline=deadline,
        )


def fill(server: Server, name: str, shape: Shape = SMALL) -> Database:
    server.execute(f"CREATE DATABASE `{name}`")
    with contextlib.closing(server.connect(database=name)) as connection:
        generate(connection, shape)
    return Database(server, name)


@pytest.fixture(scope="package")
def breakable() -> Iterator[OwnServer]:
    """A MySQL that the tests of this package may stop, pause and set read-only: each puts it right again."""
    with contextlib.ExitStack() as stack:
        with skipped_unless_had("mysql"):
            server = stack.enter_context(mysql_server())
        yield server


@pytest.fixture
def registry(breakable: OwnServer) -> Iterator[Database]:
    yield fill(breakable, "registry")
    breakable.execute("DROP DATABASE registry")
