"""A registry, backed up, damaged and brought back before your eyes: `make demo`.

Everything is real: a MySQL server, an S3 server, a generated registry, and the commands as anybody would type them,
with the output they gave.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sandbox.demo_models import damage, register
from sandbox.mysql import mysql_server
from sandbox.registry import Shape, generate
from sandbox.s3 import S3Server, rclone_server
from sandbox.server import OwnServer

DATABASE = "model_registry"
MODELS = 300
SHAPE = Shape(flavour="embedmd", models=MODELS)
ARCHIVE = f"UPDATE {DATABASE}.ContextProperty SET string_value = 'ARCHIVED' WHERE context_id = 1 AND name = 'state'"
STATUS_PAGE = Path(tempfile.gettempdir()) / "opskit-demo-status.html"
CONFIGURATION = """\
storage:
  url: s3://registry-backups/demo
  endpoint_url: {endpoint}
  copies: [{{url: {folder}/second-site}}]
retention: {{keep_last: 1, min_redundancy: 1}}
registries:
  - name: distance-prediction
    mysql:
      host: {host}
      port: {port}
      database: {database}
      user: registryuser
      password_file: {folder}/password
      tls: {{ca_file: {ca_file}}}
artifacts:
  stores:
    - {{endpoint: "{endpoint}", buckets: [models]}}
