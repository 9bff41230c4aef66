"""What is said of one artifact."""

from dataclasses import dataclass
from typing import Final, Literal

Verdict = Literal[
    "present",
    "missing",
    "empty",
    "deleted",
    "sibling-only",
    "bucket-missing",
    "archived-tier",
    "denied",
    "unreachable",
    "endpoint-not-allowed",
    "malformed",
    "unsupported",
]
VERDICTS: Final[tuple[Verdict, ...]] = (
    "present",
    "missing",
    "empty",
    "deleted",
    "sibling-only",
    "bucket-missing",
    "archived-tier",
    "denied",
    "unreachable",
    "endpoint-not-allowed",
    "malformed",
    "unsupported",
)
# The bytes are not there: a deployment would fail.
GONE: Final = frozenset[Verdict]({"missing", "empty", "deleted", "sibling-only", "bucket-missing"})
# Nobody could tell.
UNKNOWN: Final = frozenset[Verdict]({"denied", "unreachable"})


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What the bytes are known by, without reading them.

    `scope` tells of what: one `object`, the `first` object of a folder, or the `whole` folder. `tag` is the ETag (or
    what stands for one), of a whole folder a digest of all names, ETags and sizes; `modified` is ISO 8601 in UTC.
    """

    scope: Literal["object", "first", "whole"]
    tag: str
    size: int | None = None
    objects: int = 1
    modified: str | None = None
    version_id: str | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """One verdict, why, and what is known of the bytes; `failures` and `warnings` are of the layout."""

    verdict: Verdict
    detail: str = ""
    fingerprint: Fingerprint | None = None
    failures: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()

    @property
    def gone(self) -> bool:
        """Whether the bytes are known not to be there."""
        return self.verdict in GONE
