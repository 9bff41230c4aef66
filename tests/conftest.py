"""Real servers for the tests: one of each kind per session, fresh databases and users per test."""

import os
import secrets
import signal
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest
from hypothesis import HealthCheck, settings

from sandbox import UnavailableSandboxError
from sandbox import cluster as cluster_module
from sandbox import image as image_module
from sandbox.cluster import CRDS, Cluster
from sandbox.image import Image
from sandbox.mariadb import mariadb_server
from sandbox.mlmd import Library, mlmd_library
from sandbox.model_registry import BUILD_SECONDS, ModelRegistry, model_registry
from sandbox.mysql import Tls, mysql_server, shared_mysql_server
from sandbox.s3 import S3Server, moto_server, rclone_server
from sandbox.server import Account, OwnServer, Server
from tests.waiting import eventually

# No test may depend on how busy the machine is.
settings.register_profile("opskit", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("opskit")

MARKER_OF_FIXTURE = {
    "cluster": "cluster",
    "image": "image",
    "real_registry": "registry",
    "mysql": "mysql",
    "own_mysql": "mysql",
    "mariadb": "mariadb",
    "own_mariadb": "mariadb",
    "rclone": "s3",
    "moto": "s3",
}
BUILT = {"cluster": cluster_module.BUILD_SECONDS, "image": image_module.BUILD_SECONDS, "real_registry": BUILD_SECONDS}
USED = pytest.StashKey[list[str]]()
MARKERS = pytest.StashKey[dict[str, set[str]]]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    for item in items:
        for name in getattr(item, "fixturenames", ()):
            if name in MARKER_OF_FIXTURE:
                item.add_marker(MARKER_OF_FIXTURE[name])
                if name in BUILT:
                    item.add_marker(pytest.mark.timeout(BUILT[name]))  # the first test may have to build it
        config.stash[MARKERS][item.nodeid] = {mark.name for mark in item.iter_markers()}


def pytest_configure(config: pytest.Config) -> None:
    # A shell that runs the tests in the background has its children ignore Ctrl-C, and theirs with them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    config.stash[USED] = []
    config.stash[MARKERS] = {}


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    for server in config.stash[USED]:
        terminalreporter.write_line(f"used: {server}")
    suites = {line.partition(":")[0] for line in config.getini("markers") if ": needs " in line}

    def of(*outcomes: str) -> set[str]:
        reports = [report for each in outcomes for report in terminalreporter.stats.get(each, ())]
        return suites & {name for report in reports for name in config.stash[MARKERS].get(report.nodeid, ())}

    ran = of("passed", "failed", "error")
    terminalreporter.write_line(f"suites that ran: {', '.join(sorted(ran)) or 'none'}")
    terminalreporter.write_line(f"suites that were skipped: {', '.join(sorted(of('skipped') - ran)) or 'none'}")


@contextmanager
def skipped_unless_had(suite: str) -> Iterator[None]:
    """Skip where a server cannot be had; fail if OPSKIT_TESTS_MUST_RUN names its suite."""
    try:
        yield
    except UnavailableSandboxError as error:
        if suite in os.environ.get("OPSKIT_TESTS_MUST_RUN", "").split(","):
            raise
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def mysql(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The MySQL that all tests share: leave its settings as they are."""
    with ExitStack() as stack:
        with skipped_unless_had("mysql"):
            server = stack.enter_context(shared_mysql_server())
        request.config.stash[USED].append(str(server))
        yield server


@pytest.fixture
def own_mysql() -> Iterator[Callable[..., OwnServer]]:
    """Start a MySQL for this test alone: `own_mysql("--option=…", tls="trusted")`."""
    with ExitStack() as stack:

        def start(*options: str, tls: Tls = "generated") -> OwnServer:
            with skipped_unless_had("mysql"):
                return stack.enter_context(mysql_server(options, tls=tls))

        yield start


@pytest.fixture(scope="session")
def mariadb(request: pytest.FixtureRequest) -> Iterator[Server]:
    """The MariaDB that all tests share: leave its settings as they are."""
    with ExitStack() as stack:
        with skipped_unless_had("mariadb"):
            server = stack.enter_context(mariadb_server())
        request.config.stash[USED].append(str(server))
        yield server


@pytest.fixture
def own_mariadb() -> Iterator[Callable[..., OwnServer]]:
    """Start a MariaDB for this test alone: `own_mariadb("--option=…")`."""
    with ExitStack() as stack:

        def start(*options: str) -> OwnServer:
            with skipped_unless_had("mariadb"):
                return stack.enter_context(mariadb_server(options))

        yield start


def like(prefix: str) -> str:
    """Escape a name for LIKE."""
    return prefix.replace("_", r"\_")


@contextmanager
def fresh_database(server: Server) -> Iterator[str]:
    """Make a database, and drop it at the end together with whatever opskit made beside it."""
    name = f"test_{secrets.token_hex(6)}"
    server.execute(f"CREATE DATABASE `{name}`")
    yield name
    beside = server.execute(f"SHOW DATABASES LIKE '{like(name)}\\_opskit\\_%'")
    for each in [name, *(row[0] for row in beside)]:
        server.execute(f"DROP DATABASE IF EXISTS `{each}`")


@contextmanager
def accounts(server: Server) -> Iterator[Callable[..., Account]]:
    """Make users who may do what is given and nothing else."""
    made = []

    def create(*privileges: str) -> Account:
        account = Account(f"user_{secrets.token_hex(6)}", secrets.token_hex(12))
        server.execute(f"CREATE USER '{account.user}'@'%' IDENTIFIED BY '{account.password}'")
        made.append(account)
        for each in privileges:
            server.execute(f"GRANT {each} TO '{account.user}'@'%'")
        return account

    yield create
    for account in made:
        server.execute(f"DROP USER IF EXISTS '{account.user}'@'%'")


@pytest.fixture
def database(mysql: Server) -> Iterator[str]:
    """A fresh database on the shared MySQL."""
    with fresh_database(mysql) as name:
        yield name


@pytest.fixture
def mariadb_database(mariadb: Server) -> Iterator[str]:
    """A fresh database on the shared MariaDB."""
    with fresh_database(mariadb) as name:
        yield name


@pytest.fixture
def mysql_user(mysql: Server) -> Iterator[Callable[..., Account]]:
    """Make a user: ``mysql_user("SELECT ON `x`.*", "RELOAD ON *.*")`` has these privileges and no other."""
    with accounts(mysql) as create:
        yield create


@pytest.fixture(scope="session")
def rclone(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    """An S3 server: rclone."""
    with ExitStack() as stack:
        with skipped_unless_had("s3"):
            server = stack.enter_context(rclone_server())
        request.config.stash[USED].append(str(server))
        yield server


@pytest.fixture(scope="session")
def moto(request: pytest.FixtureRequest) -> Iterator[S3Server]:
    """An S3 server: moto, which knows conditional writes and versions."""
    with ExitStack() as stack:
        with skipped_unless_had("s3"):
            server = stack.enter_context(moto_server())
        request.config.stash[USED].append(str(server))
        yield server


@pytest.fixture
def bucket_name() -> str:
    """A name no other test's bucket has."""
    return f"test-{secrets.token_hex(6)}"


@pytest.fixture(scope="session")
def mlmd() -> Library:
    """The registry's own library, ml-metadata: it writes and reads registries on MariaDB."""
    with skipped_unless_had("mlmd"):
        return mlmd_library()


@pytest.fixture
def real_registry() -> Iterator[Callable[[Server, str], ModelRegistry]]:
    """Run the registry's own server over a database: `real_registry(server, "name")`."""
    with ExitStack() as stack:

        def start(server: Server, database: str) -> ModelRegistry:
            with skipped_unless_had("registry"):
                return stack.enter_context(model_registry(server, database))

        yield start


@pytest.fixture(scope="session")
def cluster(request: pytest.FixtureRequest) -> Iterator[Cluster]:
    """A Kubernetes API server with the custom resources that opskit meets; no pod ever starts."""
    with ExitStack() as stack:
        with skipped_unless_had("cluster"):
            server = stack.enter_context(cluster_module.cluster())
        server.kubectl("apply", "--server-side", "-f", str(CRDS))
        # kubectl gives up at a resource that has no conditions yet.
        established = ("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        eventually(lambda: server.run(*established).returncode == 0, "the API server knows the custom resources")
        request.config.stash[USED].append(str(server))
        yield server


@pytest.fixture(scope="session")
def image() -> Iterator[Image]:
    """opskit's image, built from this checkout."""
    with ExitStack() as stack:
        with skipped_unless_had("image"):
            built = stack.enter_context(image_module.image())
        yield built
