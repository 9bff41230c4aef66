"""`opskit serve` as a process: what it exposes, and how it ends in the middle of a job."""

import contextlib
import json
import re
import subprocess
import threading
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from opskit.storage.opening import open_storage
from sandbox.mysql import mysql_server
from sandbox.registry import Shape
from sandbox.server import OwnServer
from tests.conftest import skipped_unless_had
from tests.integration.probe.conftest import Database, fill
from tests.integration.probe.http_servers import FINE, Reply, http_server, release
from tests.unit.command_line import environment, opskit_command, run
from tests.waiting import eventually

pytestmark = pytest.mark.mysql
WAIT_SECONDS = 60.0
NAME = "distance-prediction"
EVERY_MINUTE = "* * * * *"


@pytest.fixture(scope="module")
def server() -> Iterator[OwnServer]:
    with contextlib.ExitStack() as stack:
        with skipped_unless_had("mysql"):
            own = stack.enter_context(mysql_server())
        yield own


@pytest.fixture(scope="module")
def registry(server: OwnServer) -> Database:
    return fill(server, "served", Shape(flavour="embedmd", models=3))


@pytest.fixture
def write(tmp_path: Path, registry: Database) -> Callable[..., Path]:
    """Write a configuration whose `serve` section has these keys."""

    def write(rest_url: str | None = None, **serve: object) -> Path:
        server = registry.server
        described: dict[str, object] = {
            "name": NAME,
            "mysql": {
                "host": server.host,
                "port": server.port,
                "user": server.user,
                "password": server.password,
                "database": registry.name,
            },
        }
        document = {
            "storage": {"url": (tmp_path / "backups").as_uri()},
            "registries": [described | ({"rest": {"url": rest_url}} if rest_url else {})],
            "probe": {"deadline": "30s"},
            "serve": {"port": 0, "refresh": "1s", "jitter": "0s", **serve},
        }
        config = tmp_path / "opskit.yaml"
        config.write_text(yaml.safe_dump(document))
        return config

    return write


