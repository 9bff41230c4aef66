"""The backups of a registry, as storage shows them."""

import json
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from opskit.backup import layout
from opskit.backup.holds import Hold, read_holds
from opskit.backup.manifest import Manifest, backup_key, load_manifest
from opskit.backup.stages import gathered
from opskit.errors import CorruptError, NotFoundError, OpskitError, UntrustedError, UsageError
from opskit.storage import Storage, StoredObject

logger = logging.getLogger(__name__)

_LIST = "`opskit backup list` shows what there is"
STATES: Final = ("complete", "damaged", "unreadable", "unfinished")
VERDICT_MAXIMUM_BYTES: Final = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Backup:
    """One folder whose name is a backup id: complete, damaged (and how), unreadable (and why), or without a manifest.

    `rehearsal` is the newest verdict: `passed`, `failed`, or `unreadable`; None if it was never rehearsed.
    `verdict_error` is why the store does not give it, which says nothing against the backup. `holds` are all that lie
    beside it; some may have ended.
    An `untrusted` one, which no trusted key has signed, is damaged for whoever would restore it.
    """

    id: str
    manifest: Manifest | None
    problems: tuple[str, ...]
    stored_bytes: int
    modified: datetime
    rehearsal: str | None = None
    unreadable: OpskitError | None = None
    untrusted: bool = False
    holds: tuple[Hold, ...] = ()
    verdict_error: OpskitError | None = None

    @property
    def state(self) -> str:
        """`complete`, `damaged`, `unreadable` where it cannot be told, or `unfinished` without a manifest."""
        if self.unreadable is not None:
            return "unreadable"
        if self.manifest is None and not self.problems:
            return "unfinished"
        return "damaged" if self.problems else "complete"


@dataclass(slots=True)
class Folder:
    """The objects of one backup, by their names in its folder."""

    objects: dict[str, StoredObject] = field(default_factory=dict)


def list_backups(storage: Storage, registry: str) -> list[Backup]:
    """Return every backup of the registry, the oldest first; what is damaged is marked, not hidden."""
    return [judge(storage, registry, backup_id, folder) for backup_id, folder in folders(storage, registry).items()]


def newest_backups(storage: Storage, registry: str) -> Iterator[Backup]:
    """Yield the backups of the registry, the newest first; a manifest is read when its backup is wanted."""
    for backup_id, folder in reversed(folders(storage, registry).items()):
        yield judge(storage, registry, backup_id, folder)


def newest_complete(storage: Storage, registry: str) -> Manifest | None:
    """Return the manifest of the newest backup that is complete and not from the future, None where there is none."""
    found = folders(storage, registry)
    newest = (judge(storage, registry, each, found[each]) for each in reversed(_up_to_now(found)))
    return next((each.manifest for each in newest if each.state == "complete"), None)


def folders(storage: Storage, registry: str) -> dict[str, Folder]:
    """Return every folder whose name is a backup id, the oldest first, from one complete listing."""
    found: dict[str, Folder] = {}
    for stored in storage.list(f"{registry}/"):
        backup_id, _, name = stored.key.removeprefix(f"{registry}/").partition("/")
        if name and layout.is_backup_id(backup_id):
            found.setdefault(backup_id, Folder()).objects[name] = stored
    return dict(sorted(found.items()))


def _up_to_now(found: dict[str, Folder]) -> list[str]:
    """Return the ids of those with a manifest, the oldest first; those from the future are named in a warning instead.

    A forged id, or a clock that was wrong, must not choose what is restored. The clock is that of this machine: to ask
    a directory for its own is to write there, which a restore need not be allowed to.
    """
    now = datetime.now(UTC)
    committed = [backup_id for backup_id, folder in found.items() if layout.MANIFEST in folder.objects]
    future = [backup_id for backup_id in committed if layout.is_from_the_future(backup_id, now)]
    if future:
        logger.warning("passed over, for they are from the future: %s; a clock was wrong", ", ".join(future))
    return [backup_id for backup_id in committed if backup_id not in future]


