"""`opskit artifacts` as it is typed: what it shows, what it writes, how it exits."""

import csv
import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from opskit.artifacts.report import newest_summary
from opskit.backup.catalog import list_backups
from opskit.storage.directory import DirectoryStorage
from sandbox.registry import Shape, generate
from sandbox.s3 import S3Server
from sandbox.server import Server
from tests.unit.command_line import environment, opskit_command, run
from tests.wire import recorded, refused

Opskit = Callable[..., subprocess.CompletedProcess[str]]
PRESENT, MISSING, ELSEWHERE = 1, 2, 3


@pytest.fixture
def registry(mysql: Server, database: str, moto: S3Server, bucket_name: str) -> str:
    """Three artifacts: one with bytes, one without, one at an endpoint that nobody configured."""
    moto.make_bucket(bucket_name)
    client = moto.client()
    client.put_object(Bucket=bucket_name, Key="models/there/1/model.onnx", Body=b"x")
    client.put_object(Bucket=bucket_name, Key="models/nobody/x", Body=b"x")
    client.close()
    with mysql.connect(database=database) as connection:
        generate(connection, Shape("embedmd", models=3, versions_per_model=1))
    mysql.execute(
        f"UPDATE `{database}`.Artifact SET uri = ELT(id, 's3://{bucket_name}/models/there',"
        f" 's3://{bucket_name}/models/=gone', 's3://{bucket_name}/x?endpoint=https://evil.example')"
    )
    return database


@pytest.fixture
def opskit(mysql: Server, registry: str, moto: S3Server, tmp_path: Path) -> Opskit:
    (tmp_path / "backups").mkdir()
    configuration = {
        "storage": {"url": f"file://{tmp_path}/backups"},
        "registries": [
            {
                "name": "registry",
                "mysql": {
                    "host": mysql.host,
                    "port": mysql.port,
                    "database": registry,
                    "user": mysql.user,
                    "password": mysql.password,
                },
            }
        ],
        "artifacts": {
            "stores": [
                {
                    "endpoint": moto.endpoint,
                    "access_key_id": moto.access_key,
                    "secret_access_key": moto.secret_key,
                    "region": moto.region,
                }
            ]
        },
    }
    (tmp_path / "opskit.yaml").write_text(yaml.safe_dump(configuration))

    def start(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        settings = environment(OPSKIT_CONFIG=str(tmp_path / "opskit.yaml"), AWS_EC2_METADATA_DISABLED="true")
        return run(opskit_command("--quiet", *arguments), tmp_path, settings | variables)

    return start


def document(ended: subprocess.CompletedProcess[str]) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ended.stdout)
    return found


def test_what_is_missing_is_named_and_the_report_is_stored(opskit: Opskit, tmp_path: Path) -> None:
    ended = opskit("artifacts", "verify", "--jsonl", "all.jsonl", "--csv", "all.csv")
    assert ended.returncode == 1, ended.stderr
    assert "/models/=gone" in ended.stdout
    assert "/models/there" not in ended.stdout
    assert any("fraud detection 2" in line and "missing" in line for line in ended.stdout.splitlines())
    assert "3 artifacts" in ended.stdout

    records = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert {each["artifact_id"]: each["verdict"] for each in records} == {
        PRESENT: "present",
        MISSING: "missing",
        ELSEWHERE: "endpoint-not-allowed",
    }
    with (tmp_path / "all.csv").open(newline="") as file:
        assert sorted(each["verdict"] for each in csv.DictReader(file)) == [
            "endpoint-not-allowed",
            "missing",
            "present",
        ]
    summary = newest_summary(DirectoryStorage(tmp_path / "backups"), "registry")
    assert summary is not None
    assert summary.verdicts["missing"] == 1


def test_artifact_without_a_place_is_named(opskit: Opskit, registry: str, mysql: Server) -> None:
    mysql.execute(f"UPDATE `{registry}`.Artifact SET uri = NULL WHERE id = {MISSING}")
    mysql.execute(f"DELETE FROM `{registry}`.ArtifactProperty WHERE name = 'storage_path'")
    ended = opskit("artifacts", "verify")
    assert ended.returncode == 0, ended.stderr
    [line] = [line for line in ended.stdout.splitlines() if "malformed" in line and "fraud detection 2" in line]
    assert "neither a URI nor storage_key and storage_path" in line


