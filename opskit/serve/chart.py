"""How a registry grew: rows and bytes of its backups as lines in one SVG.

Both are drawn from zero, each to its own largest value; the labels say what that is.
"""

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 720, 160
_TOP, _BOTTOM = 12, 12


@dataclass(frozen=True, slots=True)
class Point:
    """One backup: seconds since the epoch, and a value."""

    seconds: float
    value: float


def line(points: Sequence[Point]) -> str:
    """Return the points as the `points` of an SVG polyline, from left to right over the whole width."""
    ordered = sorted(points, key=lambda point: point.seconds)
    if not ordered:
        return ""
    first, span = ordered[0].seconds, ordered[-1].seconds - ordered[0].seconds
    highest = max(point.value for point in ordered)
    usable = HEIGHT - _TOP - _BOTTOM
    places = [
        (
            WIDTH * (point.seconds - first) / span if span else 0.0,
            HEIGHT - _BOTTOM - (usable * point.value / highest if highest else 0.0),
        )
        for point in ordered
    ]
    if len(places) == 1:
        places.append((float(WIDTH), places[0][1]))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in places)
