"""Backups in a bucket."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, suppress
from datetime import UTC
from itertools import islice
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from opskit.errors import ConfigurationError, ObjectExistsError, UnavailableError
from opskit.storage import StoredObject
from opskit.storage.keys import check_key, check_prefix, is_key
from opskit.storage.s3_errors import code_of, refusal, status_of, translated
from opskit.storage.s3_upload import Upload

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import DeleteObjectsOutputTypeDef, ListObjectsV2OutputTypeDef

_PIECE_BYTES = 1024 * 1024
# The most that S3 takes in one request.
_DELETED_AT_ONCE = 1000
_NOT_FOUND = 404
_NO_BULK_DELETE = ("NotImplemented", "MethodNotAllowed", "MalformedXML", "501", "405")


class S3Storage:
    """Objects in one bucket; `prefix` is empty or ends in `/`."""

    def __init__(self, client: "S3Client", bucket: str, prefix: str = "") -> None:
        self._client = client
        self._bucket = bucket
        self._prefix = prefix

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
        return StoredObject(key, answer["ContentLength"], answer["LastModified"].astimezone(UTC))

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
        names = map(self._name, keys)
        while batch := list(islice(names, _DELETED_AT_ONCE)):
            self._delete(batch)

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

    def _delete(self, names: Sequence[str]) -> None:
        with translated(f"cannot delete {self._at(names[0])} and {len(names) - 1} more"):
            try:
                answer = self._client.delete_objects(
                    Bucket=self._bucket, Delete={"Objects": [{"Key": name} for name in names], "Quiet": False}
                )
            except ClientError as error:
                if code_of(error) not in _NO_BULK_DELETE:
                    raise
                for name in names:
                    self._delete_one(name)
                return
        self._require_deleted(names, answer)

    def _delete_one(self, name: str) -> None:
        with translated(f"cannot delete {self._at(name)}"), suppress(self._client.exceptions.NoSuchKey):
            self._client.delete_object(Bucket=self._bucket, Key=name)

    def _require_deleted(self, names: Sequence[str], answer: "DeleteObjectsOutputTypeDef") -> None:
        """Read what the store says of each key: the answer's own status is 200 even if none was deleted."""
        errors = [error for error in answer.get("Errors", ()) if error.get("Code") != "NoSuchKey"]
        if errors:
            doing = f"cannot delete {self._at(errors[0].get('Key', '?'))} and {len(errors) - 1} more"
            raise refusal(doing, errors[0].get("Code", "an error"), errors[0].get("Message", ""))
        if len(answer.get("Deleted", ())) + len(answer.get("Errors", ())) < len(names):
            raise UnavailableError(f"cannot delete {self._at(names[0])} and more: the answer was incomplete")
