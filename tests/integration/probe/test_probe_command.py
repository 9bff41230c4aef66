"""`opskit probe` as a process: formats, exit codes, what it imports and what it costs."""

import contextlib
import json
import re
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from sandbox.server import OwnServer
from tests.integration.probe.conftest import Database
from tests.unit.command_line import environment, opskit_command, run

pytestmark = pytest.mark.mysql


def configured(folder: Path, registry: Database, **changes: object) -> Path:
    """Write a configuration for one registry; `changes` replace keys of its mysql section."""
    endpoint = registry.endpoint()
    mysql = {
        "host": endpoint.host,
        "port": endpoint.port,
        "user": endpoint.user,
        "password": endpoint.password,
        "database": registry.name,
    }
    document = {
        "storage": {"url": (folder / "backups").as_uri()},
        "registries": [{"name": "distance-prediction", "mysql": mysql | changes}],
        "probe": {"deadline": "30s"},
    }
    config = folder / "opskit.yaml"
    config.write_text(yaml.safe_dump(document))
    return config


@pytest.fixture
def config(tmp_path: Path, registry: Database) -> Path:
    return configured(tmp_path, registry)


def probe(config: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    return run(opskit_command("probe", "--config", str(config), "--only", "mysql", *arguments), config.parent)


def test_healthy_registry_in_text(config: Path) -> None:
    ended = probe(config)
    assert ended.returncode == 0, ended.stderr
    assert re.fullmatch(r"distance-prediction: ok\n  mysql +ok +MySQL .* \(\d+ ms\)\n", ended.stdout)


def test_json_in_either_spelling_is_one_document(config: Path) -> None:
    for option in ("--json", "--format=json"):
        document = json.loads(probe(config, option).stdout)
        assert document["state"] == "ok"
        (check,) = document["checks"]
        assert (check["registry"], check["layer"]) == ("distance-prediction", "mysql")
        assert check["values"]["schema_dirty"] == 0


def test_dead_layer_is_1_and_never_69(config: Path, breakable: OwnServer) -> None:
    breakable.stop()
    try:
        ended = probe(config)
        nagios = probe(config, "--format", "nagios")
    finally:
        breakable.start()
    assert ended.returncode == 1
    assert "→ runbook: registry-down" in ended.stdout
    assert nagios.returncode == 2
    assert nagios.stdout.startswith("OPSKIT CRITICAL - distance-prediction mysql: ")


def test_fail_on_chooses_from_which_state_on_the_exit_code_is_1(config: Path, breakable: OwnServer) -> None:
    breakable.execute("SET GLOBAL max_connections = 1")
    try:
        warning = probe(config)
        failing = probe(config, "--fail-on", "warning")
        nagios = probe(config, "--format", "nagios")
    finally:
        breakable.execute("SET GLOBAL max_connections = 151")
    assert [warning.returncode, failing.returncode, nagios.returncode] == [0, 1, 1]
    assert nagios.stdout.startswith("OPSKIT WARNING - ")


def test_secret_that_cannot_be_read_is_unknown(tmp_path: Path, registry: Database) -> None:
    config = configured(tmp_path, registry)
    document = yaml.safe_load(config.read_text())
    del document["registries"][0]["mysql"]["password"]
    document["registries"][0]["mysql"]["password_file"] = str(tmp_path / "absent")
    config.write_text(yaml.safe_dump(document))
    assert probe(config).returncode == 1
    assert probe(config, "--fail-on", "critical").returncode == 0
    assert probe(config, "--format=nagios").returncode == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ("--config", "absent.yaml", "--format", "nagios"),
        ("--format=nagios", "--only", "network"),
        ("--format", "nagios", "--no-such-option"),
        ("--format", "nagios", "--registry", "nobody"),
    ],
)
def test_nagios_is_unknown_whatever_happens(tmp_path: Path, arguments: tuple[str, ...]) -> None:
    ended = run(opskit_command("probe", *arguments), tmp_path)
    assert ended.returncode == 3
    assert ended.stdout.startswith("OPSKIT UNKNOWN - ")


def test_nagios_is_unknown_when_it_is_terminated(config: Path, breakable: OwnServer) -> None:
    breakable.pause()
    try:
        with watching(config, "--format", "nagios", OPSKIT_PROBE__DEADLINE="1s") as process:
            assert lines(process, 1)[0].startswith("OPSKIT CRITICAL")
            process.send_signal(signal.SIGTERM)
            assert process.wait(60) == 3
    finally:
        breakable.resume()


@contextlib.contextmanager
def watching(config: Path, *arguments: str, **variables: str) -> Iterator["subprocess.Popen[str]"]:
    """A probe that looks every second, once its first lines have been read."""
    command = opskit_command("probe", "--config", str(config), "--only", "mysql", "--watch", "1s", *arguments)
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment(**variables), text=True) as process:
        try:
            yield process
        finally:
            process.kill()


