"""Where backups lie: five verbs and their contract."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


@dataclass(frozen=True, slots=True)
class StoredObject:
    """One object as the store reports it; `modified` is by the store's own clock, in UTC."""

    key: str
    size: int
    modified: datetime


class Storage(Protocol):
    """A flat store of objects under `/`-separated keys, all below one root.

    Keys are relative to the root, never empty, never start or end with `/`, and hold no empty, `.` or `..`
    segment; anything else is a `ValueError`, before the store is asked.

    Errors are those of `opskit.errors`: `NotFoundError` for a missing key, `ConfigurationError` for a missing
    bucket or root or a failed TLS verification, `DeniedError` for refused credentials, `UnavailableError` for
    whatever a later try may mend, `NoSpaceError` where the store is full.
    """

    @property
    def url(self) -> str:
        """The root as a person would name it, without credentials."""

    def put(self, key: str, body: Iterable[bytes], *, if_absent: bool = False) -> int:
        """Store the body whole and return its size in bytes.

        All or nothing: when `body` raises, or the store fails, nothing is left under the key (or what was
        there before). Replaces what is there, unless `if_absent`: then `ObjectExistsError`, and what is there
        stays as it is. Memory holds one part of the body at a time, not the whole.
        """

    def get(self, key: str) -> Iterator[bytes]:
        """Yield the object's bytes; a stream that ends early raises `UnavailableError`, it never just ends."""

    def stat(self, key: str) -> StoredObject:
        """Return size and time of one object."""

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        """Yield every object whose key starts with `prefix`: all pages, in the order of the keys' UTF-8 bytes."""

    def delete(self, keys: Iterable[str]) -> None:
        """Delete the objects; one that is gone already is no error."""
