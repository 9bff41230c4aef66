"""Where backups lie: five verbs, four more for whoever tidies up, and their contract."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as the store reports it; `modified` is by the store's own clock, in UTC.

    `locked_until` is told by `stat` alone, and only where Object Lock keeps the object from being deleted: the
    end of its retention, or the end of time under a legal hold.
    """

    key: str
    size: int
    modified: datetime
    locked_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class UnfinishedUpload:
    """A multipart upload that was begun and neither completed nor aborted: it costs money, and no listing shows it."""

    key: str
    id: str
    started: datetime


class Storage(Protocol):
    """A flat store of objects under `/`-separated keys, all below one root.

    Keys are relative to the root, never empty, never start or end with `/`, and hold no empty, `.` or `..`
    segment, no backslash and no control character (`opskit.storage.keys` has the whole rule); anything else is
    a `ValueError`, before the store is asked. What lies below the root under another name is not listed. No
    key may go on where another ends: beside `a` there is no `a/b`.

    Errors are those of `opskit.errors`: `NotFoundError` for a missing key, `ConfigurationError` for a missing
    bucket or root or a failed TLS verification, `DeniedError` for refused credentials, `UnavailableError` for
    whatever a later try may mend, `NoSpaceError` where the store is full. What a body raises is passed on as
    it is. All methods may be called from several threads at once.
    """

    @property
    def url(self) -> str:
        """The root as a person would name it, without credentials."""

    def put(self, key: str, body: Iterable[bytes], *, if_absent: bool = False) -> int:
        """Store the body whole and return its size in bytes.

        All or nothing: when `body` raises, or the store fails, nothing is left under the key (or what was
        there before). Replaces what is there, unless `if_absent`: then `ObjectExistsError`, and what is there
        stays as it is. Memory holds one part of the body at a time, not the whole.

        A store may do what it is told and its answer be lost: after any error but that of the body, only
        `get` tells whether the object is there. With `if_absent`, even `ObjectExistsError` may mean our own
        object. A store without conditional writes, such as rclone, is asked before whether the key is free:
        of two writers at the same moment, both succeed there and the later one stays.
        """

    def get(self, key: str) -> Iterator[bytes]:
        """Yield the object's bytes; a stream that ends early raises `UnavailableError`, it never just ends.

        Nothing is asked, and nothing raised, before the first piece is wanted.
        """

    def stat(self, key: str) -> StoredObject:
        """Return size and time of one object."""

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield every object whose key starts with `prefix`: all pages, in the order of the keys' UTF-8 bytes.

        A prefix is any beginning of a key: `a` matches `ab` and `a/b`. Nothing is asked before the first
        object is wanted; what is stored or deleted meanwhile may or may not be seen. A root that the first `put`
        will make is empty.
        """

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects; one that is gone already is no error.

        After an error some are deleted and others are not. In a bucket with versions the old ones stay.
        """

    def erase(self, prefix: str, wanted: Callable[[str], bool]) -> Sequence[str]:
        """Delete the wanted ones of all keys that start with `prefix`, with all versions and delete markers.

        Returns the keys of what stays because Object Lock protects it. Where there are no versions this is
        `delete` of what `list` yields. After an error some are deleted and others are not.
        """

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        """Yield the unfinished multipart uploads to keys that start with `prefix`: all pages.

        A directory has none: what a killed process left there is removed by a later `put`.
        """

    def abort(self, upload: UnfinishedUpload) -> None:
        """Drop an unfinished upload and its parts; one that is gone already is no error."""

    def now(self) -> datetime:
        """Return the time by the store's own clock, in UTC: ages are told by it and `StoredObject.modified`."""
