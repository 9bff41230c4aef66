"""What a check says: findings of one layer of one registry, as data."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Final

# In the order in which a request meets them; the last four are about backups, not about the registry.
LAYERS: Final = ("mysql", "rest", "grpc", "proxy", "operator", "storage", "backup", "rehearsal", "artifacts")

# The page for whoever is called because of a layer; a finding may name a better one.
RUNBOOKS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mysql": "registry-down",
        "rest": "registry-down",
        "grpc": "registry-down",
        "proxy": "registry-down",
        "operator": "registry-down",
        "storage": "backup-failing",
        "backup": "backup-stale",
        "rehearsal": "rehearsal-stale",
        "artifacts": "artifacts-missing",
    }
)


class State(StrEnum):
    """How a check ended, the gravest last."""

    NOT_APPLICABLE = "not-applicable"
    OK = "ok"
    WARNING = "warning"
    UNKNOWN = "unknown"
    CRITICAL = "critical"

    @property
    def gravity(self) -> int:
        """How grave the state is, as a number to compare."""
        return list(State).index(self)


def gravest(states: Iterable[State]) -> State:
    """Return the gravest state, not-applicable where there is none."""
    return max(states, key=lambda state: state.gravity, default=State.NOT_APPLICABLE)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was found out about a layer, in one line.

    `values` are measurements for metrics: their names end in a unit, times are seconds since the epoch.
    """

    state: State
    detail: str
    hint: str | None = None
    runbook: str | None = None
    values: Mapping[str, float] = field(default_factory=dict)


def not_configured() -> Finding:
    """Return what a layer says that the configuration does not describe."""
    return Finding(State.NOT_APPLICABLE, "not configured")


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One probe of one layer: its findings, and the seconds that it took."""

    registry: str
    layer: str
    findings: tuple[Finding, ...]
    seconds: float

    @property
    def state(self) -> State:
        """The gravest of the findings."""
        return gravest(finding.state for finding in self.findings)

    @property
    def gravest_findings(self) -> tuple[Finding, ...]:
        """The findings that make the state what it is."""
        return tuple(finding for finding in self.findings if finding.state == self.state)

    @property
    def detail(self) -> str:
        """The gravest findings in one line."""
        return "; ".join(finding.detail for finding in self.gravest_findings)

    @property
    def hint(self) -> str | None:
        """What to do about the first of the gravest findings that has an advice."""
        if self.state.gravity <= State.OK.gravity:
            return None
        return next((finding.hint for finding in self.gravest_findings if finding.hint), None)

    @property
    def runbook(self) -> str | None:
        """The runbook for the state, if it is one that somebody should look at."""
        if self.state.gravity <= State.OK.gravity:
            return None
        return next((each.runbook for each in self.gravest_findings if each.runbook), RUNBOOKS.get(self.layer))

    @property
    def values(self) -> dict[str, float]:
        """The measurements of all findings."""
        return {name: value for finding in self.findings for name, value in finding.values.items()}
