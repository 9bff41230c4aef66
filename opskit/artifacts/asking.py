"""One location, asked for by itself: what is said of it counts, whatever a listing of others has shown.

The rules are KServe's (kserve_storage.py): an object of that very name, else every object below it; empty objects and
markers of folders do not count. KServe takes any key that starts with the path, though: `models/foo` also loads
`models/foobar/x`. Where nothing but such a sibling is there, that is said.
"""

from collections.abc import Iterable

from opskit.artifacts.addresses import ForbiddenAddressError
from opskit.artifacts.bucket import Absent, Bucket, BucketMissingError, Stored
from opskit.artifacts.existence import Proof
from opskit.artifacts.folder import Folder, fingerprint_of
from opskit.artifacts.layout import judge_layout
from opskit.artifacts.uri import S3Location
from opskit.artifacts.verdict import Finding
from opskit.errors import DeniedError, OpskitError


def look(bucket: Bucket, location: S3Location, *, whole: bool = False) -> Proof | Finding:
    """Return what is there, or the verdict if nothing is."""
    exact = bucket.head(location.key) if location.key is not None else Absent(deleted=False)
    if isinstance(exact, Stored) and exact.live:
        return exact
    folder = Folder(location.folder, whole)
    # Two tell a folder from its marker.
    for stored in bucket.below(location.folder, first=1000 if whole else 2):
        folder.add(stored)
        if folder.settled:
            break
    if folder.first is not None:
        return folder
    if isinstance(exact, Stored) or folder.objects:
        return Finding("empty", "zero bytes" if isinstance(exact, Stored) else "no object in the folder has any bytes")
    if (isinstance(exact, Absent) and exact.deleted) or bucket.was_deleted(location.folder):
        return Finding("deleted", "delete markers stand in its place: the bucket's versions may bring it back")
    if sibling := _sibling(bucket, location):
        return Finding("sibling-only", f"nothing but {sibling}, which KServe would take for it")
    return Finding("missing")


def _sibling(bucket: Bucket, location: S3Location) -> str:
    if location.key is None:
        return ""
    return next((each.key for each in bucket.page(prefix=location.key).objects if each.live), "")


def judge(
    bucket: Bucket, location: S3Location, proof: Proof, *, format_name: str, layout: bool = False, deep: bool = False
) -> Finding:
    """Return the verdict on what is there: whether it can be read now, and with `layout` whether it can be served.

    `deep` asks for the object itself: a listing tells neither versions nor where INTELLIGENT_TIERING put it.
    """
    seen = proof if isinstance(proof, Stored) else proof.first
    answer = bucket.head(seen.key) if deep and seen is not None else seen
    if not isinstance(answer, Stored):
        return Finding("missing", "it went while it was looked at")
    folder = proof if isinstance(proof, Folder) else None
    fingerprint = folder.fingerprint(answer) if folder else fingerprint_of(answer)
    if archived := _archived(bucket, folder.archived if folder and folder.archived else [answer.key] * answer.archived):
        return Finding("archived-tier", archived, fingerprint)
    if not layout:
        return Finding("present", "", fingerprint)
    path = location.folder.rstrip("/")
    failures, warnings = (
        folder.judge(format_name, path)
        if folder
        else judge_layout(format_name, path, [(answer.key.rpartition("/")[2], answer.size)], single=True)
    )
    return Finding("present", "", fingerprint, failures, warnings)


def _archived(bucket: Bucket, keys: Iterable[str]) -> str:
    """Return which of these objects nobody can read now: a listing does not tell what was restored."""
    for key in keys:
        answer = bucket.head(key)
        if isinstance(answer, Stored) and answer.archived:
            return f"{key} is in {answer.archive_status or answer.storage_class}"
    return ""


def verdict_of(error: OpskitError) -> Finding:
    """Return what an error means for the artifact that was asked for; bugs are raised again."""
    if isinstance(error, ForbiddenAddressError):
        return Finding("endpoint-not-allowed", error.message)
    if isinstance(error, BucketMissingError):
        return Finding("bucket-missing", error.message)
    if isinstance(error, DeniedError):
        return Finding("denied", error.message)
    if type(error) is OpskitError:  # a bug, which no class below speaks for
        raise error
    # Whatever else a store answers, by accident or on purpose: it says neither that something is there nor that not.
    return Finding("unreachable", error.message)
