"""Results of checks as they are shown: to people, to programs, to Nagios, to Prometheus."""

import textwrap
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from opskit.probe.result import CheckResult, State, gravest

# What the Nagios plugin guidelines want: OK, WARNING, CRITICAL, UNKNOWN.
NAGIOS_CODES: Final[Mapping[State, int]] = MappingProxyType(
    {State.NOT_APPLICABLE: 0, State.OK: 0, State.WARNING: 1, State.CRITICAL: 2, State.UNKNOWN: 3}
)
_ADVICE = f"{'':<29}→ "
# Of a terminal that is narrower than this the text makes a column that can be read.
_NARROWEST = 24


def document(results: Sequence[CheckResult]) -> dict[str, object]:
    """Return the results as plain data for JSON."""
    return {
        "state": gravest(result.state for result in results),
        "checks": [
            {
                "registry": result.registry,
                "layer": result.layer,
                "state": result.state,
                "seconds": round(result.seconds, 6),
                "detail": result.detail,
                "hint": result.hint,
                "runbook": result.runbook,
                "values": result.values,
                "findings": [
                    {"state": each.state, "detail": each.detail, "hint": each.hint} for each in result.findings
                ],
            }
            for result in results
        ],
    }


def text(results: Sequence[CheckResult], width: int | None = None) -> str:
    """Return each registry with a line for each of its layers, and what to do below those that need somebody.

    Lines are broken to fit a terminal of so many columns; without one a finding stays on its line.
    """
    lines = []
    for registry in dict.fromkeys(result.registry for result in results):
        its = [result for result in results if result.registry == registry]
        lines.append(f"{registry}: {gravest(result.state for result in its)}")
        for result in its:
            lines += _hanging(f"  {result.layer:<9}  {result.state:<14}  ", _said(result), width)
            advice = [result.hint, result.runbook and f"runbook: {result.runbook}"]
            lines += [line for each in advice if each for line in _hanging(_ADVICE, each, width)]
    return "\n".join(lines)


def _said(result: CheckResult) -> str:
    return result.detail if result.state is State.NOT_APPLICABLE else f"{result.detail} ({took(result.seconds)})"


def took(seconds: float) -> str:
    """Return how long a check took, for people."""
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s"


def _hanging(head: str, said: str, width: int | None) -> list[str]:
    """Return the head and the text behind it; what does not fit stands below the text, not below the head."""
    if width is None:
        return [head + said]
    room = max(width - len(head), _NARROWEST)
    first, *others = textwrap.wrap(said, room, break_long_words=False, break_on_hyphens=False) or [""]
    return [head + first, *(" " * len(head) + line for line in others)]


def nagios(results: Sequence[CheckResult]) -> str:
    """Return what a Nagios plugin prints: a line with the verdict and performance data, then one a layer."""
    state = gravest(result.state for result in results)
    word = "ok" if NAGIOS_CODES[state] == 0 else state
    applicable = [each for each in results if each.state is not State.NOT_APPLICABLE]
    bad = sorted((each for each in results if NAGIOS_CODES[each.state]), key=lambda each: -each.state.gravity)
    # Whoever reads the first line on a telephone wants the gravest in full, and the others by name.
    said = [f"{each.registry} {each.layer}: {each.detail}" for each in bad[:1]]
    said += [f"{each.registry} {each.layer} {each.state}" for each in bad[1:]]
    well = f"{len(applicable)} {'layer is' if len(applicable) == 1 else 'layers are'} well"
    summary = _unpiped("; ".join(said) or well)
    performance = " ".join(f"'{each.registry} {each.layer}'={each.seconds:.3f}s" for each in applicable)
    lines = [_unpiped(f"{each.registry} {each.layer} {each.state}: {each.detail}") for each in results]
    return "\n".join([f"OPSKIT {word.upper()} - {summary} | {performance}", *lines])


def _unpiped(text: str) -> str:
    """Return the text without the bar, behind which Nagios expects performance data."""
    return text.replace("|", "/")


def prometheus(results: Sequence[CheckResult]) -> str:
    """Return the results in Prometheus' text format, for the node exporter's textfile collector."""
    lines = []
    for name, explanation, series in metrics(results):
        lines += [f"# HELP {name} {explanation}", f"# TYPE {name} gauge"]
        for labels, value in series:
            # Names of registries and layers need no escapes: settings allow letters, digits, '.', '_', '-'.
            pairs = ",".join(f'{label}="{text}"' for label, text in labels.items())
            lines.append(f"{name}{{{pairs}}} {value!r}")
    return "\n".join(lines)


Series = list[tuple[dict[str, str], float]]
MEASUREMENTS: Final[Mapping[str, str]] = MappingProxyType(
    {
        "mysql_query_seconds": "Time that SELECT 1 took.",
        "mysql_read_only": "Whether the database server refuses writes (1) or takes them (0).",
        "mysql_connections": "Connections that are open on the database server.",
        "mysql_connections_limit": "Connections that the database server allows.",
        "mysql_replication_lag_seconds": "How far a replica is behind its source.",
        "certificate_expiry_timestamp_seconds": "When the certificate of a server expires.",
        "backup_timestamp_seconds": "The moment that the newest complete backup shows.",
        "backup_rows": "Rows in the newest complete backup.",
        "backup_bytes": "Stored bytes of the newest complete backup.",
        "rehearsal_timestamp_seconds": "When the newest rehearsal ended.",
        "rehearsal_passed": "Whether the newest rehearsal passed (1).",
        "artifacts_timestamp_seconds": "When the newest report on artifacts was made.",
        "pod_restarts": "Restarts of the containers of the registry's pods.",
        "schema_dirty": "Whether a migration of the registry's schema was left half done (1).",
    }
)


def metrics(results: Sequence[CheckResult]) -> list[tuple[str, str, Series]]:
    """Return name, explanation and series of every gauge that the results give."""
    states: Series = [
        ({"registry": result.registry, "layer": result.layer, "state": state}, float(result.state is state))
        for result in results
        for state in State
    ]
    latencies: Series = [
        ({"registry": result.registry, "layer": result.layer}, result.seconds)
        for result in results
        if result.state is not State.NOT_APPLICABLE
    ]
    found = [
        ("opskit_probe_state", "The state of a layer: 1 for the one that it is in.", states),
        ("opskit_probe_duration_seconds", "Time that the check of a layer took.", latencies),
    ]
    for measurement, explanation in MEASUREMENTS.items():
        series: Series = [
            (_labels(result, measurement), float(result.values[measurement]))
            for result in results
            if measurement in result.values
        ]
        if series:
            found.append((f"opskit_{measurement}", explanation, series))
    return found


def _labels(result: CheckResult, measurement: str) -> dict[str, str]:
    """Return the labels of a measurement: only certificates are there in several layers."""
    several = measurement.startswith("certificate_")
    return {"registry": result.registry} | ({"layer": result.layer} if several else {})
