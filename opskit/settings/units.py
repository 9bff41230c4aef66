"""Durations such as `6h` and sizes such as `1GiB`, as settings spell them."""

import re
from datetime import timedelta
from typing import Annotated

from pydantic import BeforeValidator, PlainSerializer

_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}
_DURATION = re.compile(r"(?:\d{1,6}d)?(?:\d{1,9}h)?(?:\d{1,9}m)?(?:\d{1,9}s)?", re.ASCII)
_BYTES = {
    "TiB": 1 << 40,
    "GiB": 1 << 30,
    "MiB": 1 << 20,
    "KiB": 1 << 10,
    "TB": 10**12,
    "GB": 10**9,
    "MB": 10**6,
    "kB": 10**3,
    "B": 1,
}
_SIZE = re.compile(r"(\d{1,15}) ?([KMGT]iB|[kMGT]?B)", re.ASCII)


def parse_duration(value: object) -> timedelta:
    """Read `90s`, `10m`, `6h`, `8d` or `1d12h`; a number without a unit is refused."""
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str) or not value or not _DURATION.fullmatch(value):
        raise ValueError("must be a duration such as 90s, 10m, 6h or 8d")
    parts = re.findall(r"(\d+)([dhms])", value)
    return timedelta(seconds=sum(int(number) * _SECONDS[unit] for number, unit in parts))


def format_duration(duration: timedelta) -> str:
    """Write a duration as `parse_duration` reads it, in the largest unit that divides it."""
    whole = int(duration.total_seconds())
    for unit, seconds in _SECONDS.items():
        if whole and whole % seconds == 0:
            return f"{whole // seconds}{unit}"
    return f"{whole}s"


def parse_size(value: object) -> int:
    """Read `512MiB`, `1GiB`, `1GB`, or a plain number of bytes."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str):
        if re.fullmatch(r"\d{1,19}", value, re.ASCII):
            return int(value)
        if match := _SIZE.fullmatch(value):
            return int(match[1]) * _BYTES[match[2]]
    raise ValueError("must be a size such as 512MiB or 1GiB")


def format_size(size: int) -> str:
    """Write a size exactly, in the largest binary unit that divides it."""
    for unit, factor in _BYTES.items():
        if unit.endswith("iB") and size and size % factor == 0:
            return f"{size // factor}{unit}"
    return f"{size}B"


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration)]
Size = Annotated[int, BeforeValidator(parse_size), PlainSerializer(format_size)]
