"""How a body of unknown length gets into a bucket: whole, or not at all."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC
from itertools import chain
from typing import TYPE_CHECKING, Any

from botocore.exceptions import BotoCoreError, ClientError

from opskit.errors import ObjectExistsError
from opskit.storage import UnfinishedUpload
from opskit.storage.s3_errors import status_of, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import CompletedPartTypeDef

logger = logging.getLogger(__name__)

# S3 allows 10,000 parts: 16 MiB parts reach 156 GiB, while a chunk of a backup has some MiB and a single row
# 1 GiB at most. They do not grow, because some stores want all parts of an object to have one size.
PART_BYTES = 16 * 1024 * 1024

_NOT_FOUND = 404
_CONFLICTS = (409, 412)
_NOT_IMPLEMENTED = 501


@dataclass(frozen=True, slots=True)
class Upload:
    """An object that is to be: in which bucket, and under which full name."""

    client: "S3Client"
    bucket: str
    name: str

    def put(self, body: Iterable[bytes], *, if_absent: bool) -> int:
        """Send the body and return its size: one request where it fits one part, else a multipart upload."""
        parts = _in_parts(body)
        first, is_all = next(parts)
        if not is_all:
            return self._put_parts(chain([first], (part for part, _ in parts)), if_absent=if_absent)
        self._put_whole(first, if_absent=if_absent)
        return len(first)

    def _put_whole(self, body: bytes, *, if_absent: bool) -> None:
        def send(**condition: Any) -> None:  # noqa: ANN401 - boto3's own arguments
            self.client.put_object(Bucket=self.bucket, Key=self.name, Body=body, **condition)

        with translated(self._doing):
            self._send(send, if_absent=if_absent)

    def _put_parts(self, parts: Iterable[bytes], *, if_absent: bool) -> int:
        with translated(self._doing):
            upload_id = self.client.create_multipart_upload(Bucket=self.bucket, Key=self.name)["UploadId"]
        try:
            done: list[CompletedPartTypeDef] = []
            size = 0
            for number, part in enumerate(parts, start=1):
                done.append(self._put_part(upload_id, number, part))
                size += len(part)
            self._complete(upload_id, done, if_absent=if_absent)
        except BaseException:  # a signal too: parts that are left behind cost money, and no listing shows them
            self._abort(upload_id)
            raise
        return size

    def _put_part(self, upload_id: str, number: int, part: bytes) -> "CompletedPartTypeDef":
        with translated(self._doing):
            answer = self.client.upload_part(
                Bucket=self.bucket, Key=self.name, UploadId=upload_id, PartNumber=number, Body=part
            )
        return {"PartNumber": number, "ETag": answer["ETag"]}

    def _complete(self, upload_id: str, done: "list[CompletedPartTypeDef]", *, if_absent: bool) -> None:
        def send(**condition: Any) -> None:  # noqa: ANN401 - boto3's own arguments
            self.client.complete_multipart_upload(
                Bucket=self.bucket,
                Key=self.name,
                UploadId=upload_id,
                MultipartUpload={"Parts": done},
                **condition,
            )

        with translated(self._doing):
            self._send(send, if_absent=if_absent)

    def _send(self, request: Callable[..., None], *, if_absent: bool) -> None:
        """Send the request that makes the object exist; if wanted, on the condition that there is none."""
        if not if_absent:
            request()
            return
        try:
            request(IfNoneMatch="*")
        except ClientError as error:
            if status_of(error) in _CONFLICTS:
                raise ObjectExistsError(f"{self._doing}: the object exists already") from error
            if status_of(error) != _NOT_IMPLEMENTED:
                raise
            request()

    def _abort(self, upload_id: str) -> None:
        try:
            _abort(self.client, self.bucket, self.name, upload_id)
        except (BotoCoreError, ClientError) as error:
            logger.warning("an unfinished upload of s3://%s/%s stays in the store: %s", self.bucket, self.name, error)

    @property
    def _doing(self) -> str:
        return f"cannot write s3://{self.bucket}/{self.name}"


def unfinished_uploads(client: "S3Client", bucket: str, prefix: str) -> Iterator[UnfinishedUpload]:
    """Yield the multipart uploads to names that start with `prefix`, of all pages."""
    pages = client.get_paginator("list_multipart_uploads").paginate(Bucket=bucket, Prefix=prefix)
    with translated(f"cannot list the uploads to s3://{bucket}/{prefix}"):
        try:
            for page in pages:
                for each in page.get("Uploads", ()):
                    if each["Key"].startswith(prefix):
                        yield UnfinishedUpload(each["Key"], each["UploadId"], each["Initiated"].astimezone(UTC))
        except client.exceptions.NoSuchUpload:  # rclone's way to say that there are none
            return


def abort_upload(client: "S3Client", bucket: str, upload: UnfinishedUpload) -> None:
    """Drop one upload; `upload.key` is its full name."""
    with translated(f"cannot abort an upload to s3://{bucket}/{upload.key}"):
        _abort(client, bucket, upload.key, upload.id)


def _abort(client: "S3Client", bucket: str, name: str, upload_id: str) -> None:
    try:
        client.abort_multipart_upload(Bucket=bucket, Key=name, UploadId=upload_id)
    except ClientError as error:
        # The store dropped it, or completed it although its answer was lost.
        if status_of(error) != _NOT_FOUND:
            raise


def _in_parts(body: Iterable[bytes]) -> Iterator[tuple[bytes, bool]]:
    """Yield the body in parts of one size and a shorter rest, each with whether it is the last."""
    collected = bytearray()
    for piece in body:
        rest = memoryview(piece)
        while rest:
            if len(collected) == PART_BYTES:
                part, collected = bytes(collected), bytearray()
                yield part, False
            room = PART_BYTES - len(collected)
            collected += rest[:room]
            rest = rest[room:]
    yield bytes(collected), True
