"""Backups made without a server: as small as a valid one can be, and as many as a test wants."""

import hashlib
import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import zstandard

from opskit.backup import layout
from opskit.backup.manifest import Database, File, Manifest, Snapshot, backup_key, dump_manifest
from opskit.storage import Storage

CONTENT = zstandard.compress(b"the content of a file")
NOON = datetime(2026, 11, 20, 12, tzinfo=UTC)


def backup_id(time: datetime, number: int = 0) -> str:
    return f"{time:%Y%m%dT%H%M%SZ}-{number:06x}"


def manifest_of(registry: str, time: datetime, number: int = 0, database: str = "db") -> Manifest:
    """A manifest of an empty database: its one file is that with CREATE DATABASE."""
    return Manifest(
        format=1,
        id=backup_id(time, number),
        registry=registry,
        opskit_version="0",
        finished=time,
        database=Database(
            name=database, product="MySQL", server_version="9", charset="utf8mb4", collation="x", flavour="unknown"
        ),
        snapshot=Snapshot(time=time, consistency="instance", consistency_wanted="instance"),
        digest_algorithm="x",
        restore_order=(),
        largest_statement=0,
        tables=(),
        files=(
            File(
                name=layout.schema_create_name(database), bytes=len(CONTENT), sha256=hashlib.sha256(CONTENT).hexdigest()
            ),
        ),
    )


def write_backup(storage: Storage, registry: str, time: datetime, number: int = 0) -> str:
    """Store a complete backup and return its id."""
    manifest = manifest_of(registry, time, number)
    for file in manifest.files:
        storage.put(backup_key(registry, manifest.id, file.name), [CONTENT])
    storage.put(backup_key(registry, manifest.id, layout.MANIFEST), [dump_manifest(manifest)])
    return manifest.id


def write_days(storage: Storage, registry: str, days: int, newest: datetime = NOON) -> list[str]:
    """Store a backup a day; the newest is the first in the list."""
    return [write_backup(storage, registry, newest - timedelta(days=day)) for day in range(days)]


def write_files(root: Path, registry: str, days: int) -> list[str]:
    """Write a backup a day as files, thousands in a moment; the newest is the first in the list."""
    ids = []
    for day in range(days):
        manifest = manifest_of(registry, NOON - timedelta(days=day))
        folder = root / registry / manifest.id
        folder.mkdir(parents=True)
        (folder / manifest.files[0].name).write_bytes(CONTENT)
        (folder / layout.MANIFEST).write_bytes(dump_manifest(manifest))
        ids.append(manifest.id)
    return ids


def write_rehearsal(storage: Storage, registry: str, backup_id: str, verdict: str) -> None:
    key = backup_key(registry, backup_id, f"{layout.REHEARSALS}20261124T000000000000Z.json")
    storage.put(key, [json.dumps({"verdict": verdict}).encode()])


def keys(storage: Storage) -> set[str]:
    """Everything that is stored."""
    return {each.key for each in storage.list()}


def keys_of(registry: str, backups: Iterable[str]) -> set[str]:
    """What complete backups consist of."""
    names = (layout.schema_create_name("db"), layout.MANIFEST)
    return {backup_key(registry, each, name) for each in backups for name in names}


def raw_tree(root: Path) -> set[str]:
    """Every file below a directory, whatever its name."""
    return {str(each.relative_to(root)) for each in root.rglob("*") if not each.is_dir()}
