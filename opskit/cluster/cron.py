"""When a CronJob runs next."""

from datetime import UTC, datetime, timedelta
from typing import Final

_DAYS: Final = {name: number for number, name in enumerate(("sun", "mon", "tue", "wed", "thu", "fri", "sat"))}
_FIELDS: Final = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
_HORIZON = timedelta(days=366)


def next_run(schedule: str, after: datetime) -> datetime | None:
    """Return the next moment of a cron expression in UTC; None where there is none within a year.

    Numbers, names of weekdays, lists, ranges and steps. Day of month and weekday are joined by OR where both are
    given, as in Kubernetes. Raises `ValueError` for what it does not know (@daily, a time zone).
    """
    fields = schedule.split()
    if len(fields) != len(_FIELDS):
        raise ValueError(f"not five fields: {schedule}")
    minutes, hours, days, months, weekdays = (
        _values(field, low, high) for field, (low, high) in zip(fields, _FIELDS, strict=True)
    )
    weekdays |= {0} if 7 in weekdays else set()  # noqa: PLR2004 - Sunday has two numbers
    start = after.astimezone(UTC).replace(second=0, microsecond=0) + timedelta(minutes=1)
    day = start.replace(hour=0, minute=0)
    while day - start < _HORIZON:
        of_month, of_week = day.day in days, (day.isoweekday() % 7) in weekdays
        either = fields[2] != "*" and fields[4] != "*"
        if day.month in months and (of_month or of_week if either else of_month and of_week):
            for hour in sorted(hours):
                for minute in sorted(minutes):
                    moment = day.replace(hour=hour, minute=minute)
                    if moment >= start:
                        return moment
        day += timedelta(days=1)
    return None


def _values(field: str, low: int, high: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            begin, end = low, high
        else:
            begin = _number(first)
            end = _number(last) if dash else (high if step else begin)
        if not low <= begin <= end <= high:
            raise ValueError(f"{part} is not within {low} and {high}")
        found |= set(range(begin, end + 1, int(step or 1)))
    return found


def _number(text: str) -> int:
    return _DAYS[text.lower()] if text.lower() in _DAYS else int(text)
