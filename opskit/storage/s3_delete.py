"""Deleting in a bucket: a thousand in a request where the store can, and what it says of each one is read."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from opskit.errors import UnavailableError
from opskit.storage.s3_errors import code_of, refusal, status_of, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import ErrorTypeDef, HeadObjectOutputTypeDef, ObjectIdentifierTypeDef

# The most that S3 takes in one request.
_AT_ONCE = 1000
_NO_BULK_DELETE = ("NotImplemented", "MethodNotAllowed", "MalformedXML", "501", "405")
_DENIED = 403
_NOT_FOUND = 404
_NOT_IMPLEMENTED = 501
_DELETE_MARKER = 405  # what HEAD says of one


class Deletion:
    """Deletes objects, or all versions of them, by their full names."""

    def __init__(self, client: "S3Client", bucket: str) -> None:
        self._client = client
        self._bucket = bucket

    def delete(self, names: Iterable[str]) -> None:
        """Delete what is there now; versions that a bucket keeps are not touched."""
        for batch in _batches({"Key": name} for name in names):
            if errors := self._delete(batch):
                raise self._refusal(errors)

    def erase(self, prefix: str, wanted: Callable[[str], bool]) -> list[str] | None:
        """Delete all versions and delete markers of the names that are wanted; return what is locked.

        Does nothing and returns None where the store knows no versions.
        """
        # Read to its end before anything is deleted: no store says what deleting does to a listing under way.
        versions = self._versions(prefix)
        if versions is None:
            return None
        locked: list[str] = []
        for batch in _batches(each for each in versions if wanted(each["Key"])):
            if errors := self._delete(batch):
                locked += self._locked(batch, errors)
        return list(dict.fromkeys(locked))

    def _versions(self, prefix: str) -> "list[ObjectIdentifierTypeDef] | None":
        doing = f"cannot list the versions of s3://{self._bucket}/{prefix}"
        found: list[ObjectIdentifierTypeDef] = []
        pages = self._client.get_paginator("list_object_versions").paginate(Bucket=self._bucket, Prefix=prefix)
        with translated(doing):
            try:
                for page in pages:
                    if page.get("IsTruncated") is None:
                        raise UnavailableError(f"{doing}: an answer was incomplete")
                    found += [
                        {"Key": entry["Key"], "VersionId": entry["VersionId"]}
                        for entry in (*page.get("Versions", ()), *page.get("DeleteMarkers", ()))
                    ]
            except ClientError as error:
                if status_of(error) != _NOT_IMPLEMENTED:
                    raise
                return None
        return found

    def _delete(self, batch: "Sequence[ObjectIdentifierTypeDef]") -> "Sequence[ErrorTypeDef]":
        """Delete what one request may name, and return the errors of single objects."""
        doing = f"cannot delete s3://{self._bucket}/{batch[0]['Key']} and {len(batch) - 1} more"
        with translated(doing):
            try:
                answer = self._client.delete_objects(Bucket=self._bucket, Delete={"Objects": batch, "Quiet": False})
            except ClientError as error:
                if code_of(error) not in _NO_BULK_DELETE:
                    raise
                return [refused for each in batch for refused in self._delete_one(each)]
        # The answer's own status is 200 even if none was deleted.
        errors = answer.get("Errors", ())
        if len(answer.get("Deleted", ())) + len(errors) < len(batch):
            raise UnavailableError(f"{doing}: the answer was incomplete")
        return [error for error in errors if error.get("Code") not in ("NoSuchKey", "NoSuchVersion")]

    def _delete_one(self, each: "ObjectIdentifierTypeDef") -> "Iterator[ErrorTypeDef]":
        gone = suppress(self._client.exceptions.NoSuchKey)
        with translated(f"cannot delete s3://{self._bucket}/{each['Key']}"), gone:
            try:
                self._client.delete_object(Bucket=self._bucket, **_arguments(each))
            except ClientError as error:
                if status_of(error) != _DENIED:
                    raise
                message = error.response.get("Error", {}).get("Message", "")
                yield {"Key": each["Key"], "Code": code_of(error), "Message": message}

    def _locked(self, batch: "Sequence[ObjectIdentifierTypeDef]", errors: "Sequence[ErrorTypeDef]") -> Iterator[str]:
        """Yield the names that Object Lock protects; raise if an error has another cause."""
        # Some stores name the key, and not the version that they could not delete.
        failed = {error.get("Key") for error in errors}
        for each in batch:
            locked = self._is_locked(each) if each["Key"] in failed else None
            if locked:
                yield each["Key"]
            elif locked is not None:
                raise self._refusal(errors)

    def _is_locked(self, each: "ObjectIdentifierTypeDef") -> bool | None:
        """Ask for one version; None if it is gone."""
        with translated(f"cannot look for s3://{self._bucket}/{each['Key']}"):
            try:
                return locked_until(self._client.head_object(Bucket=self._bucket, **_arguments(each))) is not None
            except ClientError as error:
                if status_of(error) == _NOT_FOUND:
                    return None
                if status_of(error) == _DELETE_MARKER:
                    return False
                raise

    def _refusal(self, errors: "Sequence[ErrorTypeDef]") -> Exception:
        doing = f"cannot delete s3://{self._bucket}/{errors[0].get('Key', '?')} and {len(errors) - 1} more"
        return refusal(doing, errors[0].get("Code", "an error"), errors[0].get("Message", ""))


def _arguments(each: "ObjectIdentifierTypeDef") -> dict[str, Any]:
    return dict(each)


def locked_until(answer: "HeadObjectOutputTypeDef") -> datetime | None:
    """Return until when Object Lock keeps an object from being deleted; None if nothing does."""
    if answer.get("ObjectLockLegalHoldStatus") == "ON":
        return datetime.max.replace(tzinfo=UTC)
    until = answer.get("ObjectLockRetainUntilDate")
    return until.astimezone(UTC) if until and until > datetime.now(UTC) else None


def _batches(objects: "Iterable[Any]") -> "Iterator[list[ObjectIdentifierTypeDef]]":
    remaining = iter(objects)
    while batch := list(islice(remaining, _AT_ONCE)):
        yield batch
