"""The newest good backup: whether there is one, and how old it is."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from opskit.amounts import human_age, human_size
from opskit.backup.catalog import Backup, newest_backups
from opskit.backup.layout import is_fresh, is_from_the_future
from opskit.backup.manifest import Manifest
from opskit.probe.result import Finding, State
from opskit.storage import Storage


def check(storage: Storage, registry: str, max_age: timedelta, now: datetime) -> Iterator[Finding]:
    """Find the newest complete backup, and name those that are damaged, cannot be read, or are from the future."""
    for backup in newest_backups(storage, registry):
        if backup.state == "complete" and is_from_the_future(backup.id, now):
            yield _from_the_future(backup)
        elif backup.state == "complete" and backup.manifest is not None:
            yield _judged(backup.manifest, max_age, now)
            return
        elif backup.unreadable is not None:
            said = f"backup {backup.id} cannot be read: {backup.unreadable.message}"
            yield Finding(State.UNKNOWN, said, backup.unreadable.hint)
        elif backup.state == "damaged":
            yield _damaged(backup)
    yield Finding(State.CRITICAL, "there is no complete backup", "take one: opskit backup create")


def _judged(manifest: Manifest, max_age: timedelta, now: datetime) -> Finding:
    age = now - manifest.snapshot.time
    return Finding(
        State.OK if is_fresh(age, max_age) else State.CRITICAL,
        f"backup {manifest.id}, {human_age(manifest.snapshot.time, now)}:"
        f" {manifest.rows:,} rows in {human_size(manifest.stored_bytes)}",
        "the promise is probe.backup_max_age: take one with opskit backup create, and look why the job did not",
        values={
            "backup_timestamp_seconds": manifest.snapshot.time.timestamp(),
            "backup_rows": manifest.rows,
            "backup_bytes": manifest.stored_bytes,
        },
    )


def _damaged(backup: Backup) -> Finding:
    return Finding(
        State.CRITICAL,
        f"backup {backup.id} is damaged: {'; '.join(backup.problems)}",
        "take another at once, and find out who changed it",
    )


def _from_the_future(backup: Backup) -> Finding:
    return Finding(
        State.CRITICAL,
        f"backup {backup.id} is from the future",
        "find out which clock is wrong, or who put it there; neither latest nor prune takes it for the newest",
    )
