"""What a policy keeps, for every input."""

from collections.abc import Sequence
from dataclasses import fields, replace
from datetime import UTC, datetime, timedelta, timezone
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opskit.backup.retention import Candidate, Policy, plan

NOW = datetime(2026, 11, 25, 12, tzinfo=UTC)
NOTHING = Policy()


def every(step: timedelta, count: int, start: datetime = NOW - timedelta(hours=1)) -> list[Candidate]:
    """Good backups, the newest first: `b0` is the newest."""
    return [Candidate(f"b{number}", start - number * step) for number in range(count)]


def kept(backups: Sequence[Candidate], policy: Policy, now: datetime = NOW) -> set[str]:
    return set(plan(backups, policy, now).keep)


# Single rules


def test_newest_good_one_stays_whatever_the_policy() -> None:
    assert kept(every(timedelta(days=1), 5), NOTHING) == {"b0"}


def test_keep_last() -> None:
    assert kept(every(timedelta(days=1), 5), Policy(keep_last=3)) == {"b0", "b1", "b2"}


@pytest.mark.parametrize(
    ("policy", "step", "expected"),
    [
        (Policy(keep_hourly=3), timedelta(minutes=30), {"b0", "b1", "b3"}),
        (Policy(keep_daily=3), timedelta(hours=12), {"b0", "b1", "b3"}),
        (Policy(keep_weekly=3), timedelta(days=2), {"b0", "b2", "b5"}),
        (Policy(keep_monthly=3), timedelta(days=15), {"b0", "b2", "b4"}),
        (Policy(keep_yearly=3), timedelta(days=180), {"b0", "b2", "b4"}),
    ],
)
def test_newest_of_each_period_stays(policy: Policy, step: timedelta, expected: set[str]) -> None:
    assert kept(every(step, 12), policy) == expected


def test_periods_without_a_backup_are_not_counted() -> None:
    backups = [Candidate(str(month), datetime(2026, month, 1, tzinfo=UTC)) for month in (1, 4, 5, 11)]
    assert kept(backups, Policy(keep_monthly=3)) == {"11", "5", "4"}


def test_last_days_of_a_year_may_be_of_the_next_year_s_first_week() -> None:
    days = [datetime(2024, 12, 30, tzinfo=UTC), datetime(2025, 1, 5, tzinfo=UTC), datetime(2025, 1, 6, tzinfo=UTC)]
    backups = [Candidate(str(number), day) for number, day in enumerate(days)]
    assert kept(backups, Policy(keep_weekly=5)) == {"1", "2"}


def test_days_are_those_of_utc_wherever_times_were_written() -> None:
    tokyo = timezone(timedelta(hours=9))
    backups = [
        Candidate("evening", datetime(2026, 11, 23, 20, tzinfo=UTC)),
        Candidate("later", datetime(2026, 11, 24, 6, tzinfo=tokyo)),  # 21:00 on the 23rd
    ]
    assert kept(backups, Policy(keep_daily=2)) == {"later"}


def test_keep_within_is_an_age() -> None:
    assert kept(every(timedelta(days=1), 5), Policy(keep_within=timedelta(days=2))) == {"b0", "b1"}


def test_min_redundancy_is_a_floor_of_good_ones() -> None:
    backups = every(timedelta(days=1), 6)
    backups[1] = replace(backups[1], state="bad")
    assert kept(backups, Policy(min_redundancy=3)) == {"b0", "b1", "b2", "b3"}


def test_newest_rehearsed_one_stays() -> None:
    backups = every(timedelta(days=1), 6)
    for number in (3, 5):
        backups[number] = replace(backups[number], rehearsed=True)
    assert kept(backups, NOTHING) == {"b0", "b3"}


def test_pinned_and_unknown_ones_stay_and_count_for_nothing() -> None:
    backups = every(timedelta(days=1), 6)
    backups[0] = replace(backups[0], state="unknown")
    backups[4] = replace(backups[4], pinned="held")
    decided = plan(backups, Policy(keep_last=2), NOW)
    assert set(decided.keep) == {"b0", "b1", "b2", "b4"}
    assert decided.reasons["b0"] == ("cannot be judged",)
    assert decided.reasons["b4"] == ("held",)


def test_bad_ones_stay_until_enough_good_ones_are_newer() -> None:
    backups = every(timedelta(days=1), 8)
    for number in (0, 2, 4, 7):
        backups[number] = replace(backups[number], state="bad")
    assert kept(backups, Policy(min_redundancy=2)) == {"b0", "b1", "b2", "b3"}


def test_where_all_are_bad_all_stay() -> None:
    backups = [replace(each, state="bad") for each in every(timedelta(days=1), 4)]
    assert plan(backups, NOTHING, NOW).remove == ()


def test_backups_from_the_future_stay_and_displace_none() -> None:
    backups = [*every(timedelta(days=1), 3, NOW + timedelta(days=400)), Candidate("old", NOW - timedelta(days=9))]
    assert kept(backups, Policy(keep_last=1)) == {"b0", "b1", "b2", "old"}


