"""Which backups stay and which go: pure policy, the clock handed in.

Only good backups count. What cannot be judged stays. Days, weeks (ISO), months and years are those of UTC: a policy
must not depend on where it runs.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal

State = Literal["good", "bad", "unknown"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A backup as retention sees it.

    `good`: complete, and no rehearsal of it failed last. `bad`: damaged, or its last rehearsal failed. `unknown`: it
    or its last verdict could not be read, or is of a format that this opskit does not know. `pinned` says why it must
    stay, whatever the policy: a hold, a lock.
    """

    id: str
    time: datetime
    state: State = "good"
    rehearsed: bool = False
    pinned: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """How many good backups stay: the newest of each of so many hours, days, … that have one.

    The newest `min_redundancy` always stay; so does whatever is younger than `keep_within`. Of the reports on
    artifacts the newest `keep_reports` stay, one or more.
    """

    keep_last: int = 0
    keep_hourly: int = 0
    keep_daily: int = 0
    keep_weekly: int = 0
    keep_monthly: int = 0
    keep_yearly: int = 0
    keep_within: timedelta = timedelta(0)
    min_redundancy: int = 1
    keep_reports: int = 90


@dataclass(frozen=True, slots=True)
class Plan:
    """What stays and what goes, each the oldest first; every backup that stays has at least one reason."""

    keep: tuple[str, ...]
    remove: tuple[str, ...]
    reasons: dict[str, tuple[str, ...]]


def plan(backups: Iterable[Candidate], policy: Policy, now: datetime) -> Plan:
    """Decide on every backup.

    A backup from the future, which a wrong clock made, stays and does not take the place of another. A bad one goes
    when `min_redundancy` good ones are newer.
    """
    newest_first = sorted(backups, key=lambda each: (each.time, each.id), reverse=True)
    past = [each for each in newest_first if each.time <= now]
    good = [each for each in past if each.state == "good"]
    reasons: dict[str, list[str]] = {each.id: [] for each in newest_first}
    for backup_id, reason in (
        *_out_of_reach(newest_first, now),
        *_newest(good, policy),
        *_by_calendar(good, policy),
        *_young(good, policy, now),
        *_bad_but_needed(past, policy),
    ):
        reasons[backup_id].append(reason)
    oldest_first = [each.id for each in reversed(newest_first)]
    return Plan(
        keep=tuple(each for each in oldest_first if reasons[each]),
        remove=tuple(each for each in oldest_first if not reasons[each]),
        reasons={each: tuple(reasons[each]) for each in oldest_first if reasons[each]},
    )


def _out_of_reach(backups: list[Candidate], now: datetime) -> Iterator[tuple[str, str]]:
    for each in backups:
        if each.pinned:
            yield each.id, each.pinned
        if each.state == "unknown":
            yield each.id, "cannot be judged"
        if each.time > now:
            yield each.id, "from the future: a clock was wrong"


def _newest(good: list[Candidate], policy: Policy) -> Iterator[tuple[str, str]]:
    for each in good[:1]:
        yield each.id, "the newest good one"
    for each in good[: policy.min_redundancy]:
        yield each.id, "min_redundancy"
    for each in good[: policy.keep_last]:
        yield each.id, "keep_last"
    for each in [each for each in good if each.rehearsed][:1]:
        yield each.id, "the newest one that was rehearsed"


def _hour(time: datetime) -> object:
    return time.toordinal(), time.hour


def _day(time: datetime) -> object:
    return time.toordinal()


def _week(time: datetime) -> object:
    return time.isocalendar()[:2]


def _month(time: datetime) -> object:
    return time.year, time.month


def _year(time: datetime) -> object:
    return time.year


def _by_calendar(good: list[Candidate], policy: Policy) -> Iterator[tuple[str, str]]:
    rules: tuple[tuple[str, int, Callable[[datetime], object]], ...] = (
        ("keep_hourly", policy.keep_hourly, _hour),
        ("keep_daily", policy.keep_daily, _day),
        ("keep_weekly", policy.keep_weekly, _week),
        ("keep_monthly", policy.keep_monthly, _month),
        ("keep_yearly", policy.keep_yearly, _year),
    )
    for reason, count, period in rules:
        newest_of: dict[object, str] = {}
        for each in good:
            newest_of.setdefault(period(each.time.astimezone(UTC)), each.id)
        for backup_id in list(newest_of.values())[:count]:
            yield backup_id, reason


def _young(good: list[Candidate], policy: Policy, now: datetime) -> Iterator[tuple[str, str]]:
    for each in good:
        if now - each.time < policy.keep_within:
            yield each.id, "keep_within"


def _bad_but_needed(past: list[Candidate], policy: Policy) -> Iterator[tuple[str, str]]:
    newer_good = 0
    for each in past:
        newer_good += each.state == "good"
        if each.state == "bad" and newer_good < max(1, policy.min_redundancy):
            yield each.id, "bad, and too few good ones are newer"
