"""The S3 policies of the runbook, enforced by moto's IAM: each job can do its work, and no more."""

import re
import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest
import yaml

from sandbox.registry import Shape, generate
from sandbox.s3 import S3Server, moto_server
from sandbox.server import Server
from tests.conftest import skipped_unless_had
from tests.unit.command_line import PROJECT, environment, opskit_command

PAGE = (PROJECT / "runbooks" / "least-privilege.md").read_text()
BACKUP_POLICY, PRUNE_POLICY = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
pytestmark = pytest.mark.s3


@pytest.fixture
def store() -> Iterator[S3Server]:
    """A moto of this test's own: from `enforce` on it lets nobody do what no policy allows."""
    with skipped_unless_had("s3"), moto_server() as server:
        yield server


def keys_with(store: S3Server, user: str, policy: str) -> dict[str, str]:
    """Make an IAM user with one policy and return its keys as boto3 takes them from the environment."""
    iam = boto3.client(
        "iam",
        endpoint_url=store.endpoint,
        region_name="us-east-1",
        aws_access_key_id="admin",
        aws_secret_access_key="admin",
    )
    iam.create_user(UserName=user)
    # S3 judges a bulk delete by its objects, moto by the bucket: both users get their rights on both.
    objects, bucket = "arn:aws:s3:::registry-backups/*", "arn:aws:s3:::registry-backups"
    readable = policy.replace(f'"{objects}"', f'["{objects}", "{bucket}"]')
    iam.put_user_policy(UserName=user, PolicyName="job", PolicyDocument=readable)
    key = iam.create_access_key(UserName=user)["AccessKey"]
    return {"AWS_ACCESS_KEY_ID": key["AccessKeyId"], "AWS_SECRET_ACCESS_KEY": key["SecretAccessKey"]}


def enforce(store: S3Server) -> None:
    request = urllib.request.Request(f"{store.endpoint}/moto-api/reset-auth", data=b"0", method="POST")  # noqa: S310
    request.add_header("Content-Type", "text/plain")  # a form would be read before moto sees it
    urllib.request.urlopen(request, timeout=30).close()  # noqa: S310 - moto's own address


def test_backup_never_deletes_and_prune_alone_does(
    store: S3Server, mysql: Server, database: str, tmp_path: Path
) -> None:
    with mysql.connect(database=database) as connection:
        generate(connection, Shape("embedmd", models=2))
    admin = boto3.client(
        "s3",
        endpoint_url=store.endpoint,
        region_name="us-east-1",
        aws_access_key_id="admin",
        aws_secret_access_key="admin",
    )
    admin.create_bucket(Bucket="registry-backups")
    backup, prune = keys_with(store, "backup", BACKUP_POLICY), keys_with(store, "prune", PRUNE_POLICY)
    config = {
        "storage": {"url": "s3://registry-backups/opskit", "endpoint_url": store.endpoint, "region": "us-east-1"},
        "registries": [
            {
                "name": "a",
                "mysql": {"host": mysql.host, "port": mysql.port, "user": mysql.user, "database": database},
            }
        ],
        "backup": {"min_interval": "0s"},
        "retention": {"keep_last": 1, "keep_daily": 0, "keep_weekly": 0, "keep_monthly": 0, "min_redundancy": 1},
    }
    (tmp_path / "opskit.yaml").write_text(yaml.safe_dump(config))

    def run(keys: dict[str, str], *arguments: str) -> "subprocess.CompletedProcess[str]":
        environ = environment(OPSKIT_REGISTRIES__0__MYSQL__PASSWORD=mysql.password, **keys)
        return subprocess.run(
            opskit_command(*arguments, "--config", "opskit.yaml"),
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )

    enforce(store)
    for _ in range(2):
        done = run(backup, "backup", "create")
        assert done.returncode == 0, done.stderr
    assert run(backup, "backup", "check", "latest").returncode == 0
    refused = run(backup, "backup", "prune", "--apply")
    assert refused.returncode == 77, refused.stdout + refused.stderr
    stranger = run({"AWS_ACCESS_KEY_ID": "nobody", "AWS_SECRET_ACCESS_KEY": "nobody"}, "backup", "list")
    assert stranger.returncode == 77
    done = run(prune, "backup", "prune", "--apply")
    assert done.returncode == 0, done.stderr
    listed = run(backup, "backup", "list", "--json")
    assert listed.stdout.count('"consistency_wanted"') == 1