def judge(storage: Storage, registry: str, backup_id: str, folder: Folder) -> Backup:
    """Read the manifest of one folder, and compare it with the listing; what cannot be told is marked."""
    manifest, problems, unreadable, untrusted = None, [], None, False
    if layout.MANIFEST in folder.objects:
        try:
            manifest = read_manifest(storage, registry, backup_id)
        except (CorruptError, NotFoundError) as error:
            problems.append(error.message)
            untrusted = isinstance(error, UntrustedError)
        except OpskitError as error:
            # The store refuses it, or does not answer, or a newer opskit wrote it: nothing is known to be wrong.
            # Its frames hold what was read, and would for as long as the backup is listed.
            unreadable = error.with_traceback(None)
            problems.append(error.message)
        else:
            problems += _missing(manifest, folder)
    verdict, verdict_error = _newest_verdict(storage, registry, backup_id, folder)
    return Backup(
        id=backup_id,
        manifest=manifest,
        problems=tuple(problems),
        stored_bytes=sum(stored.size for stored in folder.objects.values()),
        modified=max(stored.modified for stored in folder.objects.values()),
        rehearsal=verdict,
        verdict_error=verdict_error,
        unreadable=unreadable,
        untrusted=untrusted,
        holds=tuple(read_holds(storage, folder.objects.values())),
    )


def _newest_verdict(
    storage: Storage, registry: str, backup_id: str, folder: Folder
) -> tuple[str | None, OpskitError | None]:
    """Return what the newest rehearsal said, None if there was none, and what the store says where it refuses that."""
    names = [name for name in folder.objects if name.startswith(layout.REHEARSALS)]
    if not names:
        return None, None
    try:
        key = backup_key(registry, backup_id, max(names))
        document = json.loads(gathered(storage.get(key), VERDICT_MAXIMUM_BYTES, key))
    except (CorruptError, NotFoundError, ValueError, RecursionError):
        return "unreadable", None
    except OpskitError as error:
        return "unreadable", error
    verdict = document.get("verdict") if isinstance(document, dict) else None
    return (verdict if verdict in ("passed", "failed") else "unreadable"), None


def _missing(manifest: Manifest, folder: Folder) -> Iterator[str]:
    for file in manifest.files:
        stored = folder.objects.get(file.name)
        if stored is None:
            yield f"{file.name} is missing"
        elif stored.size != file.bytes:
            yield f"{file.name} has {stored.size} bytes instead of {file.bytes}"


def read_manifest(storage: Storage, registry: str, backup_id: str) -> Manifest:
    """Read one manifest; `NotFoundError` if the backup has none."""
    return read_stored_manifest(storage, registry, backup_id)[1]


def read_stored_manifest(storage: Storage, registry: str, backup_id: str) -> tuple[bytes, Manifest]:
    """Read one manifest, and return its bytes as they are stored beside it: a signature covers these."""
    key = backup_key(registry, backup_id, layout.MANIFEST)
    try:
        content = gathered(storage.get(key), layout.MANIFEST_MAXIMUM_BYTES, f"the manifest of {backup_id}")
    except NotFoundError as error:
        raise NotFoundError(f"there is no backup {backup_id} of registry {registry!r}", hint=_LIST) from error
    manifest = load_manifest(content, backup_id)
    if manifest.registry != registry:
        raise CorruptError(f"backup {backup_id} is of registry {manifest.registry!r}, not of {registry!r}")
    return content, manifest


def find(storage: Storage, registry: str, reference: str) -> Manifest:
    """Return the manifest of the backup that `reference` means: an id, a unique prefix of one, or `latest`.

    Only folders with a manifest count, and for `latest` none that is from the future. `NotFoundError` if there is none,
    `UsageError` if there are several.
    """
    return read_manifest(storage, registry, resolve(storage, registry, reference))


def resolve(storage: Storage, registry: str, reference: str) -> str:
    """Return the id that `reference` means, as `find` does, without reading a manifest.

    A whole id is returned as it is: whether there is such a backup is not asked.
    """
    if not reference:
        raise UsageError("no backup is named", hint="give an id, a prefix of one, or latest")
    if layout.is_backup_id(reference):
        return reference
    found = folders(storage, registry)
    if reference == "latest":
        matches = _up_to_now(found)[-1:]
    else:
        matches = [id_ for id_, each in found.items() if layout.MANIFEST in each.objects and id_.startswith(reference)]
    if not matches:
        wanted = "any backup" if reference == "latest" else f"a backup {reference!r}"
        raise NotFoundError(
            f"registry {registry!r} does not have {wanted} in {storage.url}",
            hint=_LIST,
        )
    if len(matches) > 1:
        raise UsageError(
            f"{reference!r} could be any of {len(matches)} backups: {', '.join(matches[:4])}",
            hint="give more of the id",
        )
    return matches[0]
