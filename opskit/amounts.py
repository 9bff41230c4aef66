"""Sizes, spans and ages as people read them."""

from datetime import datetime

_STEPS = ((86_400, "d"), (3_600, "h"), (60, "min"), (1, "s"))
_KIBI = 1024
_UNITS = ("KiB", "MiB", "GiB", "TiB")
# From here on a decimal says nothing.
_ROUND = 100
# Up to two of the larger unit, the smaller one says more: 47 h, then 2 d.
_ENOUGH = 2


def human_size(size: float) -> str:
    """Return a number of bytes as `512 B`, `1.2 MiB`, `120 GiB`."""
    if size < _KIBI:
        return f"{size:.0f} B"
    units = iter(_UNITS)
    unit = next(units)
    size /= _KIBI
    while size >= _KIBI and unit != _UNITS[-1]:
        size, unit = size / _KIBI, next(units)
    return f"{size:.1f} {unit}" if size < _ROUND else f"{size:.0f} {unit}"


def human_seconds(seconds: float) -> str:
    """Return a span as `40 s`, `3 h`, `12 d`: its largest unit of which there are two or more."""
    whole = max(0, int(seconds))
    for length, unit in _STEPS:
        if whole >= _ENOUGH * length:
            return f"{whole // length} {unit}"
    return f"{whole} s"


def human_age(then: datetime, now: datetime) -> str:
    """Return how long ago something was: `3 h ago`; `in 2 d` where it is yet to come."""
    seconds = (now - then).total_seconds()
    return f"{human_seconds(seconds)} ago" if seconds >= 0 else f"in {human_seconds(-seconds)}"
