"""What a backup knows of the bytes that its pointers point to: they are not in it."""

from opskit.backup.manifest import ArtifactCounts


def pointers_with_bytes(known: ArtifactCounts | None) -> str:
    """Return what a backup knows of the bytes that its pointers point to."""
    if known is None:
        return "never verified: opskit artifacts verify"
    gone = f", {known.gone:,} were gone" if known.gone else ""
    return f"{known.present:,} of {known.artifacts:,} had their bytes{gone} (verified {known.time:%Y-%m-%d %H:%M} UTC)"
