"""A backup that is told to end, or is killed, as a process of its own."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from opskit.backup.catalog import list_backups
from opskit.backup.create import Options, create_backup
from opskit.storage.directory import DirectoryStorage
from sandbox.s3 import S3Server
from sandbox.server import Server
from tests.contract.conftest import open_bucket
from tests.endpoints import endpoint
from tests.integration.resilience.running import REGISTRY, manifests, restored
from tests.mysql_wire import PATIENCE_SECONDS, MySQLWire
from tests.unit.command_line import environment, opskit_command
from tests.waiting import eventually
from tests.wire import Answer, Request, Upstream, recorded

pytestmark = pytest.mark.mysql

ROWS_OF_BIG = r"^SELECT .* FROM `big`$"


@contextmanager
def running_backup(
    server: Server, port: int, database: str, folder: Path, storage: dict[str, object], **variables: str
) -> Iterator[subprocess.Popen[str]]:
    """Run `opskit backup create` beside the test."""
    mysql = {"host": server.host, "port": port, "user": server.user, "database": database, "tls": {"mode": "disabled"}}
    configuration = {"storage": storage, "registries": [{"name": REGISTRY, "mysql": mysql}]}
    (folder / "opskit.yaml").write_text(json.dumps(configuration))  # JSON is YAML
    with subprocess.Popen(
        opskit_command("--config", "opskit.yaml", "--json", "backup", "create"),
        cwd=folder,
        env=environment(OPSKIT_REGISTRIES__0__MYSQL__PASSWORD=server.password, **variables),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def storage_url(folder: Path) -> str:
    return f"file://{folder}/backups"


def files_below(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if each.is_file()]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_ends_the_backup_and_its_uploads(
    mysql: Server,
    tables: str,
    tmp_path: Path,
    storage: DirectoryStorage,
    wire: MySQLWire,
    number: signal.Signals,
    code: int,
) -> None:
    hold = wire.hold(ROWS_OF_BIG, answer_bytes=1_000_000)
    with running_backup(mysql, wire.port, tables, tmp_path, {"url": storage_url(tmp_path)}) as process:
        eventually(lambda: hold.reached or process.poll() is not None, "rows are read")
        assert process.poll() is None, process.communicate()
        process.send_signal(number)
        output, _ = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == code
    error = json.loads(output)["error"]
    assert (error["exit_code"], "is no backup: `opskit backup prune" in str(error["hint"])) == (code, True)
    assert manifests(storage) == []
    assert not [each for each in files_below(tmp_path / "backups") if ".opskit-uploads" in each.parts]
    assert not [each for each in storage.list() if ".big.0" in each.key]


@pytest.mark.parametrize("step", ["^SAVEPOINT opskit_1", "^FLUSH TABLES WITH READ LOCK", "^SHOW CREATE TABLE"])
def test_signal_before_the_first_row_ends_the_backup(
    mysql: Server, tables: str, tmp_path: Path, storage: DirectoryStorage, wire: MySQLWire, step: str
) -> None:
    hold = wire.hold(step)
    with running_backup(mysql, wire.port, tables, tmp_path, {"url": storage_url(tmp_path)}) as process:
        eventually(lambda: hold.reached or process.poll() is not None, "the step is reached")
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=PATIENCE_SECONDS)
    assert process.returncode == 143, said
    assert manifests(storage) == []


@pytest.mark.s3
@pytest.mark.parametrize("product", ["moto", "rclone"])
def test_terminated_upload_in_parts_leaves_neither_object_nor_parts(
    mysql: Server, database: str, tmp_path: Path, bucket_name: str, request: pytest.FixtureRequest, product: str
) -> None:
    s3: S3Server = request.getfixturevalue(product)
    s3.make_bucket(bucket_name)
    one_row_of_two_parts(mysql, database)
    with recorded(s3.service.port) as http:

        def terminate_at_the_first_part(sent: Request, upstream: Upstream) -> Answer | None:
            if sent.query.get("partNumber") == ["1"]:
                process.send_signal(signal.SIGTERM)
            return upstream(sent)

        http.answering = terminate_at_the_first_part
        place: dict[str, object] = {"url": f"s3://{bucket_name}", "endpoint_url": http.endpoint, "path_style": True}
        with running_backup(mysql, mysql.port, database, tmp_path, place, **s3.environment) as process:
            said = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 143, said
        assert http.sent("PUT", "partNumber")
        assert http.sent("DELETE", "uploadId")
    client = s3.client()
    with suppress(client.exceptions.NoSuchUpload):  # rclone's way to say that there are none
        assert not client.list_multipart_uploads(Bucket=bucket_name).get("Uploads")
    assert not [each.key for each in open_bucket(s3, bucket_name, "").list() if ".large.0" in each.key]


def one_row_of_two_parts(mysql: Server, database: str) -> None:
    with mysql.connect(database=database) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE large (id INT PRIMARY KEY, bytes LONGBLOB)")
        cursor.execute("INSERT INTO large VALUES (1, %s)", [os.urandom(20 * 1024 * 1024)])


def test_killed_backup_leaves_debris_only_and_the_next_one_runs(
    mysql: Server, tables: str, tmp_path: Path, storage: DirectoryStorage, wire: MySQLWire
) -> None:
    hold = wire.hold(ROWS_OF_BIG, answer_bytes=1_000_000)
    with running_backup(mysql, wire.port, tables, tmp_path, {"url": storage_url(tmp_path)}) as process:
        eventually(lambda: hold.reached or process.poll() is not None, "rows are read")
        assert process.poll() is None, process.communicate()
        eventually(lambda: [each for each in storage.list() if ".small.0" in each.key], "another worker stores a chunk")
        process.kill()
        process.communicate()
    hold.release()
    assert manifests(storage) == []
    assert [each.state for each in list_backups(storage, REGISTRY)] == ["unfinished"]
    manifest = create_backup(endpoint(mysql), tables, storage, REGISTRY, Options(lease_wait_seconds=PATIENCE_SECONDS))
    restored(mysql, storage, manifest, f"{tables}_opskit_next")
