from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from opskit.settings.units import format_duration, format_size, parse_duration, parse_size


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90s", 90), ("10m", 600), ("6h", 21_600), ("8d", 691_200), ("1d12h", 129_600), ("0s", 0)],
)
def test_durations_are_a_number_and_a_unit(text: str, seconds: int) -> None:
    assert parse_duration(text) == timedelta(seconds=seconds)


@pytest.mark.parametrize("value", ["", "6", 6, "6 h", "-6h", "h", "6H", "1h1d", "6h ", "1.5h", "٦h", True, None])
def test_anything_else_is_no_duration(value: object) -> None:
    with pytest.raises(ValueError, match="must be a duration"):
        parse_duration(value)


@pytest.mark.parametrize(
    ("value", "size"),
    [("1GiB", 1 << 30), ("512 MiB", 512 << 20), ("1GB", 10**9), ("5kB", 5000), ("7", 7), (7, 7)],
)
def test_sizes_are_a_number_and_a_unit(value: object, size: int) -> None:
    assert parse_size(value) == size


@pytest.mark.parametrize("value", ["", "1Gi", "1gb", "-1GiB", "1.5GiB", True, None, 1.5])
def test_anything_else_is_no_size(value: object) -> None:
    with pytest.raises(ValueError, match="must be a size"):
        parse_size(value)


@given(st.integers(0, 10**9 - 1))
def test_durations_and_sizes_are_read_back_as_they_were_written(number: int) -> None:
    assert parse_duration(format_duration(timedelta(seconds=number))) == timedelta(seconds=number)
    assert parse_size(format_size(number)) == number


def test_they_are_written_as_people_would() -> None:
    assert [format_duration(timedelta(hours=hours)) for hours in (6, 26, 192)] == ["6h", "26h", "8d"]
    assert [format_size(size) for size in (0, 1 << 30, 1536, 1000)] == ["0B", "1GiB", "1536B", "1000B"]
