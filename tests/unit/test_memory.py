import threading

import pytest

from opskit.memory import OVERSIZED_BYTES, Oversized


def test_what_is_oversized_is_held_by_one_thread_at_a_time() -> None:
    entered = threading.Event()

    def other() -> None:
        with Oversized() as mine:
            mine.holds(OVERSIZED_BYTES + 1)
            entered.set()

    thread = threading.Thread(target=other)
    with Oversized() as oversized:
        oversized.holds(OVERSIZED_BYTES + 1)
        thread.start()
        assert not entered.wait(0.05)
        oversized.holds(OVERSIZED_BYTES)
        thread.join(60)
    assert entered.is_set()


def test_one_thread_may_hold_two() -> None:
    with Oversized() as one, Oversized() as other:
        one.holds(OVERSIZED_BYTES + 1)
        other.holds(OVERSIZED_BYTES + 1)
        assert one.has_turn
        assert other.has_turn


def fail_with(oversized: Oversized) -> None:
    with oversized:
        oversized.holds(OVERSIZED_BYTES + 1)
        raise KeyError


def test_turn_ends_with_the_block_whatever_happens() -> None:
    oversized = Oversized()
    with pytest.raises(KeyError):
        fail_with(oversized)
    assert not oversized.has_turn
