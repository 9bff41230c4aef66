"""Holds: side files that keep prune away from a backup, while somebody reads it or for as long as a person wants.

A hold lasts for `seconds` from the moment that the store wrote it, by the store's own clock, so that no machine's
clock matters. Whoever reads puts one first, and only then looks for the manifest; prune takes the manifest away
first, and only then looks for holds. So one of the two always sees the other.
"""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Annotated
from uuid import uuid4

from pydantic import BaseModel, ConfigDict, Field

from opskit.backup import layout
from opskit.backup.manifest import backup_key
from opskit.backup.stages import gathered
from opskit.errors import NotFoundError, OpskitError
from opskit.storage import Storage, StoredObject
from opskit.workers import Stop, Watch

logger = logging.getLogger(__name__)

# What a killed reader leaves keeps prune away for this long.
LIFETIME = timedelta(hours=1)
RENEWAL_SECONDS = 600.0
_PERSON = "person"
# No date that a calendar knows may come out of it.
LONGEST = timedelta(days=36_500)
_MAXIMUM_BYTES = 64 * 1024


class _Document(BaseModel):
    model_config = ConfigDict(frozen=True, extra="ignore")

    purpose: str
    reason: str = ""
    seconds: Annotated[int, Field(ge=0, le=int(LONGEST.total_seconds()))] | None = None


@dataclass(frozen=True, slots=True)
class Hold:
    """One hold on a backup: what for, and until when by the store's clock; None is for ever."""

    key: str
    purpose: str
    reason: str
    until: datetime | None

    @property
    def by_a_person(self) -> bool:
        """Whether a person placed it, or nobody can tell, rather than a job that reads."""
        return self.purpose in (_PERSON, "")

    def has_ended(self, now: datetime) -> bool:
        """Tell by the store's clock."""
        return self.until is not None and self.until <= now

    def __str__(self) -> str:
        words = [f"held by a {self.purpose}" if self.purpose else "held: the hold cannot be read"]
        words += [f"until {self.until:%Y-%m-%d %H:%M} UTC"] if self.until else []
        return " ".join(words) + (f" ({self.reason})" if self.reason else "")


def place(
    storage: Storage,
    registry: str,
    backup_id: str,
    *,
    purpose: str = _PERSON,
    reason: str = "",
    lifetime: timedelta | None = None,
) -> str:
    """Put a hold on a backup and return its key; without a `lifetime` it lasts until it is released.

    `NotFoundError` if there is no such backup, or no longer.
    """
    key = _new_key(registry, backup_id)
    _require_there(storage, registry, backup_id)
    storage.put(key, [_content(purpose, reason, lifetime)])
    try:
        _require_there(storage, registry, backup_id)
    except NotFoundError:
        storage.delete([key])
        raise
    return key


@contextmanager
def held(
    storage: Storage, registry: str, backup_id: str, purpose: str, *, renewal_seconds: float = RENEWAL_SECONDS
) -> Iterator[None]:
    """Keep prune away from a backup while the block reads it.

    `NotFoundError` if it was pruned before the hold was there. Where no hold can be written, as with credentials that
    only read, there is a warning and the block runs all the same: a restore must not fail for want of one.
    """
    key, content = _new_key(registry, backup_id), _content(purpose, "", LIFETIME)

    def put() -> None:
        try:
            storage.put(key, [content])
        except OpskitError as error:
            logger.warning("backup %s cannot be held against prune: %s", backup_id, error)

    put()
    try:
        _require_there(storage, registry, backup_id)
        with Watch(put, Stop(), every_seconds=renewal_seconds):
            yield
    finally:
        with suppress(OpskitError):  # it ends by itself
            storage.delete([key])


def live_holds(storage: Storage, folder: Iterable[StoredObject], now: datetime) -> list[Hold]:
    """Return the holds among the objects of a backup that are in force at `now`, by the store's clock.

    One that cannot be read is in force: whoever placed it meant something.
    """
    return [each for each in read_holds(storage, folder) if not each.has_ended(now)]


def read_holds(storage: Storage, folder: Iterable[StoredObject]) -> list[Hold]:
    """Return the holds among the objects of a backup, those that have ended and were left behind as well."""
    return [_read(storage, each) for each in folder if f"/{layout.HOLDS}" in each.key]


def release(storage: Storage, registry: str, backup_id: str) -> list[Hold]:
    """Remove the holds that people placed, and those that cannot be read; return them.

    Those of jobs stay: whoever reads at this moment still needs its own, and one that was left ends by itself.
    """
    _require_there(storage, registry, backup_id)
    folder = list(storage.list(backup_key(registry, backup_id, layout.HOLDS)))
    found = [each for each in live_holds(storage, folder, storage.now()) if each.by_a_person]
    storage.delete([each.key for each in found])
    return found


def _new_key(registry: str, backup_id: str) -> str:
    return backup_key(registry, backup_id, f"{layout.HOLDS}{uuid4()}.json")


def _content(purpose: str, reason: str, lifetime: timedelta | None) -> bytes:
    seconds = None if lifetime is None else int(lifetime.total_seconds())
    return _Document(purpose=purpose, reason=reason, seconds=seconds).model_dump_json().encode()


def _require_there(storage: Storage, registry: str, backup_id: str) -> None:
    try:
        storage.stat(backup_key(registry, backup_id, layout.MANIFEST))
    except NotFoundError as error:
        raise NotFoundError(
            f"there is no backup {backup_id} of registry {registry!r}, or no longer",
            hint="`opskit backup list` shows what there is",
        ) from error


def _read(storage: Storage, stored: StoredObject) -> Hold:
    try:
        document = _Document.model_validate_json(gathered(storage.get(stored.key), _MAXIMUM_BYTES, stored.key))
    except NotFoundError:  # released at this moment
        return Hold(stored.key, "", "", stored.modified)
    except (OpskitError, ValueError):
        return Hold(stored.key, "", "", None)
    return Hold(stored.key, document.purpose, document.reason, _end(stored.modified, document.seconds))


def _end(begin: datetime, seconds: int | None) -> datetime | None:
    try:
        return None if seconds is None else begin + timedelta(seconds=seconds)
    except OverflowError:  # the store has a time near the end of the calendar
        return None
