"""A boto3 client that every S3 store understands, or a clear word on why there is none."""

import hashlib
import ssl
from base64 import b64encode
from contextlib import suppress
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import botocore.session
from botocore.config import Config
from botocore.utils import parse_timestamp

from opskit import __version__
from opskit.errors import ConfigurationError
from opskit.storage.s3_errors import translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_WITH_BODY = ("PutObject", "UploadPart", "DeleteObjects")
_CONNECT_SECONDS = 10
_READ_SECONDS = 60
# As many as backup.workers may be.
_CONNECTIONS = 64


def connect_s3(
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    ca_file: Path | None = None,
    path_style: bool = False,
    max_attempts: int = 5,
    access_key: tuple[str, str] | None = None,
    direct: bool = False,
) -> "S3Client":
    """Return a client with this access key and its secret, else boto3's own chain; nothing is asked of the store yet.

    TLS is always verified: against `ca_file` alone where one is given, else against AWS_CA_BUNDLE or the
    authorities that botocore ships. `direct`: whatever the environment says of proxies and endpoints is ignored.
    """
    _check_ca_file(ca_file)
    config = Config(  # type: ignore[call-arg] # the stubs lack ignore_configured_endpoint_urls
        signature_version="s3v4",
        s3={"addressing_style": "path" if path_style else "auto"},
        retries={"mode": "standard", "total_max_attempts": max_attempts},
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_READ_SECONDS,
        tcp_keepalive=True,
        max_pool_connections=_CONNECTIONS,
        user_agent_extra=f"opskit/{__version__}",
        # The CRC checksums that boto3 sends since 1.36 are unknown to older Ceph, MinIO and ODF.
        request_checksum_calculation="when_required",
        response_checksum_validation="when_required",
        proxies={} if direct else None,
        ignore_configured_endpoint_urls=direct,
    )
    try:
        with translated("cannot use S3"):
            client = _session().client(
                "s3",
                endpoint_url=endpoint_url,
                region_name=region,
                verify=str(ca_file) if ca_file else None,
                aws_access_key_id=access_key[0] if access_key else None,
                aws_secret_access_key=access_key[1] if access_key else None,
                config=config,
            )
    except ValueError as error:  # botocore's word on an endpoint that is no URL
        raise ConfigurationError(f"cannot use S3: {error}", hint="give endpoint_url as https://host:port") from error
    for operation in _WITH_BODY:
        client.meta.events.register(f"before-call.s3.{operation}", _send_md5)
    return client


def _session() -> boto3.session.Session:
    """Return a session that reads times quickly: botocore's own way takes most of the time of a listing (measured)."""
    core = botocore.session.get_session()
    core.get_component("response_parser_factory").set_parser_defaults(timestamp_parser=read_time)
    return boto3.session.Session(botocore_session=core)


def read_time(value: Any) -> datetime:  # noqa: ANN401 - text, or a number of seconds
    """Return a time as botocore would read it, sooner where it is in ISO 8601."""
    with suppress(TypeError, ValueError):
        read = datetime.fromisoformat(value)
        if read.tzinfo is not None:
            return read
    return parse_timestamp(value)


def _send_md5(params: dict[str, Any], **_: object) -> None:
    """Have the store verify the body by the one checksum that all of them know; Object Lock demands it."""
    body = params["body"]
    content = body.getvalue() if isinstance(body, BytesIO) else body  # botocore wraps what it calls a blob
    digest = hashlib.md5(content, usedforsecurity=False).digest()
    params["headers"]["Content-MD5"] = b64encode(digest).decode()
    # DeleteObjects would get a CRC32 beside it, which older stores reject.
    params["context"].pop("checksum", None)


def _check_ca_file(ca_file: Path | None) -> None:
    # botocore looks at it only when it connects, and then says that the store cannot be reached.
    if ca_file is None:
        return
    try:
        ssl.create_default_context(cafile=ca_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            f"cannot read certificates from {ca_file}: {error.strerror or error}", hint="it must be a PEM file"
        ) from error
