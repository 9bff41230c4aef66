"""Deleting what retention lets go: the manifest first, so that no backup is left with a manifest and without data."""

import logging
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import MAXYEAR, UTC, datetime, timedelta

from opskit.artifacts.outdated import outdated
from opskit.backup import layout
from opskit.backup.catalog import Backup, folders, judge
from opskit.backup.holds import live_holds
from opskit.backup.manifest import backup_key
from opskit.backup.retention import Candidate, Policy, plan
from opskit.backup.stages import gathered
from opskit.errors import DeniedError, NotFoundError, ObjectExistsError, OpskitError, UnavailableError
from opskit.redaction import mask
from opskit.storage import Storage, StoredObject, UnfinishedUpload

logger = logging.getLogger(__name__)

# No backup runs for a day (backup.max_duration): what is older and has no manifest will never have one.
ABANDONED = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Failure:
    """What could not be read or deleted, and the exit code that stands for it."""

    message: str
    exit_code: int


@dataclass(slots=True)
class PruneReport:
    """What stays and why, and what went; in a dry run, what would go.

    `left` were to go when the run ended on a failure; the first of them may have lost its manifest. `locked` are keys
    that Object Lock protects, of backups whose other objects went. `expired_holds` are those that readers left who
    could not remove them, on backups that stay. `reports` are keys of old reports on artifacts.
    """

    registry: str
    storage: str
    applied: bool
    keep: dict[str, tuple[str, ...]]
    removed: list[str] = field(default_factory=list)
    debris: list[str] = field(default_factory=list)
    uploads: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    locked: list[str] = field(default_factory=list)
    expired_holds: list[str] = field(default_factory=list)
    reports: list[str] = field(default_factory=list)
    freed_bytes: int = 0
    failures: list[Failure] = field(default_factory=list)


def prune(
    storage: Storage,
    registry: str,
    policy: Policy,
    *,
    manifests: Storage | None = None,
    apply: bool = False,
    all_versions: bool = False,
    kept_elsewhere: Collection[str] = (),
    elsewhere: str = "another storage",
) -> PruneReport:
    """Delete the backups that the policy lets go, debris and abandoned uploads; without `apply`, only say which.

    Manifests are judged as `manifests` gives them out, where that is not `storage` itself: a storage that verifies
    signatures. What `kept_elsewhere` contains stays. A backup that cannot be judged is left as it is, and is among
    the failures; a store that fails while something is deleted ends the run, and that too is in the report. All ages
    are by the store's clock; a plan is by this machine's where the store cannot tell its own without being written.
    """
    now = _now(storage, apply=apply)
    found = folders(storage, registry)
    judged = {backup_id: judge(manifests or storage, registry, backup_id, each) for backup_id, each in found.items()}
    candidates = [
        _candidate(backup, now, elsewhere if backup.id in kept_elsewhere else None)
        for backup in judged.values()
        if backup.state != "unfinished"
    ]
    decided = plan(candidates, policy, now)
    report = PruneReport(registry, storage.url, apply, dict(decided.reasons))
    withheld = [error for each in judged.values() for error in (each.unreadable, each.verdict_error) if error]
    report.failures += [_failure(error) for error in withheld]
    run = _Run(storage, registry, now, report, all_versions=all_versions)
    try:
        for backup_id in decided.remove:
            run.remove(backup_id, judged[backup_id].stored_bytes)
        for backup_id, each in judged.items():
            if each.state == "unfinished":
                run.clear(backup_id)
        for backup_id in report.keep:
            run.tidy(judged[backup_id])
        for upload in _abandoned(storage.unfinished(f"{registry}/"), registry, now):
            run.abort(upload)
        run.drop(list(outdated(storage, registry, policy.keep_reports, now)))
    except OpskitError as error:
        report.failures.append(_failure(error))
        report.left += [each for each in decided.remove if each not in report.removed and each not in report.keep]
    return report


def _now(storage: Storage, *, apply: bool) -> datetime:
    try:
        return storage.now()
    except DeniedError:
        if apply:
            raise
        return datetime.now(UTC)


def not_pruned(storage: Storage, registry: str, error: OpskitError) -> PruneReport:
    """Report a storage that could not even be looked at."""
    return PruneReport(registry, storage.url, applied=False, keep={}, failures=[_failure(error)])


def _candidate(backup: Backup, now: datetime, elsewhere: str | None) -> Candidate:
    holds = [each for each in backup.holds if not each.has_ended(now)]
    pinned = str(holds[0]) if holds else elsewhere and f"kept in {elsewhere}"
    # As its id has it, so that the newest here is what `latest` means: two can be of one second.
    time = layout.backup_time(backup.id)
    # Backups from before signing, or of a key that was taken out too early, must not go as if they were damaged.
    if backup.state == "unreadable" or backup.untrusted:
        return Candidate(backup.id, time, "unknown", pinned=pinned)
    if backup.state == "damaged" or backup.rehearsal == "failed":
        return Candidate(backup.id, time, "bad", pinned=pinned)
    # It may be the newest one that was rehearsed, and it may have failed.
    if backup.rehearsal == "unreadable":
        return Candidate(backup.id, time, "unknown", pinned=pinned)
    return Candidate(backup.id, time, rehearsed=backup.rehearsal == "passed", pinned=pinned)


def _failure(error: OpskitError) -> Failure:
    return Failure(mask(error.told), error.exit_code)


