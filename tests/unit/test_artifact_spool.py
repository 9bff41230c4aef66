"""An inventory that was taken at once is what it was."""

from collections.abc import Iterator

import pytest

from opskit.artifacts.spool import spooled
from opskit.registry.inventory import Pointer
from tests.integration.artifacts.registered import registered


@pytest.mark.parametrize("count", [0, 1, 5_000, 5_001])
def test_pointers_come_back_as_they_went_in(count: int) -> None:
    pointers = [registered(number, f's3://models/é\U0001f680\\"{number}') for number in range(count)]
    assert list(spooled(pointers)) == pointers


def test_everything_is_read_at_once() -> None:
    taken: list[int] = []

    def pointers() -> Iterator[Pointer]:
        for number in range(3):
            taken.append(number)
            yield registered(number, "s3://models/x")

    later = spooled(pointers())
    assert taken == [0, 1, 2]
    assert isinstance(next(later), Pointer)
