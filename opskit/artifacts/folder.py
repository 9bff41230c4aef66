"""What is learned of a folder while its objects go by, in the order of their keys."""

import hashlib
from dataclasses import dataclass, field
from typing import Literal

from opskit.artifacts.bucket import Stored
from opskit.artifacts.layout import judge_layout
from opskit.artifacts.verdict import Fingerprint

# A folder with more is no model: it is known to be there, and is not read to its end.
LARGEST = 10_000
_ARCHIVED_REMEMBERED = 20


@dataclass(slots=True)
class Folder:
    """The objects below one prefix that went by so far; with `whole` each of them counts, else the first live one."""

    prefix: str
    whole: bool
    first: Stored | None = None
    objects: int = 0
    size: int = 0
    modified: str = ""
    files: list[tuple[str, int]] = field(default_factory=list)
    archived: list[str] = field(default_factory=list)
    _digest: "hashlib._Hash | None" = None

    def add(self, stored: Stored) -> None:
        """Take the next object."""
        self.objects += 1
        if self.first is None and stored.live:
            self.first = stored
        if stored.archived and len(self.archived) < _ARCHIVED_REMEMBERED:
            self.archived.append(stored.key)
        if self.whole and not stored.key.endswith("/"):
            name = stored.key.removeprefix(self.prefix)
            self.files.append((name, stored.size))
            self.size += stored.size
            self.modified = max(self.modified, stored.modified)
            self._digest = self._digest or hashlib.sha256()
            self._digest.update(f"{name}\0{stored.etag}\0{stored.size}\n".encode(errors="surrogateescape"))

    @property
    def too_large(self) -> bool:
        """Whether it has more objects than are read."""
        return self.objects >= LARGEST

    @property
    def settled(self) -> bool:
        """Whether nothing that follows would change what is said of it."""
        return self.first is not None and (not self.whole or self.too_large)

    def fingerprint(self, first: Stored) -> Fingerprint:
        """Return what the folder is known by: all of it where it was read to its end, else its first live object."""
        if self._digest is None or self.too_large:
            return fingerprint_of(first, "first")
        return Fingerprint("whole", self._digest.hexdigest()[:32], self.size, len(self.files), self.modified)

    def judge(self, format_name: str, path: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return what stops it from being served, and what is unusual: that it was not read to its end, say."""
        if self.too_large:
            return (), (f"{LARGEST:,} objects and more: the layout was not judged",)
        return judge_layout(format_name, path, self.files, single=False)


def fingerprint_of(stored: Stored, scope: Literal["object", "first"] = "object") -> Fingerprint:
    """Return what one object is known by."""
    return Fingerprint(
        scope,
        stored.etag,
        stored.size,
        1,
        stored.modified,
        stored.version_id,
    )
