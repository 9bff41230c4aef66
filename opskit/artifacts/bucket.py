"""One bucket, asked as the search for artifacts needs it: pages from anywhere, single keys, delete markers."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from botocore.exceptions import ClientError

from opskit.artifacts.addresses import ForbiddenAddressError
from opskit.artifacts.breaker import Breaker
from opskit.errors import NotFoundError, OpskitError, UnavailableError
from opskit.storage.s3_errors import code_of, status_of, translated

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
    from mypy_boto3_s3.type_defs import HeadObjectOutputTypeDef

PAGE_KEYS = 1000
_NOT_FOUND = 404
_ARCHIVED = ("GLACIER", "DEEP_ARCHIVE")


class BucketMissingError(NotFoundError):
    """The store has no such bucket."""


@dataclass(frozen=True, slots=True)
class Stored:
    """One object as a listing or a HEAD tells of it; `modified` is ISO 8601 in UTC."""

    key: str
    size: int
    etag: str
    modified: str
    storage_class: str = "STANDARD"
    version_id: str | None = None
    restored: bool = False
    archive_status: str | None = None

    @property
    def live(self) -> bool:
        """Whether KServe would load it: not empty, and no marker of a folder."""
        return self.size > 0 and not self.key.endswith("/")

    @property
    def archived(self) -> bool:
        """Whether it must be restored before anybody can read it, as far as is known."""
        return (self.storage_class in _ARCHIVED and not self.restored) or self.archive_status is not None


@dataclass(frozen=True, slots=True)
class Absent:
    """No object of that name; `deleted` if a delete marker stands in its place."""

    deleted: bool


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a listing; `complete` if nothing follows."""

    objects: list[Stored]
    complete: bool


class Bucket:
    """A bucket behind a client; errors are those of `opskit.errors`, `requests` counts what was asked."""

    def __init__(self, client: "S3Client", name: str, breaker: Breaker) -> None:
        self._client = client
        self._breaker = breaker
        self.name = name
        self._counting = threading.Lock()
        self.requests = {"LIST": 0, "HEAD": 0}

    def page(self, *, after: str = "", prefix: str = "", limit: int = PAGE_KEYS) -> Page:
        """Return the first keys behind `after` that start with `prefix`."""
        doing = f"cannot list s3://{self.name}/{prefix}"
        options = {"StartAfter": after} if after else {}
        with self._asking("LIST", doing):
            answer = self._client.list_objects_v2(Bucket=self.name, Prefix=prefix, MaxKeys=limit, **options)  # type: ignore[arg-type] # StartAfter alone is optional
            truncated = answer.get("IsTruncated")
            objects = [
                Stored(
                    key=each["Key"],
                    size=each["Size"],
                    etag=each.get("ETag", "").strip('"'),
                    modified=_moment(each["LastModified"]),
                    storage_class=each.get("StorageClass", "STANDARD"),
                )
                for each in answer.get("Contents", ())
            ]
        # botocore reads an empty body as an empty page, and a cut one may have lost its end.
        if truncated is None or (truncated and not objects) or answer.get("KeyCount", len(objects)) != len(objects):
            raise UnavailableError(f"{doing}: an answer was incomplete")
        return Page(objects, complete=not truncated)

    def below(self, prefix: str, *, first: int = PAGE_KEYS) -> Iterator[Stored]:
        """Yield the objects whose keys start with `prefix`, `first` of them in the first request."""
        page = self.page(prefix=prefix, limit=first)
        yield from page.objects
        while not page.complete:
            page = self.page(prefix=prefix, after=page.objects[-1].key)
            yield from page.objects

    def head(self, key: str) -> Stored | Absent:
        """Return what the store says of one key."""
        try:
            with self._asking("HEAD", f"cannot look for s3://{self.name}/{key}"):
                return _stored(key, self._client.head_object(Bucket=self.name, Key=key))
        except NotFoundError as error:
            return Absent(deleted=_is_delete_marker(error))

    def was_deleted(self, folder: str) -> bool:
        """Tell whether delete markers stand where a folder's objects were; False where the store does not say."""
        try:
            with self._asking("LIST", "cannot list versions"):
                answer = self._client.list_object_versions(Bucket=self.name, Prefix=folder, MaxKeys=10)
        except OpskitError:  # many stores have no versions, and listing them is a right of its own
            return False
        return any(each.get("Key", "").startswith(folder) for each in answer.get("DeleteMarkers", ()))

    @contextmanager
    def _asking(self, kind: str, doing: str) -> Iterator[None]:
        with self._counting:
            self.requests[kind] += 1
        try:
            with self._breaker.watch(), _odd_answer(doing), translated(doing), _missing_bucket(self.name):
                yield
        except OpskitError as error:
            if cause := _forbidden(error):
                raise cause from error
            raise


@contextmanager
def _odd_answer(doing: str) -> Iterator[None]:
    """Take for no answer what has no number where a number stands, or lacks what every S3 store says."""
    try:
        yield
    except (ValueError, TypeError, KeyError, OverflowError) as error:  # botocore lets the errors of its parser through
        raise UnavailableError(f"{doing}: the answer is not one of S3: {type(error).__name__}") from error


@contextmanager
def _missing_bucket(name: str) -> Iterator[None]:
    try:
        yield
    except ClientError as error:
        if code_of(error) == "NoSuchBucket":
            raise BucketMissingError(f"there is no bucket {name}") from error
        raise


def _moment(modified: datetime) -> str:
    return modified.astimezone(UTC).isoformat(timespec="seconds")


def _stored(key: str, answer: "HeadObjectOutputTypeDef") -> Stored:
    return Stored(
        key=key,
        size=answer["ContentLength"],
        etag=answer.get("ETag", "").strip('"'),
        modified=_moment(answer["LastModified"]),
        storage_class=answer.get("StorageClass", "STANDARD"),
        version_id=answer.get("VersionId"),
        restored='ongoing-request="false"' in answer.get("Restore", ""),
        archive_status=answer.get("ArchiveStatus"),
    )


def _is_delete_marker(error: NotFoundError) -> bool:
    cause = error.__cause__
    if not isinstance(cause, ClientError) or status_of(cause) != _NOT_FOUND:
        return False
    headers = cause.response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    return headers.get("x-amz-delete-marker") == "true"


def _forbidden(error: BaseException) -> ForbiddenAddressError | None:
    """Return the address that was refused, if that is what lies behind an error of the library."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ForbiddenAddressError):
            return cause
        cause = cause.__cause__ or cause.__context__
    return None
