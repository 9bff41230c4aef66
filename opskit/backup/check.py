"""Re-reading a backup: every object must still be the bytes that were written."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from opskit.backup.catalog import list_backups
from opskit.backup.encryption import Identities, opened
from opskit.backup.holds import held
from opskit.backup.manifest import File, Manifest, backup_key
from opskit.backup.stages import Digest, decompressed
from opskit.errors import CorruptError, NotFoundError
from opskit.progress import NoProgress, Progress
from opskit.storage import Storage
from opskit.workers import Stop, run


@dataclass(frozen=True, slots=True)
class CheckReport:
    """What was read, and what was wrong with it; `looked_inside` unless it is encrypted and no identity was at hand."""

    registry: str
    backup_id: str
    files: int
    bytes: int
    problems: tuple[str, ...]
    looked_inside: bool = True


def check_backup(
    storage: Storage,
    manifest: Manifest,
    *,
    identities: Identities | None = None,
    workers: int = 4,
    progress: Progress = NoProgress(),
) -> CheckReport:
    """Read every object of the backup, compare its size and SHA-256 with the manifest, and unpack it.

    What is encrypted is only unpacked with an identity; `DeniedError` if that is not one of its recipients.
    """
    problems: list[str] = []
    can_look_inside = identities is not None or not manifest.recipients

    def look(_: int, file: File) -> None:
        try:
            stored = counted(read_file(storage, manifest, file), progress)
            if can_look_inside:
                stored = decompressed(opened(stored, manifest.recipients, identities))
            deque(stored, maxlen=0)
        except (CorruptError, NotFoundError) as error:
            # What unpacks a file does not know its name.
            named = error.message if file.name in error.message else f"{file.name}: {error.message}"
            problems.append(named)

    progress.phase("check", manifest.stored_bytes, "bytes")
    with held(storage, manifest.registry, manifest.id, "check"):
        run(manifest.files, range(workers), look, Stop())
    return CheckReport(
        registry=manifest.registry,
        backup_id=manifest.id,
        files=len(manifest.files),
        bytes=manifest.stored_bytes,
        problems=tuple(sorted(problems)),
        looked_inside=can_look_inside,
    )


def check_all(
    storage: Storage,
    registry: str,
    *,
    identities: Identities | None = None,
    workers: int = 4,
    progress: Progress = NoProgress(),
) -> list[CheckReport]:
    """Check every backup of the registry that has a manifest.

    When all were read, `CorruptError` names those that are damaged; else the error of one whose manifest the store
    does not give is raised: of that one nothing is known.
    """
    reports, unreadable = [], []
    for backup in list_backups(storage, registry):
        if backup.unreadable is not None:
            unreadable.append(backup.unreadable)
        elif backup.manifest is not None:
            checked = check_backup(storage, backup.manifest, identities=identities, workers=workers, progress=progress)
            reports.append(checked)
        elif backup.problems:
            reports.append(CheckReport(registry, backup.id, 0, 0, backup.problems))
    require_intact(reports)
    if unreadable:
        raise unreadable[0]
    return reports


def require_intact(reports: Iterable[CheckReport]) -> None:
    """Raise `CorruptError` that names every backup with a problem."""
    damaged = [f"backup {each.backup_id} is damaged: {', '.join(each.problems)}" for each in reports if each.problems]
    if damaged:
        raise CorruptError("; ".join(damaged), hint="restore from another backup, and find out what changed the bucket")


def counted(pieces: Iterable[bytes], progress: Progress) -> Iterator[bytes]:
    """Yield what comes, and tell how much it was."""
    for piece in pieces:
        progress.advance(len(piece))
        yield piece


def read_file(storage: Storage, manifest: Manifest, file: File) -> Iterator[bytes]:
    """Yield the stored bytes of one file; `CorruptError` at the end if they are not those of the manifest."""
    digest = Digest()
    try:
        yield from digest.observe(
            _no_longer_than(file, storage.get(backup_key(manifest.registry, manifest.id, file.name)))
        )
    except NotFoundError:
        raise CorruptError(f"{file.name} is missing") from None
    if digest.size != file.bytes:
        raise CorruptError(f"{file.name} has {digest.size} bytes instead of {file.bytes}")
    if digest.sha256 != file.sha256:
        raise CorruptError(f"{file.name} is damaged: its SHA-256 is not that of the manifest")


def _no_longer_than(file: File, source: Iterable[bytes]) -> Iterator[bytes]:
    size = 0
    for piece in source:
        size += len(piece)
        if size > file.bytes:
            raise CorruptError(f"{file.name} is longer than its {file.bytes} bytes")
        yield piece
