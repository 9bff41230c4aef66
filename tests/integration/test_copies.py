"""`backup create` with copies: the backup stands whatever becomes of them, and a later run completes them."""

import json
from pathlib import Path
from typing import Any

import pytest

from opskit.storage.directory import DirectoryStorage
from sandbox.s3 import ACCESS_KEY, SECRET_KEY, S3Server
from sandbox.server import Server
from tests.unit.command_line import environment, opskit_command, run

CONFIGURATION = """\
storage:
  url: "{folder}/backups"
  copies:
    - {{url: "s3://{bucket}/copies", endpoint_url: "{s3.endpoint}", access_key_id: "{key}",
        secret_access_key_file: "{folder}/secret"}}
    - {{url: "{folder}/volume/copy"}}
registries:
  - name: reg
    mysql: {{host: {mysql.host}, port: {mysql.port}, user: {mysql.user}, password: "{mysql.password}",
            database: {database}, tls: {{mode: required}}}}
"""


class Opskit:
    """Runs opskit with one registry, a directory, and copies of it in a bucket and on another volume."""

    def __init__(self, mysql: Server, s3: S3Server, database: str, bucket: str, folder: Path) -> None:
        self.folder = folder
        (folder / "opskit.yaml").write_text(
            CONFIGURATION.format(mysql=mysql, s3=s3, key=ACCESS_KEY, bucket=bucket, database=database, folder=folder)
        )
        (folder / "secret").write_text(SECRET_KEY)
        self.environment = environment(OPSKIT_CONFIG=str(folder / "opskit.yaml"))

    def __call__(self, *arguments: str, expect: int = 0) -> Any:  # noqa: ANN401 - a JSON document
        ended = run(opskit_command(*arguments, "--json"), self.folder, self.environment)
        assert ended.returncode == expect, ended.stderr
        return json.loads(ended.stdout)


@pytest.fixture
def opskit(mysql: Server, rclone: S3Server, registry: str, bucket_name: str, tmp_path: Path) -> Opskit:
    rclone.make_bucket(bucket_name)
    return Opskit(mysql, rclone, registry, bucket_name, tmp_path)


def test_failed_copy_is_a_finding_that_the_next_run_mends(opskit: Opskit, bucket_name: str, tmp_path: Path) -> None:
    (first,) = opskit("backup", "create", expect=1)["backups"]
    bucket, volume = first["copies"]
    assert (bucket["copied"], bucket["problems"]) == ([first["id"]], [])
    assert volume["copied"] == []
    assert "there is no directory" in volume["problems"][0]
    assert opskit("backup", "check")["checked"][0]["problems"] == []

    (tmp_path / "volume").mkdir()
    (second,) = opskit("backup", "create")["backups"]
    bucket, volume = second["copies"]
    assert bucket["copied"] == [second["id"]]
    assert volume["copied"] == [first["id"], second["id"]]
    stored = {
        key.key: b"".join(storage.get(key.key))
        for storage in (DirectoryStorage(tmp_path / "volume" / "copy"), DirectoryStorage(tmp_path / "backups"))
        for key in storage.list()
    }
    assert {key.split("/")[1] for key in stored} == {first["id"], second["id"]}

    # With the URL of a copy every command works on that copy, by the keys that it has in the configuration.
    for url in (f"s3://{bucket_name}/copies", str(tmp_path / "volume" / "copy")):
        checked = opskit("backup", "check", "--all", "--storage", url)
        assert [each["backup_id"] for each in checked["checked"]] == [first["id"], second["id"]]
        assert url in checked["storage"]
        assert len(opskit("backup", "list", "--storage-url", url)["backups"]) == 2
    restored = opskit("restore", "run", first["id"], "--storage-url", f"s3://{bucket_name}/copies")
    assert restored["rows"] == first["rows"]


def test_damaged_copy_is_found(opskit: Opskit, tmp_path: Path) -> None:
    (tmp_path / "volume").mkdir()
    opskit("backup", "create")
    victim = max((tmp_path / "volume" / "copy").rglob("*.Artifact.00001.sql.zst"))
    victim.write_bytes(victim.read_bytes()[::-1])
    opskit("backup", "check")
    assert (
        victim.name
        in opskit("backup", "check", "--storage", str(tmp_path / "volume" / "copy"), expect=65)["error"]["message"]
    )


def test_backup_that_fails_is_not_hidden_by_copies(opskit: Opskit, tmp_path: Path) -> None:
    (tmp_path / "opskit.yaml").write_text(
        (tmp_path / "opskit.yaml").read_text().replace("database: test_", "database: x")
    )
    opskit("backup", "create", expect=66)
    assert not (tmp_path / "volume").exists()