"""


class Demo:
    """What the demo shows: a title, a command, its output."""

    def __init__(self, mysql: OwnServer, s3: S3Server, bucket: Path, folder: Path, environment: dict[str, str]) -> None:
        self.mysql = mysql
        self.s3 = s3
        self.bucket = bucket
        self.folder = folder
        self.environment = environment

    def say(self, text: str) -> None:
        """Show what comes next."""
        print(f"\n\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"\n# {text}", flush=True)

    def opskit(self, *arguments: str, expect: int = 0) -> None:
        """Run opskit as a user would, and insist on its exit code."""
        print("$ opskit", *arguments, flush=True)
        ended = subprocess.run(
            [sys.executable, "-m", "opskit", *arguments], env=self.environment, cwd=self.folder, check=False
        )
        if ended.returncode != expect:
            sys.exit(f"the demo failed: exit code {ended.returncode} instead of {expect}")

    def damage_models(self) -> None:
        """Lose, replace and move models in their bucket, and insist that exactly those are named."""
        expected = damage(self.s3)
        print("(three models are deleted, one is replaced, one is moved to v1/)", flush=True)
        self.opskit("artifacts", "verify", "--layout", "--jsonl", "artifacts.jsonl", expect=1)
        records = [json.loads(line) for line in (self.folder / "artifacts.jsonl").read_text().splitlines()]
        named = sorted(
            record["artifact_id"]
            for record in records
            if record["verdict"] != "present" or record["failures"] or record["changed"]
        )
        if named != expected:
            sys.exit(f"the demo failed: artifacts {named} are named instead of {expected}")

    def sql(self, statement: str) -> None:
        """Run a statement as the administrator, through the mysql client."""
        print(f'$ mysql -e "{statement}"', flush=True)
        subprocess.run([*self.mysql.client(), "--table", "-e", statement], check=True)

    def identical(self, one: str, other: str) -> None:
        """Let mysqldump, which is not ours, say whether two databases hold the same."""
        print(f"$ diff <(mysqldump {one}) <(mysqldump {other}) && echo identical", flush=True)
        dumps = [self._dump(name) for name in (one, other)]
        if dumps[0] != dumps[1]:
            sys.exit("the demo failed: the databases differ")
        print(f"identical ({dumps[0].count(b'INSERT INTO')} INSERTs, {len(dumps[0]):,} bytes)", flush=True)

    def _dump(self, database: str) -> bytes:
        options = ["--single-transaction", "--set-gtid-purged=OFF", "--skip-comments", "--hex-blob"]
        marker = f"--ignore-table={database}._opskit_marker"
        dump = [*self.mysql.client("mysqldump"), *options, marker, database]
        return subprocess.run(dump, check=True, capture_output=True).stdout

    def flip_a_byte(self) -> None:
        """Change one bit of one object, behind the S3 server's back."""
        victim = max((self.bucket / "demo").rglob("*.ArtifactProperty.00001.sql.zst"))
        content = bytearray(victim.read_bytes())
        content[len(content) // 2] ^= 1
        victim.write_bytes(content)
        print(f"(one bit of {victim.name} is flipped)", flush=True)

    def backups(self) -> list[str]:
        """Return the ids of the backups, the oldest first."""
        return sorted(each.name for each in (self.bucket / "demo" / "distance-prediction").glob("2*"))

    def newest(self, purpose: str) -> str:
        """Return the newest database that opskit made for this purpose."""
        pattern = f"{DATABASE}_opskit_{purpose}_%".replace("_", r"\_")
        return str(self.mysql.execute(f"SHOW DATABASES LIKE '{pattern}'")[-1][0])


@contextmanager
def stage() -> Iterator[Demo]:
    """Start the servers, fill the registry, write the configuration."""
    print("starting MySQL and S3, and filling a registry …", flush=True)
    with mysql_server(tls="trusted") as mysql, rclone_server() as s3, tempfile.TemporaryDirectory() as folder:
        print(f"{mysql}; {s3}", flush=True)
        password = _fill(mysql)
        s3.make_bucket("registry-backups")
        register(mysql, s3, DATABASE, SHAPE)
        bucket = s3.folder / "registry-backups"
        yield Demo(mysql, s3, bucket, Path(folder), _configure(mysql, s3, Path(folder), password))


def _fill(mysql: OwnServer) -> str:
    password = os.urandom(12).hex()
    mysql.execute(
        f"CREATE DATABASE `{DATABASE}`",
        f"CREATE USER registryuser@'%' IDENTIFIED BY '{password}'",
        f"GRANT ALL ON `{DATABASE}`.* TO registryuser@'%'",
        rf"GRANT ALL ON `{DATABASE.replace('_', chr(92) + '_')}\_opskit\_%`.* TO registryuser@'%'",
    )
    with mysql.connect(database=DATABASE) as connection:
        generate(connection, SHAPE)
    return password


def _configure(mysql: OwnServer, s3: S3Server, folder: Path, password: str) -> dict[str, str]:
    (folder / "password").write_text(password)
    (folder / "opskit.yaml").write_text(
        CONFIGURATION.format(
            endpoint=s3.endpoint,
            host=mysql.host,
            port=mysql.port,
            database=DATABASE,
            folder=folder,
            ca_file=mysql.ca_file,
        )
    )
    return os.environ | s3.environment | {"OPSKIT_CONFIG": str(folder / "opskit.yaml")}


def prune(demo: Demo) -> None:
    """Show what retention lets go, what a hold does, and what is left."""
    _, middle, _ = demo.backups()
    demo.say("Retention, with keep_last 1: of three backups the newest stays, and the newest that was rehearsed.")
    demo.opskit("backup", "prune")
    demo.say("Not so fast: a hold keeps any backup, until it is released or ends by itself.")
    demo.opskit("backup", "hold", middle, "--for", "30d", "--reason", "incident 7")
    demo.opskit("backup", "prune", "--apply")
    demo.opskit("backup", "release", middle)
    demo.opskit("backup", "prune", "--apply")


def play(demo: Demo) -> None:
    """Show the whole story."""
    demo.say(f"A registry of {MODELS} models; its user may do anything in its own database, and nothing else.")
    demo.sql(f"SELECT COUNT(*) AS artifacts FROM {DATABASE}.Artifact")
    demo.say("It holds pointers only. Are the bytes of its models there, and can they be served?")
    demo.opskit("artifacts", "verify", "--layout")
    demo.say("Somebody tidies up the bucket. Which models are hit?")
    demo.damage_models()
    demo.say("Back it up. A backup exists once its manifest does; it knows how many of its pointers had bytes.")
    demo.opskit("backup", "create")
    demo.opskit("backup", "list")
    demo.say("Read every object again, and compare it with the manifest.")
    demo.opskit("backup", "check", "latest")
    demo.opskit("backup", "show", "latest")
    demo.say("Rehearse: restore it for real, compare, look at it as a registry, drop it, keep the verdict.")
    demo.opskit("backup", "rehearse", "latest")
    demo.opskit("backup", "list")
    demo.say("Restore it beside the live database: judged first, every row compared afterwards.")
    demo.opskit("restore", "run", "latest")
    demo.identical(DATABASE, demo.newest("restore"))
    demo.say("A model is archived. What has happened to the registry since the backup?")
    demo.sql(ARCHIVE)
    demo.opskit("backup", "diff", "latest", "live", expect=1)
    demo.say("Somebody damages the registry.")
    demo.sql(f"DELETE FROM {DATABASE}.Artifact WHERE id % 2 = 0; DROP TABLE {DATABASE}.EventPath")
    demo.say("What would a swap replace, and what would be lost?")
    demo.opskit("restore", "run", "latest", "--swap")
    demo.say("Carry it out: safety backup, staging, comparison, one atomic RENAME.")
    demo.opskit("restore", "run", demo.backups()[-1], "--swap", "--yes")
    demo.sql(f"SELECT COUNT(*) AS artifacts FROM {DATABASE}.Artifact")
    demo.say("Back to the damage, and forward again: each as atomic as the swap.")
    demo.opskit("restore", "rollback", "--yes")
    demo.opskit("restore", "rollback", "--to", demo.newest("after"), "--yes")
    demo.sql(f"SELECT COUNT(*) AS artifacts FROM {DATABASE}.Artifact")
    demo.say("The model is archived once more, and saved. What has happened between two backups? No server is asked.")
    demo.sql(ARCHIVE)
    demo.opskit("backup", "create")
    demo.opskit("backup", "diff", demo.backups()[0], "latest", expect=1)
    prune(demo)
    demo.say("One byte of the newest backup changes in the bucket: it is found, named, and never restored.")
    demo.flip_a_byte()
    demo.opskit("backup", "check", "--all", expect=65)
    demo.opskit("restore", "run", "latest", expect=65)
    demo.say("Its copy on the second site is whole: check it there, and restore from there.")
    demo.opskit("backup", "check", "latest", "--storage", str(demo.folder / "second-site"))
    demo.opskit("restore", "run", "latest", "--storage", str(demo.folder / "second-site"))
    demo.say("Take another backup. Is all well now? All but the models that are gone. The same for on-call, as a page.")
    demo.opskit("backup", "create")
    demo.opskit("probe", expect=1)
    demo.opskit("report", "--html", str(STATUS_PAGE))
    demo.say("That was everything; the servers and all they held are gone, the page is left for you to look at.")


if __name__ == "__main__":
    with stage() as the_demo:
        play(the_demo)