def test_scheduled_job_exits_with_zero_and_says_the_same(opskit: Opskit) -> None:
    ended = opskit("artifacts", "verify", "--layout", "--exit-zero-on-findings", "--json")
    assert ended.returncode == 0, ended.stderr
    [summary] = document(ended)["registries"]
    assert summary["verdicts"]["missing"] == 1
    assert [each["verdict"] for each in summary["findings"]] == ["missing", "endpoint-not-allowed"]


@pytest.mark.parametrize(("allowed", "code"), [("0", 69), ("2", 0)])
def test_more_unreachable_than_allowed_is_no_success(opskit: Opskit, allowed: str, code: int) -> None:
    ended = opskit(
        "artifacts",
        "verify",
        OPSKIT_ARTIFACTS__STORES__0__ENDPOINT="http://127.0.0.1:1",
        OPSKIT_ARTIFACTS__MAX_UNKNOWN=allowed,
    )
    assert ended.returncode == code, ended.stderr
    assert "2 unreachable" in ended.stdout


def test_refused_credentials_are_no_success_and_hide_nothing_that_is_missing(opskit: Opskit, moto: S3Server) -> None:
    with recorded(moto.service.port) as wire:
        wire.answering = lambda _request, _upstream: refused(403, "ExpiredToken")
        behind = {"OPSKIT_ARTIFACTS__STORES__0__ENDPOINT": wire.endpoint}
        ended = opskit("artifacts", "verify", **behind)
        assert ended.returncode == 69, ended.stderr
        assert "2 denied" in ended.stdout
        assert opskit("artifacts", "verify", OPSKIT_ARTIFACTS__MAX_UNKNOWN="2", **behind).returncode == 0
        wire.answering = lambda request, upstream: (
            upstream(request) if "gone" in request.target else refused(403, "AccessDenied")
        )
        ended = opskit("artifacts", "verify", **behind)
        assert ended.returncode == 1, ended.stderr
        assert "1 missing, 1 denied" in ended.stdout


def archive(mysql: Server, database: str, artifact: int, which: str) -> None:
    mysql.execute(
        f"REPLACE INTO `{database}`.ContextProperty (context_id, name, is_custom_property, string_value)"
        f" SELECT {which}, 'state', 0, 'ARCHIVED' FROM `{database}`.Attribution version"
        f" JOIN `{database}`.ParentContext model ON model.context_id = version.context_id"
        f" WHERE version.artifact_id = {artifact}"
    )


def test_live_only_leaves_out_what_belongs_to_an_archived_model_or_version(
    opskit: Opskit, registry: str, mysql: Server, tmp_path: Path
) -> None:
    archive(mysql, registry, PRESENT, "version.context_id")
    archive(mysql, registry, MISSING, "model.parent_context_id")
    assert opskit("backup", "create").returncode == 0

    def artifacts(*arguments: str) -> dict[int, bool]:
        assert opskit("artifacts", "verify", "--jsonl", "all.jsonl", *arguments).returncode in (0, 1)
        records = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
        return {each["artifact_id"]: each["archived"] for each in records}

    assert artifacts() == {PRESENT: True, MISSING: True, ELSEWHERE: False}
    assert artifacts("--live-only") == {ELSEWHERE: False}
    assert artifacts("--live-only", "--backup", "latest") == {ELSEWHERE: False}
    # What is not looked for is no reason to fail.
    assert opskit("artifacts", "verify").returncode == 1
    assert opskit("artifacts", "verify", "--live-only").returncode == 0


def test_backup_is_verified_without_its_server(opskit: Opskit) -> None:
    assert opskit("backup", "create").returncode == 0
    ended = opskit(
        "artifacts", "verify", "--backup", "latest", "--json", OPSKIT_REGISTRIES__0__MYSQL__HOST="nowhere.invalid"
    )
    assert ended.returncode == 1, ended.stderr
    [summary] = document(ended)["registries"]
    assert summary["artifacts"] == 3
    assert summary["source"].startswith("backup 20")


