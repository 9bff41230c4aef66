"""What opskit is meant to reach: each figure, how it follows from the medians, and its bar."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.measure import Measured
from benchmarks.place import TLS
from benchmarks.programs import ENCODER, START_UP
from benchmarks.results import Results

SMALL, MIDDLE, GREAT = SIZES = ("x1", "x4", "x16")
MEGABYTE = 1_000_000

Reading = Callable[[Results], float | None]


@dataclass(frozen=True, slots=True)
class Bar:
    """A figure that is not to be greater than `limit`."""

    figure: str
    limit: float
    unit: str
    reading: Reading

    def shown(self, value: float) -> str:
        """Return a value of this figure as text."""
        return f"{value:.0f} {self.unit}" if self.unit in {"MB", "%"} else f"{value:.2f} {self.unit}".rstrip()


def seconds(cost: Measured) -> float:
    """By the clock."""
    return cost.seconds


def processor_seconds(cost: Measured) -> float:
    """Of all client processes, user and system."""
    return cost.processor_seconds


def _ratio(
    job: str, other: str, *, database: str = SMALL, of: Callable[[Measured], float] = seconds, program: str = "opskit"
) -> Reading:
    """Read a figure of `program` divided by that of `other`."""

    def reading(results: Results) -> float | None:
        ours, theirs = (results.cost(TLS, database, job, each) for each in (program, other))
        return of(ours) / of(theirs) if ours and theirs else None

    return reading


def _peak(job: str, database: str) -> Reading:
    def reading(results: Results) -> float | None:
        cost = results.cost(TLS, database, job, "opskit")
        return cost.peak_bytes / MEGABYTE if cost else None

    return reading


def _growth(job: str) -> Reading:
    """Read by how many percent the peak memory at the greatest size differs from that at the smallest."""

    def reading(results: Results) -> float | None:
        small, great = (_peak(job, database)(results) for database in (SMALL, GREAT))
        return abs(great / small - 1) * 100 if small and great else None

    return reading


def _seconds(program: str) -> Reading:
    def reading(results: Results) -> float | None:
        cost = results.cost(TLS, SMALL, START_UP, program)
        return cost.seconds if cost else None

    return reading


BARS = (
    Bar("backup x1: time / `mysqldump \\| zstd -3`", 0.70, "", _ratio("backup", "mysqldump")),
    Bar("backup x4: time / `mysqldump \\| zstd -3`", 0.60, "", _ratio("backup", "mysqldump", database=MIDDLE)),
    Bar("backup x1: time / `mydumper -t 4`, then `zstd -3`", 0.75, "", _ratio("backup", "mydumper")),
    Bar(
        "backup x1: client CPU / `mysqldump \\| zstd -3`", 0.80, "", _ratio("backup", "mysqldump", of=processor_seconds)
    ),
    Bar("restore x1, every row compared: time / `mysql <`", 0.38, "", _ratio("restore", "mysqldump")),
    Bar("restore x1, every row compared: time / `myloader -t 4`", 0.55, "", _ratio("restore", "mydumper")),
    Bar("backup x1: peak memory", 150, "MB", _peak("backup", SMALL)),
    Bar("backup x16: peak memory", 150, "MB", _peak("backup", GREAT)),
    Bar("backup: peak memory, x16 against x1", 10, "%", _growth("backup")),
    Bar("restore x1: peak memory", 150, "MB", _peak("restore", SMALL)),
    Bar("restore x16: peak memory", 150, "MB", _peak("restore", GREAT)),
    Bar("restore: peak memory, x16 against x1", 10, "%", _growth("restore")),
    Bar(
        "backup x1: time of the Python encoder / of the C encoder",
        6,
        "",
        _ratio(ENCODER, "opskit", program="opskit in Python"),
    ),
    Bar("`opskit --help`, whole process", 0.15, "s", _seconds("opskit --help")),
    Bar("`opskit probe --only mysql`, local server", 0.35, "s", _seconds("opskit probe --only mysql")),
)


def readings(results: Results) -> Iterator[tuple[Bar, float | None]]:
    """Return each bar and what was measured, if it was."""
    for bar in BARS:
        yield bar, bar.reading(results)
