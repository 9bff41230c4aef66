"""Backups in a bucket."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from opskit.errors import ConfigurationError, ObjectExistsError, UnavailableError
from opskit.storage import StoredObject, UnfinishedUpload
from opskit.storage.keys import check_key, check_prefix, is_key
from opskit.storage.s3_delete import Deletion, locked_until
from opskit.storage.s3_errors import refusal, status_of, translated
from opskit.storage.s3_upload import Upload, abort_upload, unfinished_uploads

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ListObjectsV2OutputTypeDef

_PIECE_BYTES = 1024 * 1024
_NOT_FOUND = 404


class S3Storage:
    """Objects in one bucket; `prefix` is empty or ends in `/`."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix
        self._deletion = Deletion(client, bucket)

    @property
    def url(self) -> str:
        """The bucket and the prefix as an `s3:` URL."""
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def put(self, key: str, body: Iterable[bytes], *, if_absent: bool = False) -> int:
        """Store the body; `if_absent` asks first, for the stores that do not know If-None-Match."""
        name = self._name(key)
        if if_absent:
            self._require_absent(name)
        return Upload(self._client, self._bucket, name).put(body, if_absent=if_absent)

    def get(self, key: str) -> Iterator[bytes]:
        """Yield the object's bytes, counted: what a proxy or a broken connection cut off is an error."""
        name = self._name(key)
        doing = f"cannot read {self._at(name)}"
        with translated(doing):
            answer = self._client.get_object(Bucket=self._bucket, Key=name)
            with closing(answer["Body"]) as body:
                left = answer.get("ContentLength")
                if left is None:
                    raise UnavailableError(f"{doing}: the answer does not say how long it is")
                while piece := body.read(_PIECE_BYTES):
                    left -= len(piece)
                    yield piece
        if left:
            raise UnavailableError(f"{doing}: the answer ended {left} bytes early")

    def stat(self, key: str) -> StoredObject:
        """Return size and time of one object."""
        name = self._name(key)
        doing = f"cannot look for {self._at(name)}"
        with translated(doing):
            try:
                answer = self._client.head_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                # An answer to HEAD has no body that would tell a missing bucket from a missing key.
                if status_of(error) == _NOT_FOUND and self._bucket_is_missing():
                    raise refusal(doing, "NoSuchBucket") from error
                raise
        return StoredObject(key, answer["ContentLength"], answer["LastModified"].astimezone(UTC), locked_until(answer))

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield the objects of all pages; what opskit cannot have stored (`folder/`, say) is not among them."""
        check_prefix(prefix)
        last = ""
        for page in self._pages(self._prefix + prefix):
            for entry in page.get("Contents", ()):
                if entry["Key"] <= last:
                    raise ConfigurationError(
                        f"{self.url} lists {entry['Key']} after {last}: not in the order of their bytes",
                        hint="opskit cannot work with this store",
                    )
                last = entry["Key"]
                key = last.removeprefix(self._prefix)
                if is_key(key):
                    yield StoredObject(key, entry["Size"], entry["LastModified"].astimezone(UTC))

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects, a thousand in a request where the store can do that."""
        self._deletion.delete(map(self._name, keys))

    def erase(self, prefix: str, wanted: Callable[[str], bool]) -> Sequence[str]:
        """Delete every version; what is not below our own prefix is never asked for."""

        def is_wanted(name: str) -> bool:
            key = name.removeprefix(self._prefix)
            return is_key(key) and wanted(key)

        locked = self._deletion.erase(self._prefix + check_prefix(prefix), is_wanted)
        if locked is None:
            self.delete([stored.key for stored in self.list(prefix) if wanted(stored.key)])
            return ()
        return tuple(name.removeprefix(self._prefix) for name in locked)

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield the unfinished uploads; what opskit cannot have begun is not among them."""
        for upload in unfinished_uploads(self._client, self._bucket, self._prefix + check_prefix(prefix)):
            key = upload.key.removeprefix(self._prefix)
            if is_key(key):
                yield replace(upload, key=key)

    def abort(self, upload: UnfinishedUpload) -> None:
        """Abort one upload."""
        abort_upload(self._client, self._bucket, replace(upload, key=self._name(upload.key)))

    def now(self) -> datetime:
        """Return the date of an answer."""
        doing = f"cannot list {self._at(self._prefix)}"
        with translated(doing):
            answer = self._client.list_objects_v2(Bucket=self._bucket, Prefix=self._prefix, MaxKeys=1)
        try:
            date = parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
        except (KeyError, ValueError):
            raise UnavailableError(f"{doing}: the answer does not say what time it is") from None
        return date.astimezone(UTC)

    def _name(self, key: str) -> str:
        return self._prefix + check_key(key)

    def _at(self, name: str) -> str:
        return f"s3://{self._bucket}/{name}"

    def _require_absent(self, name: str) -> None:
        with translated(f"cannot look for {self._at(name)}"):
            try:
                self._client.head_object(Bucket=self._bucket, Key=name)
            except ClientError as error:
                if status_of(error) == _NOT_FOUND:
                    return
                raise
        raise ObjectExistsError(f"{self._at(name)} exists already")

    def _bucket_is_missing(self) -> bool:
        try:
            self._client.head_bucket(Bucket=self._bucket)
        except ClientError as error:
            return status_of(error) == _NOT_FOUND
        return False

    def _pages(self, prefix: str) -> Iterator["ListObjectsV2OutputTypeDef"]:
        doing = f"cannot list {self._at(prefix)}"
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket, Prefix=prefix)
        with translated(doing):
            for page in pages:
                # botocore reads an empty body as an empty page, and a page without a token as the last.
                if page.get("IsTruncated") is None or (page["IsTruncated"] and not page.get("NextContinuationToken")):
                    raise UnavailableError(f"{doing}: an answer was incomplete")
                yield page