def _abandoned(uploads: Iterable[UnfinishedUpload], registry: str, now: datetime) -> Iterator[UnfinishedUpload]:
    for upload in uploads:
        backup_id, _, name = upload.key.removeprefix(f"{registry}/").partition("/")
        if layout.is_backup_id(backup_id) and layout.is_file_name(name) and now - upload.started > ABANDONED:
            yield upload


@dataclass(frozen=True, slots=True)
class _Run:
    """Carries a plan out, or only looks, one backup at a time; what happens goes into the report."""

    storage: Storage
    registry: str
    now: datetime
    report: PruneReport
    all_versions: bool

    def remove(self, backup_id: str, size: int) -> None:
        """Delete a backup, unless something turns up that keeps it."""
        manifest = backup_key(self.registry, backup_id, layout.MANIFEST)
        try:
            stays = self._why_not(backup_id, manifest) or (self.report.applied and self._delete(backup_id, manifest))
        except NotFoundError:
            logger.warning("backup %s is gone already: somebody else prunes", backup_id)
            return
        if stays:
            self.report.keep[backup_id] = (stays,)
            return
        self.report.removed.append(backup_id)
        self.report.freed_bytes += size

    def clear(self, backup_id: str) -> None:
        """Delete a folder without a manifest, if it is debris."""
        objects = self._list(backup_id)
        ours = [each for each in objects if self._is_ours(each.key)]
        if not ours or self.now - max(each.modified for each in objects) <= ABANDONED:
            return
        if live_holds(self.storage, objects, self.now) or not self._manifest_is_missing(backup_id):
            return
        if self.report.applied:
            self._delete_rest(backup_id, ours)
        self.report.debris.append(backup_id)
        self.report.freed_bytes += sum(each.size for each in ours)

    def tidy(self, backup: Backup) -> None:
        """Delete the holds of a backup that have ended."""
        ended = [each.key for each in backup.holds if each.has_ended(self.now)]
        if self.report.applied and ended:
            self.storage.delete(ended)
        self.report.expired_holds += ended

    def abort(self, upload: UnfinishedUpload) -> None:
        """Drop an abandoned upload."""
        if self.report.applied:
            self.storage.abort(upload)
        self.report.uploads.append(upload.key)

    def drop(self, reports: Collection[StoredObject]) -> None:
        """Delete reports on artifacts that are too old."""
        keys = {each.key for each in reports}
        if self.report.applied and self.all_versions:
            self.report.locked += self.storage.erase(f"{self.registry}/artifact", keys.__contains__)
        elif self.report.applied:
            self.storage.delete(sorted(keys))
        self.report.reports += sorted(keys)
        self.report.freed_bytes += sum(each.size for each in reports)

    def _why_not(self, backup_id: str, manifest: str) -> str | None:
        """Return what keeps a backup at this moment, however long ago the plan was made."""
        if holds := live_holds(self.storage, self._list(backup_id, layout.HOLDS), self.now):
            return str(holds[0])
        locked_until = self.storage.stat(manifest).locked_until
        if locked_until is None:
            return None
        forever = locked_until.year == MAXYEAR
        return f"locked in the store{'' if forever else f' until {locked_until:%Y-%m-%d %H:%M} UTC'}"

    def _delete(self, backup_id: str, manifest: str) -> str | None:
        """Delete the manifest, look for holds, delete the rest; return what kept the backup all the same."""
        content = gathered(self.storage.get(manifest), layout.MANIFEST_MAXIMUM_BYTES, manifest)
        try:
            left = self._without(manifest, backup_id)
            holds = live_holds(self.storage, left, self.now)
            if holds:
                # Whoever placed it may not have seen that the manifest was gone for a moment.
                self._put_back(manifest, content)
        except BaseException:
            # Nothing else is gone yet, and there may be a hold that was not seen.
            try:
                self._put_back(manifest, content)
            except OpskitError as error:
                logger.warning("%s could not be put back: %s", manifest, error)
            raise
        if holds:
            return str(holds[0])
        self._delete_rest(backup_id, [each for each in left if self._is_ours(each.key)])
        return None

    def _without(self, manifest: str, backup_id: str) -> list[StoredObject]:
        """Delete the manifest, and return what is left beside it."""
        self.storage.delete([manifest])
        left = self._list(backup_id)
        if any(each.key == manifest for each in left):
            raise UnavailableError(f"the store says that it deleted {manifest}, and lists it yet")
        return left

    def _put_back(self, manifest: str, content: bytes) -> None:
        try:
            self.storage.put(manifest, [content], if_absent=True)
        except ObjectExistsError:
            logger.debug("%s is back already", manifest)

    def _delete_rest(self, backup_id: str, objects: list[StoredObject]) -> None:
        if self.all_versions:
            self.report.locked += self.storage.erase(backup_key(self.registry, backup_id, ""), self._is_ours)
        else:
            self.storage.delete([each.key for each in objects])

    def _manifest_is_missing(self, backup_id: str) -> bool:
        """Ask for the manifest itself: no listing alone makes a backup debris."""
        try:
            next(iter(self.storage.get(backup_key(self.registry, backup_id, layout.MANIFEST))), b"")
        except NotFoundError:
            return True
        return False

    def _list(self, backup_id: str, below: str = "") -> list[StoredObject]:
        return list(self.storage.list(backup_key(self.registry, backup_id, below)))

    def _is_ours(self, key: str) -> bool:
        """Tell what opskit writes from what somebody else put into the folder of a backup."""
        return layout.is_file_name(key.removeprefix(f"{self.registry}/").partition("/")[2])