@dataclass
class Served:
    """A running `opskit serve`, and what it has logged."""

    process: "subprocess.Popen[str]"
    log: list[str] = field(default_factory=list)
    changed: threading.Condition = field(default_factory=threading.Condition)

    def read_log(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self.changed:
                self.log.append(line)
                self.changed.notify_all()

    def logged(self, pattern: str) -> "re.Match[str]":
        """Wait for a line of the log."""

        def find() -> "re.Match[str] | None":
            return next((found for line in self.log if (found := re.search(pattern, line))), None)

        with self.changed:
            assert self.changed.wait_for(lambda: find() is not None, 2 * WAIT_SECONDS), self.log
        found = find()
        assert found is not None
        return found

    def get(self, path: str, token: str | None = None) -> tuple[int, str]:
        url = self.logged(r"serving on (http://\S+)")[1] + path
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        request = urllib.request.Request(url, headers=headers)  # noqa: S310 - http, as logged
        try:
            with urllib.request.urlopen(request, timeout=WAIT_SECONDS) as response:  # noqa: S310 - the same
                return response.status, response.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def until_ready(self) -> None:
        eventually(lambda: self.get("/readyz")[0] == 200, "it is ready")


@contextlib.contextmanager
def served(config: Path) -> Iterator[Served]:
    command = opskit_command("serve", "--config", str(config))
    with subprocess.Popen(
        command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, env=environment(), cwd=config.parent
    ) as process:
        running = Served(process)
        reader = threading.Thread(target=running.read_log)
        reader.start()
        try:
            yield running
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(WAIT_SECONDS)
            reader.join()


@pytest.fixture
def backed_up(write: Callable[..., Path]) -> Path:
    config = write(schedule="none")
    for arguments in (("backup", "create"), ("backup", "rehearse", "latest")):
        ended = run(opskit_command(*arguments, "--config", str(config)), config.parent)
        assert ended.returncode == 0, ended.stderr
    return config


def samples(text: str) -> dict[tuple[str, tuple[tuple[str, str], ...]], float]:
    return {
        (sample.name, tuple(sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def test_observer_exposes_what_storage_and_layers_tell(backed_up: Path) -> None:
    with served(backed_up) as running:
        running.until_ready()
        status, metrics = running.get("/metrics")
        _, page = running.get("/")
        _, document = running.get("/api/status")
        _, schema = running.get("/api/status.schema.json")
        assert running.get("/healthz") == (200, "ok\n")
    found = samples(metrics)
    told: dict[str, Any] = json.loads(document)
    assert status == 200
    registry = ("registry", NAME)
    assert found["opskit_probe_state", (("layer", "mysql"), registry, ("state", "ok"))] == 1
    assert found["opskit_backups", (registry, ("state", "complete"))] == 1
    assert found["opskit_rehearsal_passed", (registry,)] == 1
    for job in ("backup", "rehearse", "probe"):
        for metric in ("last_success_timestamp_seconds", "last_attempt_timestamp_seconds", "duration_seconds"):
            assert found[f"opskit_job_{metric}", (("job", job), registry)] > 0
    for job in ("backup", "rehearse"):
        assert found["opskit_job_rows", (("job", job), registry)] == told["registries"][0]["newest_backup"]["rows"]
        assert found["opskit_job_bytes", (("job", job), registry)] > 0
    assert not any(name == "opskit_job_next_run_timestamp_seconds" for name, _ in found)
    assert "Could we restore?" in page
    jsonschema.validate(told, json.loads(schema))
    assert told["registries"][0]["newest_backup"]["rows"] > 0


def test_token_guards_everything_but_health(write: Callable[..., Path], tmp_path: Path) -> None:
    (tmp_path / "token").write_text("first-secret-token\n")
    with served(write(schedule="none", token_file=str(tmp_path / "token"))) as running:
        running.until_ready()
        for path in ("/", "/metrics", "/api/status"):
            assert running.get(path)[0] == 401
            assert running.get(path, "another-token")[0] == 401
            assert running.get(path, "first-secret-token")[0] == 200
        (tmp_path / "token").write_text("second-secret-token\n")
        assert running.get("/metrics", "first-secret-token")[0] == 401
        assert running.get("/metrics", "second-secret-token")[0] == 200
        (tmp_path / "token").unlink()
        assert running.get("/metrics", "second-secret-token") == (503, "the bearer token cannot be read\n")
        assert running.get("/healthz")[0] == 200
    assert "Traceback" not in "".join(running.log)
    assert "secret-token" not in "".join(running.log)


def test_nothing_listens_beyond_loopback_unless_told(write: Callable[..., Path]) -> None:
    with served(write(schedule="none")) as running:
        assert "http://127.0.0.1:" in running.logged(r"serving on (\S+)")[1]


def test_port_that_is_taken_is_a_matter_of_configuration(write: Callable[..., Path]) -> None:
    with http_server(lambda _path, _token: FINE) as other:
        config = write(schedule="none", port=int(other.url.rpartition(":")[2]))
        ended = run(opskit_command("serve", "--config", str(config)), config.parent)
    assert ended.returncode == 78
    assert "cannot listen on 127.0.0.1" in ended.stderr


def test_page_follows_the_registry(write: Callable[..., Path]) -> None:
    answers: dict[str, Reply] = {}
    well = release("2.24")

    def respond(path: str, token: str | None) -> Reply:
        return answers.get("now") or well(path, token)

    with http_server(respond) as rest, served(write(rest.url, schedule="none")) as running:
        running.until_ready()
        assert "models can be read" in running.get("/")[1]
        answers["now"] = (503, "text/plain", "Datastore service is down or unavailable.")
        eventually(lambda: "Datastore service is down" in running.get("/")[1], "the page says it")


def test_jobs_run_on_schedule_and_sigterm_in_the_middle_of_a_backup_leaves_no_half_of_one(
    write: Callable[..., Path], tmp_path: Path, registry: Database
) -> None:
    """Wait for the full minute that cron counts in: the one test that needs the real clock."""
    quiet = [{"name": name, "schedule": "none"} for name in ("rehearse", "verify-artifacts", "freshness", "prune")]
    with http_server(lambda _path, _token: FINE) as listener:
        heartbeat = f"{listener.url}/beat/secret-of-the-heartbeat"
        probe = {"name": "probe", "schedule": EVERY_MINUTE, "heartbeat_url": heartbeat}
        config = write(jobs=[*quiet, probe, {"name": "backup", "schedule": EVERY_MINUTE}], stop_wait="0s")
        # A table that is locked holds the backup up for as long as the test needs.
        with contextlib.closing(registry.server.connect(database=registry.name)) as blocker, blocker.cursor() as cursor:
            cursor.execute("LOCK TABLES Artifact WRITE")
            with served(config) as running:
                running.logged(r"job probe: success")
                eventually(lambda: listener.requests, "a heartbeat")
                eventually(lambda: _waiting_sessions(registry), "the backup waits")
                running.process.terminate()
                assert running.process.wait(WAIT_SECONDS) == 143
            running.logged(r"jobs still run after")
            running.logged(r"job backup: terminated")
            cursor.execute("UNLOCK TABLES")
    assert listener.requests[0] == ("/beat/secret-of-the-heartbeat", None)
    assert "secret-of-the-heartbeat" not in "".join(running.log)
    backups = tmp_path / "backups"
    assert not backups.exists() or not list(open_storage(str(backups)).list())
    eventually(lambda: not _sessions(registry), "no session of opskit is left")


def _sessions(registry: Database) -> tuple[object, ...]:
    return registry.server.execute(
        "SELECT processlist_id FROM performance_schema.session_connect_attrs WHERE attr_value = 'opskit'"
    )


def _waiting_sessions(registry: Database) -> tuple[object, ...]:
    return registry.server.execute(
        "SELECT id FROM information_schema.processlist WHERE state LIKE 'Waiting for table%'"
    )
