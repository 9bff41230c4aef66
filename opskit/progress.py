"""What long jobs report to while they run."""

from typing import Literal, Protocol

Unit = Literal["bytes", "rows", "objects"]


class Progress(Protocol):
    """Told by a job how far it is; any thread may call `advance`."""

    def phase(self, name: str, total: int | None, unit: Unit) -> None:
        """Begin a phase, which ends the one before it; `total` is None where it cannot be known."""

    def advance(self, amount: int) -> None:
        """Count what was done since the last call, in the phase's unit."""


class NoProgress:
    """Progress that nobody watches."""

    def phase(self, name: str, total: int | None, unit: Unit) -> None:
        """Begin a phase."""

    def advance(self, amount: int) -> None:
        """Count what was done."""
