"""What people get wrong, through the real command line: one line of error and a hint, and nothing is changed."""

import contextlib
import json
import socket
import subprocess
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import trustme

from opskit.errors import UnavailableError
from opskit.mysql.connection import Endpoint, connect, execute
from sandbox.s3 import S3Server, rclone_server
from sandbox.server import OwnServer, Server
from tests.conftest import accounts, fresh_database
from tests.endpoints import endpoint
from tests.unit.command_line import environment, opskit_command, run


@dataclass(frozen=True)
class Place:
    """A server, a database, and where its backups are."""

    server: Server
    database: str
    storage: Path

    def environment(self, **variables: str) -> dict[str, str]:
        usual = {
            "OPSKIT_MYSQL_URL": f"{self.server.url}/{self.database}",
            "OPSKIT_MYSQL_PASSWORD": self.server.password,
            "OPSKIT_STORAGE_URL": self.storage.as_uri(),
        }
        return environment(**(usual | variables))

    def run(self, *arguments: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        return run(opskit_command(*arguments, "--quiet"), self.storage.parent, self.environment(**variables))

    def backup(self) -> str:
        done = self.run("backup", "create", "--json")
        assert done.returncode == 0, done.stderr
        return str(json.loads(done.stdout)["backups"][0]["id"])

    def state(self) -> object:
        """Everything that a command could change."""
        files = {path: path.read_bytes() for path in sorted(self.storage.rglob("*")) if path.is_file()}
        return files, self.server.execute("SHOW DATABASES")


def complained(ended: "subprocess.CompletedProcess[str]", code: int) -> str:
    """Return the one line of error, and the hint below it."""
    lines = [line for line in ended.stderr.splitlines() if " WARNING " not in line]
    assert ended.returncode == code, ended.stderr
    assert ended.stdout == ""
    assert [line.split(":")[0] for line in lines] == ["error", "hint"], ended.stderr
    return "\n".join(lines)


@pytest.fixture(scope="module")
def place(mysql: Server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A database with two backups; the tests leave both as they are."""
    with fresh_database(mysql) as database:
        mysql.execute(
            f"CREATE TABLE `{database}`.t (id INT PRIMARY KEY, v LONGTEXT)",
            f"INSERT INTO `{database}`.t VALUES (1, REPEAT('x', 2000000))",
            f"CREATE TABLE `{database}`.without_key (v INT)",
        )
        made = Place(mysql, database, tmp_path_factory.mktemp("bad-input") / "backups")
        made.backup()
        made.backup()
        yield made


MYSQL: dict[str, tuple[int, Callable[[Place], dict[str, str]], str]] = {
    "unknown host": (69, lambda _: {"OPSKIT_MYSQL_URL": "mysql://u@nowhere.invalid/d"}, "nowhere.invalid"),
    "nobody listens": (69, lambda _: {"OPSKIT_MYSQL_URL": "mysql://u@127.0.0.1:1/d"}, "127.0.0.1:1"),
    "wrong password": (77, lambda _: {"OPSKIT_MYSQL_PASSWORD": "wrong"}, "Access denied"),
    "no password": (77, lambda _: {"OPSKIT_MYSQL_PASSWORD": ""}, "Access denied"),
    "unknown user": (77, lambda it: {"OPSKIT_MYSQL_URL": f"mysql://who@{it.server.host}:{it.server.port}/d"}, "denied"),
    "unknown database": (66, lambda it: {"OPSKIT_MYSQL_URL": f"{it.server.url}/unknown_one"}, "unknown_one"),
    "impossible database": (66, lambda it: {"OPSKIT_MYSQL_URL": f"{it.server.url}/x%20"}, "'x '"),
}  # fmt: skip


@pytest.mark.parametrize(("code", "variables", "word"), MYSQL.values(), ids=MYSQL)
def test_database_that_cannot_be_used(
    code: int, variables: Callable[[Place], dict[str, str]], word: str, place: Place
) -> None:
    before = place.state()
    assert word in complained(place.run("backup", "create", **variables(place)), code)
    assert place.state() == before


def test_wrong_name_of_the_database_is_not_blamed_on_the_login(place: Place) -> None:
    """To a user who may not see all databases, one that is not there is denied."""
    with accounts(place.server) as create:
        account = create(f"ALL ON `{place.database}`.*")
        url = f"mysql://{account.user}@{place.server.host}:{place.server.port}/{place.database}x"
        said = complained(
            place.run("backup", "create", OPSKIT_MYSQL_URL=url, OPSKIT_MYSQL_PASSWORD=account.password), 77
        )
    assert "hint: the login is right: look at the name of the database" in said


def test_server_that_says_nothing_is_left_after_the_connect_timeout() -> None:
    """A balancer before a server that hangs takes connections, too."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        mute = Endpoint("127.0.0.1", silent.getsockname()[1], "u", connect_timeout=0.5)
        with pytest.raises(UnavailableError, match="timed out") as caught:
            connect(mute)
    assert caught.value.exit_code == 69


def test_answer_may_take_longer_than_the_login(mysql: Server) -> None:
    with contextlib.closing(connect(replace(endpoint(mysql), connect_timeout=60, read_timeout=120))) as connection:
        private: Any = connection
        assert execute(connection, "SELECT 1") == [(1,)]
        assert private._sock.gettimeout() == 120


def test_certificate_that_another_authority_signed_is_78(place: Place, tmp_path: Path) -> None:
    other = tmp_path / "other.pem"
    trustme.CA().cert_pem.write_to_path(str(other))
    url = f"{place.server.url}/{place.database}?tls=verify_ca&ca_file={other}"
    before = place.state()
    said = complained(place.run("backup", "create", OPSKIT_MYSQL_URL=url), 78)
    assert "certificate" in said
    assert "ca_file" in said
    assert place.state() == before


@pytest.mark.parametrize("command", [("backup", "show"), ("backup", "check"), ("restore", "run")])
@pytest.mark.parametrize(
    ("reference", "code"), [("20200101T000000Z-aaaaaa", 66), ("1999", 66), ("nonsense", 66), ("2", 2)]
)
def test_backup_that_is_not_one(command: tuple[str, ...], reference: str, code: int, place: Place) -> None:
    before = place.state()
    said = complained(place.run(*command, reference), code)
    assert reference in said
    assert place.state() == before


def test_no_backup_at_all_is_66(place: Place, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    empty = (tmp_path / "empty").as_uri()
    for command in (("backup", "show"), ("backup", "check"), ("restore", "run", "latest"), ("backup", "rehearse")):
        complained(place.run(*command, OPSKIT_STORAGE_URL=empty), 66)
    assert not list((tmp_path / "empty").iterdir())


def test_format_of_a_newer_opskit_is_78(place: Place, tmp_path: Path) -> None:
    backup_id = "20260101T000000Z-abcdef"
    manifest = tmp_path / "backups" / place.database / backup_id / "manifest.json"
    manifest.parent.mkdir(parents=True)
    manifest.write_text('{"format": 2, "tables": {}}')
    for command in (("backup", "show"), ("backup", "check"), ("restore", "run", "latest")):
        said = complained(place.run(*command, OPSKIT_STORAGE_URL=(tmp_path / "backups").as_uri()), 78)
        assert "format 2" in said
    listed = place.run("backup", "list", OPSKIT_STORAGE_URL=(tmp_path / "backups").as_uri())
    assert (listed.returncode, "unreadable" in listed.stdout) == (0, True)


def test_target_that_is_not_empty_is_73(place: Place) -> None:
    before = place.state()
    said = complained(place.run("restore", "run", "latest", "--into", place.database), 73)
    assert place.database in said
    assert place.state() == before


@pytest.mark.parametrize("name", ["", "n" * 65, "space ", "\U0001f600"], ids=["empty", "long", "space", "emoji"])
def test_target_that_no_database_can_be_called_is_2(place: Place, name: str) -> None:
    before = place.state()
    assert "no database can be called" in complained(place.run("restore", "run", "latest", "--into", name), 2)
    assert place.state() == before


@pytest.mark.parametrize("options", [["--enable-events"], ["--skip-binlog"], ["--skip-binlog", "--swap"]])
def test_staging_takes_no_option_that_belongs_to_a_named_database(place: Place, options: list[str]) -> None:
    before = place.state()
    assert "--into" in complained(place.run("restore", "run", "latest", *options), 2)
    assert place.state() == before


def test_every_wrong_key_and_variable_is_told_at_once(place: Place, tmp_path: Path) -> None:
    config = tmp_path / "opskit.yaml"
    config.write_text("storage: {url: 5, colour: red}\nbackup: {workers: many}\nretention: {keep_last: -1}\n")
    variables = environment(OPSKIT_BACKUP__MAX_DURATION="soon", OPSKIT_BACKPU__WORKERS="4")
    ended = run(opskit_command("backup", "create", "--config", str(config)), tmp_path, variables)
    assert ended.returncode == 78
    for path in ("storage.url", "storage.colour", "backup.workers", "retention.keep_last", "max_duration", "backpu"):
        assert path in ended.stderr.lower()
    assert place.server.execute("SELECT 1")


@pytest.fixture
def s3(rclone: S3Server) -> dict[str, str]:
    return {**rclone.environment, "OPSKIT_STORAGE__ENDPOINT_URL": rclone.endpoint}


def test_bucket_that_is_missing_is_78(place: Place, s3: dict[str, str]) -> None:
    said = complained(place.run("backup", "create", OPSKIT_STORAGE_URL="s3://no-such-bucket/x", **s3), 78)
    assert "no-such-bucket" in said


def test_credentials_that_the_store_refuses_are_77(
    place: Place, s3: dict[str, str], rclone: S3Server, bucket_name: str
) -> None:
    rclone.make_bucket(bucket_name)
    variables = s3 | {"AWS_SECRET_ACCESS_KEY": "wrong", "OPSKIT_STORAGE_URL": f"s3://{bucket_name}/x"}
    for command in (("backup", "create"), ("backup", "list"), ("backup", "check")):
        complained(place.run(*command, **variables), 77)


def test_store_whose_certificate_nobody_signed_is_78(place: Place, rclone: S3Server) -> None:
    with rclone_server(tls=True) as secure:
        variables = rclone.environment | {
            "OPSKIT_STORAGE__ENDPOINT_URL": secure.endpoint,
            "OPSKIT_STORAGE_URL": "s3://bucket/x",
        }
        said = complained(place.run("backup", "list", **variables), 78)
    assert "ca_file" in said


STRICT = ("--max-allowed-packet=1M", "--sql-require-primary-key=ON", "--sql-generate-invisible-primary-key=ON")


def test_all_that_a_server_cannot_take_is_told_at_once(place: Place, own_mysql: Callable[..., OwnServer]) -> None:
    strict = Place(own_mysql(*STRICT), place.database, place.storage)
    before = strict.state()
    said = complained(strict.run("restore", "run", "latest"), 78)
    for word in (
        "longest statement",
        "SET GLOBAL max_allowed_packet = ",
        "without_key",
        "SET GLOBAL sql_require_primary_key = OFF",
        "SET GLOBAL sql_generate_invisible_primary_key = OFF",
    ):
        assert word in said
    assert strict.state() == before
    for statement in said.split("hint: ")[1].split("; "):
        strict.server.execute(statement)
    done = strict.run("restore", "run", "latest", "--json")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["rows"] == 1


def test_collation_that_the_server_does_not_know_is_78(place: Place, mariadb: Server) -> None:
    other = Place(mariadb, place.database, place.storage)
    before = other.state()
    without_tls = complained(other.run("restore", "run", "latest"), 78)
    assert "tls=disabled" in without_tls
    url = f"{mariadb.url}/{place.database}?tls=disabled"
    said = complained(other.run("restore", "run", "latest", OPSKIT_MYSQL_URL=url), 78)
    assert "utf8mb4_0900_ai_ci" in said
    assert "MySQL" in said
    assert other.state() == before


def test_table_that_is_full_is_74_and_nothing_is_left(
    mysql: Server, own_mysql: Callable[..., OwnServer], tmp_path: Path
) -> None:
    with fresh_database(mysql) as database:
        mysql.execute(
            f"CREATE TABLE `{database}`.m (id INT PRIMARY KEY, v CHAR(250)) ENGINE=MEMORY",
            f"INSERT INTO `{database}`.m WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n"
            " WHERE i < 900) SELECT i, 'x' FROM n",
        )
        source = Place(mysql, database, tmp_path / "backups")
        assert source.run("backup", "create", "--allow-non-transactional").returncode == 0
    small = Place(own_mysql("--max-heap-table-size=16384"), database, source.storage)
    before = small.state()
    assert "is full" in complained(small.run("restore", "run", "latest"), 74)
    assert small.state() == before


def test_server_that_tells_its_free_space_is_asked(own_mariadb: Callable[..., OwnServer], tmp_path: Path) -> None:
    server = own_mariadb()
    server.execute(
        "INSTALL SONAME 'disks'", "CREATE DATABASE d", "CREATE TABLE d.t (a INT)", "INSERT INTO d.t VALUES (1)"
    )
    here = Place(server, "d", tmp_path / "backups")
    url = f"{server.url}/d?tls=disabled"
    assert here.run("backup", "create", OPSKIT_MYSQL_URL=url).returncode == 0
    done = here.run("restore", "run", "latest", "--json", OPSKIT_MYSQL_URL=url)
    assert json.loads(done.stdout)["added"]["data_bytes"] > 0
    (path,) = here.storage.rglob("manifest.json")
    manifest = json.loads(path.read_text())
    manifest["tables"][0]["data_bytes"] = 2**60
    path.write_text(json.dumps(manifest))
    before = here.state()
    assert "bytes free" in complained(here.run("restore", "run", "latest", OPSKIT_MYSQL_URL=url), 74)
    assert here.state() == before
