"""Which exit code tells most, where several apply."""

from collections.abc import Iterable

# Damage first, then what a person must mend, a bug, what a later try may mend, and findings last.
ORDER = (65, 78, 77, 74, 73, 66, 70, 69, 75, 1, 0)


def gravest(codes: Iterable[int]) -> int:
    """Return the gravest of the codes, 0 where there is none; an unknown code outweighs all."""
    return min(codes, key=lambda code: ORDER.index(code) if code in ORDER else -1, default=0)
