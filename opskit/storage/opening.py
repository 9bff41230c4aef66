"""From a URL to a storage."""

import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from opskit.errors import ConfigurationError
from opskit.storage import Storage
from opskit.storage.directory import DirectoryStorage
from opskit.storage.keys import is_key

# A looser rule than Amazon's: older stores have buckets with capitals and underscores.
_BUCKET = re.compile(r"[A-Za-z0-9._-]+")


def open_storage(
    url: str,
    *,
    endpoint_url: str | None = None,
    region: str | None = None,
    ca_file: Path | None = None,
    path_style: bool = False,
    access_key: tuple[str, str] | None = None,
    max_attempts: int = 5,
) -> Storage:
    """Return the storage that `s3://bucket/prefix`, `file:///directory` or a path means; it is asked nothing yet.

    The other arguments are for S3; without an `access_key` credentials come from boto3's own chain. A directory is
    made by its first `put`. `ConfigurationError` if the URL is of another kind, or no client can be made of the
    arguments.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _wrong_url("it cannot be read") from None
    if "://" not in url and not parts.scheme:
        return DirectoryStorage(_path(url))
    if parts.query or parts.fragment:
        raise _wrong_url("it has '?' or '#'")
    if parts.scheme == "file" and not parts.netloc and url[5:8] == "///":
        return DirectoryStorage(_path(unquote(parts.path)))
    if parts.scheme != "s3":
        raise _wrong_url("it is of another kind")
    if not _BUCKET.fullmatch(parts.netloc):
        raise _wrong_url("that is no name of a bucket")
    prefix = parts.path.removeprefix("/").rstrip("/")
    if prefix and not is_key(prefix):
        raise _wrong_url("the prefix has a segment or a character that keys may not have")

    # boto3 takes a third of a second to import: only those pay who use it.
    from opskit.storage.s3 import S3Storage  # noqa: PLC0415 - see above
    from opskit.storage.s3_client import connect_s3  # noqa: PLC0415 - see above

    client = connect_s3(
        endpoint_url=endpoint_url,
        region=region,
        ca_file=ca_file,
        path_style=path_style,
        access_key=access_key,
        max_attempts=max_attempts,
    )
    return S3Storage(client, parts.netloc, f"{prefix}/" if prefix else "")


def _path(text: str) -> Path:
    if not text or "\0" in text:
        raise _wrong_url("it is empty, or has a null character")
    return Path(text)


def _wrong_url(problem: str) -> ConfigurationError:
    # The URL is not quoted: somebody may have put credentials into it.
    return ConfigurationError(
        f"cannot use the storage URL: {problem}",
        hint="s3://bucket/prefix, file:///directory, or a path such as ./opskit-backups",
    )