def test_next_backup_knows_how_many_pointers_had_bytes_and_its_restore_says_so(opskit: Opskit) -> None:
    assert opskit("backup", "create").returncode == 0
    assert "never verified" in opskit("backup", "show").stdout
    assert opskit("artifacts", "verify").returncode == 1
    assert opskit("backup", "create").returncode == 0
    assert "1 of 3 had their bytes, 1 were gone" in opskit("backup", "show").stdout
    restored = opskit("restore", "run", "latest")
    assert restored.returncode == 0, restored.stderr
    assert "1 of 3 had their bytes, 1 were gone" in restored.stdout


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"time": 1}', b"\xff"])
def test_damaged_summary_stops_no_backup(opskit: Opskit, tmp_path: Path, damage: bytes) -> None:
    DirectoryStorage(tmp_path / "backups").put("registry/artifacts/20261124T052300Z.json", [damage])
    assert opskit("backup", "create").returncode == 0


def test_orphans_are_listed_and_nothing_is_wrong(opskit: Opskit, bucket_name: str) -> None:
    ended = opskit("artifacts", "orphans", "--prefix", f"s3://{bucket_name}/models", "--json")
    assert ended.returncode == 0, ended.stderr
    assert [each["path"] for each in document(ended)["orphans"]] == ["models/nobody/"]
    assert (
        f"s3://{bucket_name}/models/nobody/"
        in opskit("artifacts", "orphans", "--prefix", f"s3://{bucket_name}/").stdout
    )
    assert opskit("artifacts", "orphans", "--prefix", "s3://models/?endpoint=https://evil.example").returncode == 78
    assert opskit("artifacts", "orphans", "--prefix", "/models").returncode == 2


def test_shards_of_an_indexed_job_make_one_report(opskit: Opskit, tmp_path: Path) -> None:
    job = {"OPSKIT_ARTIFACTS__SHARDS": "2", "OPSKIT_JOB_NAME": "verify-29000"}
    first = opskit("artifacts", "verify", JOB_COMPLETION_INDEX="0", **job)
    assert first.returncode == 0, first.stderr
    assert opskit("artifacts", "merge", "verify-29000").returncode == 66
    second = opskit("artifacts", "verify", JOB_COMPLETION_INDEX="1", **job)
    assert second.returncode == 0, second.stderr
    assert "1 missing" in second.stdout
    summary = newest_summary(DirectoryStorage(tmp_path / "backups"), "registry")
    assert summary is not None
    assert summary.run_id == "verify-29000"
    assert opskit("artifacts", "merge", "verify-29000").returncode == 1


def test_shards_of_a_backup_name_the_backup(opskit: Opskit, tmp_path: Path) -> None:
    assert opskit("backup", "create").returncode == 0
    run_of_one = ("--shard", "0/1", "--run-id", "by-hand")
    assert opskit("artifacts", "verify", "--backup", "latest", *run_of_one).returncode == 0
    summary = newest_summary(DirectoryStorage(tmp_path / "backups"), "registry")
    assert summary is not None
    assert summary.source.startswith("backup 20")


def test_report_on_something_else_than_today_is_not_taken_for_the_newest(opskit: Opskit, tmp_path: Path) -> None:
    storage = DirectoryStorage(tmp_path / "backups")
    for _ in range(2):
        assert opskit("backup", "create").returncode == 0
    assert opskit("artifacts", "verify").returncode == 1
    today = newest_summary(storage, "registry")
    former = list_backups(storage, "registry")[0].id
    for arguments in (("--backup", former), ("--live-only",), ("--backup", former, "--shard", "0/1", "--run-id", "x")):
        ended = opskit("artifacts", "verify", *arguments, "--json")
        assert ended.returncode in (0, 1), ended.stderr
        assert newest_summary(storage, "registry") == today, arguments
    aside = [each.key for each in storage.list("registry/artifacts/aside/")]
    assert len([key for key in aside if key.endswith(".json")]) == 3


@pytest.mark.parametrize(
    "arguments",
    [("--shard", "2/2", "--run-id", "x"), ("--shard", "0/2"), ("--shard", "0/2", "--run-id", "x", "--csv", "file")],
)
def test_shard_that_makes_no_sense_is_wrong_usage(opskit: Opskit, arguments: tuple[str, ...]) -> None:
    assert opskit("artifacts", "verify", *arguments).returncode == 2
