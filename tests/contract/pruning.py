"""A prune of one registry, and what lies around that is not its business."""

from collections.abc import Iterable, Iterator
from datetime import timedelta

from opskit.backup.prune import PruneReport, prune
from opskit.backup.retention import Policy
from opskit.storage import Storage
from tests.backups import (
    NOON,
    backup_id,
)
from tests.faulty import FaultyStorage

LAST_TWO = Policy(keep_last=2)
A_DAY_LATER = timedelta(hours=24, minutes=1)


def run(storage: Storage, policy: Policy = LAST_TWO, *, apply: bool = True, all_versions: bool = False) -> PruneReport:
    return prune(storage, "reg", policy, apply=apply, all_versions=all_versions)


def everything_else(storage: Storage) -> set[str]:
    """Store what is not ours, or not of this registry, and return its keys."""
    one = backup_id(NOON - timedelta(days=100))
    strange = {
        "reg/notes.txt",
        f"reg/{one}-old/manifest.json",
        f"reg/{one}.bak/db-schema-create.sql.zst",
        f"reg/{one[:-1]}/db-schema-create.sql.zst",
        f"reg/x{one}/db-schema-create.sql.zst",
        "reg/20269999T999999Z-000000/db-schema-create.sql.zst",
        "reg/artifacts/20261120T000000Z.json",
        "reg/20261010T101010Z-00000a",
        "reg/20261010T101010Z-00000b/NOTES.txt",
        "reg/20261010T101010Z-00000c/models/model.onnx",
        f"reg2/{one}/db-schema-create.sql.zst",
        f"reg-other/{one}/manifest.json",
        f"{one}/db-schema-create.sql.zst",
        f"other/reg/{one}/db-schema-create.sql.zst",
        "models/reg/model.onnx",
    }
    for key in strange:
        storage.put(key, [b"not opskit's"])
    return strange


class Between(FaultyStorage):
    """A storage where something happens just before, or just after, the first delete."""

    def __init__(self, inner: Storage, before: Iterator[None], after: Iterator[None]) -> None:
        super().__init__(inner)
        self.before, self.after = before, after

    def delete(self, keys: Iterable[str]) -> None:
        next(self.before, None)
        self.inner.delete(keys)
        next(self.after, None)
