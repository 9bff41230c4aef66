"""Copies of backups in further storages: what is missing is copied, read again and compared, the manifest last."""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field

from opskit.backup import layout
from opskit.backup.catalog import Folder, folders, read_stored_manifest
from opskit.backup.check import counted, read_file
from opskit.backup.commit import put_manifest, require_complete
from opskit.backup.holds import held
from opskit.backup.manifest import File, Manifest, backup_key
from opskit.backup.stages import gathered
from opskit.errors import CorruptError, NotFoundError, OpskitError, RefusedError
from opskit.progress import NoProgress, Progress
from opskit.redaction import mask
from opskit.storage import Storage
from opskit.workers import Stop, run


@dataclass(slots=True)
class CopyReport:
    """What was copied into a storage, and what could not be; problems are findings, the backups themselves stand."""

    storage: str
    copied: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)


def complete_copies(
    source: Storage,
    target: Storage,
    registry: str,
    *,
    manifests: Storage | None = None,
    workers: int = 4,
    progress: Progress = NoProgress(),
) -> CopyReport:
    """Copy every backup of the registry that `target` lacks, or has in part, the oldest first.

    Bytes are copied as they are stored, with every side file; holds alone stay where they are. The
    manifests are read through `manifests`, where that is not `source` itself: a storage that verifies signatures. A
    backup that cannot be copied does not stop the others; a store that fails does.
    """
    report = CopyReport(target.url)
    try:
        there = folders(target, registry)
        for backup_id, folder in folders(source, registry).items():
            copied = there.get(backup_id, Folder())
            missing = _missing(folder, copied)
            if not missing or layout.MANIFEST not in folder.objects:
                continue
            try:
                with held(source, registry, backup_id, "copy"):
                    content, manifest = read_stored_manifest(manifests or source, registry, backup_id)
                    work = _Copy(source, target, manifest, content, copied, workers, progress)
                    work.complete(missing)
            except (CorruptError, NotFoundError, RefusedError) as error:
                report.problems.append(mask(f"backup {backup_id}: {error.message}"))
            else:
                report.copied += [backup_id] if work.written else []
    except OpskitError as error:
        report.problems.append(mask(error.told))
    return report


def _missing(folder: Folder, there: Folder) -> set[str]:
    """Return the names of what is to be copied and is not there in its size."""
    return {
        name
        for name, stored in folder.objects.items()
        if layout.is_file_name(name)
        and not name.startswith(layout.HOLDS)
        and (name not in there.objects or there.objects[name].size != stored.size)
    }


@dataclass(frozen=True, slots=True)
class _Copy:
    """One backup on its way into another storage."""

    source: Storage
    target: Storage
    manifest: Manifest
    content: bytes
    copied: Folder
    workers: int
    progress: Progress
    written: list[str] = field(default_factory=list)

    def complete(self, missing: set[str]) -> None:
        """Copy what is missing and commit; without a manifest there, what is there already is read and compared too."""
        committed = layout.MANIFEST in self.copied.objects
        if committed and self._side_file(self.target, layout.MANIFEST) != self.content:
            raise RefusedError(f"another manifest stands in {self.target.url}")
        files = [file for file in self.manifest.files if not committed or file.name in missing]
        self.progress.phase("copy", sum(file.bytes for file in files), "bytes")
        stop = Stop()
        with stop:
            run(
                files,
                range(self.workers),
                lambda _, file: self._copy(file, stop, there=file.name in self.copied.objects),
                stop,
            )
        named = {file.name for file in self.manifest.files}
        for name in sorted(missing - named - {layout.MANIFEST}):
            self._copy_side_file(name)
        require_complete(self.target, self.manifest)
        if not committed:
            put_manifest(self.target, self.manifest, self.content)
            self.written.append(layout.MANIFEST)

    def _key(self, name: str) -> str:
        return backup_key(self.manifest.registry, self.manifest.id, name)

    def _copy(self, file: File, stop: Stop, *, there: bool) -> None:
        if there and self._is_equal(file):
            self.progress.advance(file.bytes)
            return
        stored = counted(read_file(self.source, self.manifest, file), self.progress)
        self.target.put(self._key(file.name), _until(stop, stored))
        self.written.append(file.name)
        if not self._is_equal(file):
            raise CorruptError(f"{file.name} is not in {self.target.url} what was written")

    def _is_equal(self, file: File) -> bool:
        try:
            deque(read_file(self.target, self.manifest, file), maxlen=0)
        except CorruptError:
            return False
        return True

    def _copy_side_file(self, name: str) -> None:
        content = self._side_file(self.source, name)
        self.target.put(self._key(name), [content])
        self.written.append(name)
        if self._side_file(self.target, name) != content:
            raise CorruptError(f"{name} is not in {self.target.url} what was written")

    def _side_file(self, storage: Storage, name: str) -> bytes:
        return gathered(storage.get(self._key(name)), layout.MANIFEST_MAXIMUM_BYTES, name)


def _until(stop: Stop, pieces: Iterator[bytes]) -> Iterator[bytes]:
    for piece in pieces:
        stop.check()
        yield piece
