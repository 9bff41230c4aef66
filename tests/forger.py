"""Stored backups as whoever can write the bucket may leave them: changed, and digests and manifest made to fit."""

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import zstandard

from opskit.backup.catalog import read_manifest
from opskit.backup.manifest import Manifest
from opskit.storage.directory import DirectoryStorage


class Forger:
    """Changes the backup in a folder; its files go by what follows the database in their names: `.t.00001`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.backup_id = folder.name
        self.storage = DirectoryStorage(folder.parents[1])
        self.database: str = self._document()["database"]["name"]

    def path(self, name: str) -> Path:
        return self.folder / f"{self.database}{name}.sql.zst"

    def text(self, name: str) -> bytes:
        return zstandard.ZstdDecompressor().decompressobj().decompress(self.path(name).read_bytes())

    def write(self, name: str, content: bytes) -> None:
        self.put(name, zstandard.ZstdCompressor().compress(content))

    def put(self, name: str, stored: bytes) -> None:
        path = self.path(name)
        path.write_bytes(stored)

        def fit(manifest: dict[str, Any]) -> None:
            entry = next(file for file in manifest["files"] if file["name"] == path.name)
            entry.update(bytes=len(stored), sha256=hashlib.sha256(stored).hexdigest())

        self.manifest(fit)

    def replace(self, name: str, old: bytes, new: bytes) -> None:
        text = self.text(name)
        assert old in text
        self.write(name, text.replace(old, new, 1))

    def manifest(self, change: Callable[[dict[str, Any]], object]) -> None:
        document = self._document()
        change(document)
        (self.folder / "manifest.json").write_text(json.dumps(document))

    def table(self, name: str, change: Callable[[dict[str, Any]], object]) -> None:
        self.manifest(lambda manifest: change(next(each for each in manifest["tables"] if each["name"] == name)))

    def forget(self, table: str) -> None:
        """Let there never have been this table."""

        def leave_out(manifest: dict[str, Any]) -> None:
            entry = next(each for each in manifest["tables"] if each["name"] == table)
            names = {entry["schema_file"], *(chunk["name"] for chunk in entry["chunks"])}
            manifest["tables"].remove(entry)
            manifest["files"] = [each for each in manifest["files"] if each["name"] not in names]
            for name in names:
                (self.folder / name).unlink()

        self.manifest(leave_out)

    def forged(self) -> Manifest:
        """The manifest as opskit reads it."""
        return read_manifest(self.storage, self.folder.parent.name, self.backup_id)

    def _document(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.folder / "manifest.json").read_text())
        return document
