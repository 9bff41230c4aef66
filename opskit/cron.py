"""Cron expressions, with the meaning that they have in Kubernetes (robfig/cron, version 3).

Five fields; 0 is Sunday. Where both day fields are restricted, either may match. A time that daylight saving skips
is skipped, one that it repeats is met twice.
"""

import calendar
from collections.abc import Iterator
from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

_MONTHS = [name.lower() for name in calendar.month_abbr]
_WEEKDAYS = ["sun", "mon", "tue", "wed", "thu", "fri", "sat"]
_LONGEST_MONTH = [0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
_MINUTE = timedelta(minutes=1)
_FIELDS: tuple[tuple[str, int, int, list[str]], ...] = (
    ("minute", 0, 59, []),
    ("hour", 0, 23, []),
    ("day of month", 1, 31, []),
    ("month", 1, 12, _MONTHS),
    ("day of week", 0, 6, _WEEKDAYS),
)


class Cron:
    """A parsed expression; `ValueError` says what is wrong with one that Kubernetes would refuse."""

    def __init__(self, expression: str) -> None:
        self.expression = expression
        fields = expression.split()
        if len(fields) != len(_FIELDS):
            raise ValueError("must be five fields: minute, hour, day of month, month, day of week")
        values = [_field(text, *field) for text, field in zip(fields, _FIELDS, strict=True)]
        self._minutes, self._hours, self._days, self._months, self._weekdays = values
        self._either_day = not any(_unrestricted(fields[index]) for index in (2, 4))
        if not self._either_day and not any(min(self._days) <= _LONGEST_MONTH[month] for month in self._months):
            raise ValueError("names a day that no month has")

    def __repr__(self) -> str:
        return f"Cron({self.expression!r})"

    def next_after(self, moment: datetime, zone: ZoneInfo) -> datetime:
        """Return the first time, in UTC, that is later than the moment and that the expression names in this zone."""
        candidate = moment.astimezone(UTC).replace(second=0, microsecond=0) + _MINUTE
        while True:
            local = candidate.astimezone(zone)
            if not self._names_day(local):
                midnight = datetime.combine(local.date() + timedelta(days=1), time(), zone)
                candidate = max(midnight.astimezone(UTC), candidate + _MINUTE)
            elif local.hour not in self._hours:
                candidate += (60 - local.minute) * _MINUTE
            elif local.minute not in self._minutes:
                candidate += _MINUTE
            else:
                return candidate

    def between(self, start: datetime, end: datetime, zone: ZoneInfo) -> Iterator[datetime]:
        """Yield the times after `start` and not later than `end`."""
        moment = self.next_after(start, zone)
        while moment <= end:
            yield moment
            moment = self.next_after(moment, zone)

    def _names_day(self, local: datetime) -> bool:
        if local.month not in self._months:
            return False
        of_month, of_week = local.day in self._days, local.isoweekday() % 7 in self._weekdays
        return of_month or of_week if self._either_day else of_month and of_week


def _unrestricted(field: str) -> bool:
    """Tell whether a field holds a plain star: with a step it restricts."""
    return any(part.removesuffix("/1") in ("*", "?") for part in field.split(","))


def _field(text: str, name: str, lowest: int, highest: int, names: list[str]) -> frozenset[int]:
    found: set[int] = set()
    for part in text.split(","):
        span, slash, step_text = part.partition("/")
        first_text, dash, last_text = span.partition("-")
        if span in ("*", "?"):
            first, last = lowest, highest
        else:
            first = _number(first_text, name, names)
            last = _number(last_text, name, names) if dash else highest if slash else first
        step = _number(step_text, name, []) if slash else 1
        if not lowest <= first <= last <= highest or step < 1:
            raise ValueError(f"{name}: {part!r} is not within {lowest} to {highest}, in this order")
        found |= set(range(first, last + 1, step))
    return frozenset(found)


def _number(text: str, name: str, names: list[str]) -> int:
    if text.lower() in names and text:
        return names.index(text.lower())
    if not (text.isascii() and text.isdigit()):
        raise ValueError(
            f"{name}: {text!r} is no number" + (f", and none of {', '.join(filter(None, names))}" if names else "")
        )
    return int(text)