def lines(process: "subprocess.Popen[str]", number: int) -> list[str]:
    assert process.stdout is not None
    found = [process.stdout.readline() for _ in range(number)]
    assert "" not in found, f"it has ended: {process.poll()}"
    return found


def test_watch_looks_again_until_it_is_interrupted(config: Path) -> None:
    with watching(config) as process:
        seen = lines(process, 4)
        process.send_signal(signal.SIGINT)
        assert process.wait(60) == 0
    assert [" UTC" in line for line in seen] == [True, False, False, True]


def test_watch_goes_on_after_a_failure_and_ends_with_the_code_of_the_last_look(
    config: Path, breakable: OwnServer
) -> None:
    with watching(config) as process:
        assert "ok" in lines(process, 3)[2]
        breakable.stop()
        try:
            while "critical" not in lines(process, 1)[0]:
                pass
            lines(process, 5)  # what is wrong, and the beginning of one more look
            process.send_signal(signal.SIGINT)
            assert process.wait(60) == 1
        finally:
            breakable.start()


def test_watch_ends_with_143_when_it_is_terminated(config: Path) -> None:
    with watching(config, "--json") as process:
        documents = json.JSONDecoder()
        text = ""
        while not text.endswith("\n}\n"):
            text += lines(process, 1)[0]
        assert documents.raw_decode(text)[0]["state"] == "ok"
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 143


def test_password_is_nowhere_in_the_output(tmp_path: Path, registry: Database) -> None:
    config = configured(tmp_path, registry, password="never-to-be-seen")
    for form in ("text", "json", "nagios", "prometheus"):
        ended = probe(config, "--format", form, "-v")
        assert "Access denied" in ended.stdout or form == "prometheus"
        assert "never-to-be-seen" not in ended.stdout + ended.stderr


def test_probe_of_mysql_imports_nothing_that_it_does_not_need(config: Path) -> None:
    command = opskit_command("probe", "--config", str(config), "--only", "mysql")
    ended = run([command[0], "-X", "importtime", *command[1:]], config.parent)
    modules = {line.rsplit("|", 1)[1].strip() for line in ended.stderr.splitlines() if "|" in line}
    loaded = {module.split(".")[0] for module in modules}
    assert "pymysql" in loaded
    assert not modules & {"opskit.wiring", "opskit.backup", "opskit.restore", "opskit.artifacts", "opskit.storage"}
    assert not loaded & {"boto3", "botocore", "kubernetes", "rich", "grpc", "http"}


def test_registries_are_looked_at_side_by_side(config: Path) -> None:
    document = yaml.safe_load(config.read_text())
    first = document["registries"][0]
    document["registries"].append({"name": "gone", "mysql": first["mysql"] | {"port": 1}})
    config.write_text(yaml.safe_dump(document))
    ended = probe(config, "--json")
    assert ended.returncode == 1
    assert [check["state"] for check in json.loads(ended.stdout)["checks"]] == ["ok", "critical"]


def test_registries_are_listed_with_their_backups_and_their_health(config: Path) -> None:
    document = yaml.safe_load(config.read_text())
    first = document["registries"][0]
    document["registries"].append({"name": "gone", "mysql": first["mysql"] | {"port": 1}})
    config.write_text(yaml.safe_dump(document))
    saved = run(opskit_command("backup", "create", "--config", str(config), "--registry", first["name"]), config.parent)
    assert saved.returncode == 0, saved.stderr
    listed = json.loads(run(opskit_command("registries", "--config", str(config), "--json"), config.parent).stdout)
    one, other = listed["registries"]
    assert (one["layers"]["mysql"], other["layers"]["mysql"]) == ("ok", "critical")
    assert one["last_backup"].endswith("Z")
    assert other["last_backup"] is other["last_rehearsal"] is None
    text = run(opskit_command("registries", "--config", str(config)), config.parent).stdout.splitlines()
    assert text[0].split() == [
        "REGISTRY",
        "DATABASE",
        "LAST",
        "BACKUP",
        "REHEARSED",
        "HEALTH",
        "WHAT",
        "IS",
        "NOT",
        "WELL",
    ]
    assert "never" in text[2]
    assert "mysql critical" in text[2]


def test_storage_that_cannot_be_opened_is_a_finding_of_its_layers_alone(config: Path) -> None:
    document = yaml.safe_load(config.read_text())
    document["storage"] = {"url": "s3://bucket/opskit", "ca_file": "/nowhere/ca.crt"}
    config.write_text(yaml.safe_dump(document))
    ended = run(
        opskit_command("probe", "--config", str(config), "--only", "mysql,storage,backup", "--json"), config.parent
    )
    assert ended.returncode == 1
    states = {check["layer"]: check["state"] for check in json.loads(ended.stdout)["checks"]}
    assert states == {"mysql": "ok", "storage": "unknown", "backup": "unknown"}