def test_clock_far_behind_removes_nothing() -> None:
    assert plan(every(timedelta(days=1), 9), NOTHING, NOW - timedelta(days=4000)).remove == ()


def test_clock_far_ahead_removes_what_is_younger_than_keep_within_and_no_more() -> None:
    backups = every(timedelta(days=1), 9)
    policy = Policy(keep_last=2, keep_within=timedelta(days=5))
    assert kept(backups, policy, NOW + timedelta(days=4000)) == {"b0", "b1"}


def test_nothing_is_planned_for_no_backups() -> None:
    assert plan([], Policy(), NOW).keep == ()


def test_plan_is_in_the_order_of_time() -> None:
    decided = plan(every(timedelta(days=1), 4), Policy(keep_last=2), NOW)
    assert decided.keep == ("b1", "b0")
    assert decided.remove == ("b3", "b2")


# What holds for every input

ZONES = st.integers(-14 * 60, 14 * 60).map(lambda minutes: timezone(timedelta(minutes=minutes)))
# Within two years around now, so that periods are shared; a third of them may be of the future.
TIMES = st.builds(
    lambda seconds, zone: (NOW + timedelta(seconds=seconds)).astimezone(zone),
    st.integers(-(2 * 365 * 86_400), 365 * 86_400),
    ZONES,
)
BACKUPS = st.lists(
    st.builds(
        Candidate,
        id=st.text("abcdef0123456789", min_size=6, max_size=6),
        time=TIMES,
        state=st.sampled_from(["good", "good", "good", "bad", "unknown"]),
        rehearsed=st.booleans(),
        pinned=st.sampled_from([None, None, None, "held"]),
    ),
    max_size=30,
    unique_by=lambda each: each.id,
)
COUNTS = st.integers(0, 8)
POLICIES = st.builds(
    Policy,
    keep_last=COUNTS,
    keep_hourly=COUNTS,
    keep_daily=COUNTS,
    keep_weekly=COUNTS,
    keep_monthly=COUNTS,
    keep_yearly=COUNTS,
    keep_within=st.integers(0, 700).map(lambda days: timedelta(days=days)),
    min_redundancy=st.integers(1, 6),
)
NOWS = st.integers(-800, 800).map(lambda days: NOW + timedelta(days=days))


@given(BACKUPS, POLICIES, NOWS)
def test_keep_and_remove_partition_the_backups(backups: list[Candidate], policy: Policy, now: datetime) -> None:
    decided = plan(backups, policy, now)
    assert sorted(decided.keep + decided.remove) == sorted(each.id for each in backups)
    assert decided.reasons.keys() == set(decided.keep)
    assert all(decided.reasons.values())


@given(BACKUPS, POLICIES, NOWS)
def test_second_run_removes_nothing(backups: list[Candidate], policy: Policy, now: datetime) -> None:
    left = [each for each in backups if each.id in plan(backups, policy, now).keep]
    assert plan(left, policy, now).remove == ()


@given(BACKUPS, POLICIES, st.data())
def test_more_generous_policy_keeps_a_superset(backups: list[Candidate], policy: Policy, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from([field.name for field in fields(Policy)]))
    more = timedelta(days=data.draw(st.integers(1, 400))) if name == "keep_within" else data.draw(st.integers(1, 9))
    generous = replace(policy, **{name: getattr(policy, name) + more})
    assert kept(backups, policy) <= kept(backups, generous)


@given(BACKUPS, POLICIES, NOWS)
def test_floor_and_what_is_never_removed(backups: list[Candidate], policy: Policy, now: datetime) -> None:
    removed = set(plan(backups, policy, now).remove)
    good = [each for each in backups if each.state == "good"]
    left = [each for each in good if each.id not in removed]
    assert len(left) >= min(policy.min_redundancy, len(good))
    assert not removed & {each.id for each in backups if each.pinned or each.state == "unknown" or each.time > now}
    past = sorted((each for each in good if each.time <= now), key=lambda each: (each.time, each.id))
    assert not removed & {each.id for each in past[-1:]}
    assert not removed & {each.id for each in [each for each in past if each.rehearsed][-1:]}


@given(BACKUPS, POLICIES, st.randoms(use_true_random=False))
def test_order_in_which_backups_are_listed_does_not_matter(
    backups: list[Candidate], policy: Policy, random: Random
) -> None:
    shuffled = list(backups)
    random.shuffle(shuffled)
    assert plan(shuffled, policy, NOW) == plan(backups, policy, NOW)


@given(BACKUPS, POLICIES)
def test_bad_ones_take_no_place_of_a_good_one(backups: list[Candidate], policy: Policy) -> None:
    good = [each for each in backups if each.state == "good"]
    assert {each for each in kept(backups, policy) if each in {one.id for one in good}} == kept(good, policy)
