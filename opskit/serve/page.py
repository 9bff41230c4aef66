"""The status page, made on the server: it needs no JavaScript, and nothing from elsewhere."""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Final
from zoneinfo import ZoneInfo

from jinja2 import Environment, StrictUndefined

from opskit import __version__
from opskit.amounts import human_age, human_size
from opskit.artifacts.verdict import VERDICTS
from opskit.backup.manifest import Manifest
from opskit.probe import render
from opskit.probe.result import CheckResult, State, gravest
from opskit.serve import chart
from opskit.serve.observation import Observation, RegistryObservation
from opskit.serve.schedule import Planned
from opskit.serve.timeline import Mark, timeline
from opskit.settings.units import format_duration

STYLE: Final = files(__package__).joinpath("page.css").read_text()
_STYLE_DIGEST: Final = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()

# Nothing may be loaded, framed or sent anywhere; the one style is known by its digest.
CONTENT_SECURITY_POLICY: Final = (
    f"default-src 'none'; style-src 'sha256-{_STYLE_DIGEST}'; img-src data:; base-uri 'none'; form-action 'none'"
)
HEADERS: Final = {
    "Content-Security-Policy": f"{CONTENT_SECURITY_POLICY}; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_SYMBOLS: dict[State, str] = {
    State.OK: "✓",
    State.WARNING: "!",
    State.CRITICAL: "✕",
    State.UNKNOWN: "?",
    State.NOT_APPLICABLE: "○",
}
_VERDICTS: dict[State, str] = {
    State.OK: "All is well",
    State.WARNING: "It works; somebody should look",
    State.CRITICAL: "Something is broken",
    State.UNKNOWN: "Not everything could be found out",
    State.NOT_APPLICABLE: "Nothing is configured",
}
_WORDS: dict[Mark, str] = {
    "success": "ran well",
    "findings": "found problems",
    "failure": "failed",
    "gap": "did not run",
    "nothing": "not due, or nothing is known",
}


@dataclass(frozen=True, slots=True)
class Answer:
    """What on-call asks first, the answer in a few words, and the checks that it comes from, the gravest first."""

    name: str
    question: str
    text: str
    checks: tuple[CheckResult, ...]
    notes: tuple[str, ...] = ()
    at_least: State = State.NOT_APPLICABLE

    @property
    def state(self) -> State:
        """The gravest state of its checks, or what is known beside them."""
        return gravest((self.at_least, *(check.state for check in self.checks)))


def page(
    observation: Observation,
    planned: Sequence[Planned],
    zone: ZoneInfo,
    *,
    refresh_seconds: int | None = None,
    runbooks_url: str | None = None,
) -> str:
    """Return the page as HTML; with `refresh_seconds` it fetches itself again, as a file it stays as it is."""
    environment = Environment(autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    environment.filters["day"] = lambda seconds: datetime.fromtimestamp(seconds, zone).date()
    template = environment.from_string(files(__package__).joinpath("page.html").read_text())
    return template.render(
        version=__version__,
        policy=CONTENT_SECURITY_POLICY,
        style=STYLE,
        refresh_seconds=refresh_seconds,
        observation=observation,
        registries=[_registry(each, observation, planned, zone) for each in observation.registries],
        symbols=_SYMBOLS,
        verdict=_VERDICTS[observation.state],
        words=_WORDS,
        runbook=lambda name: f"{runbooks_url.rstrip('/')}/{name}.md" if runbooks_url else None,
        ago=lambda moment: human_age(moment, observation.moment),
        size=human_size,
        took=render.took,
        zone=zone.key,
        chart=chart,
    )


def _registry(
    registry: RegistryObservation, observation: Observation, planned: Sequence[Planned], zone: ZoneInfo
) -> dict[str, object]:
    complete = [(each, each.manifest) for each in registry.complete_backups if each.manifest is not None]
    # A time from the future is a forged one: it would squeeze the chart, and a calendar may not have it.
    latest = observation.moment + timedelta(days=1)
    drawn = [manifest for _, manifest in complete if manifest.snapshot.time <= latest]
    rows = [chart.Point(manifest.snapshot.time.timestamp(), manifest.rows) for manifest in drawn]
    stored = [chart.Point(manifest.snapshot.time.timestamp(), manifest.stored_bytes) for manifest in drawn]
    lines = timeline(registry, observation, planned, zone)
    return {
        "name": registry.name,
        "state": registry.state,
        "problem": registry.problem,
        "answers": (
            _up(registry),
            _restorable(registry, observation, complete[0][1] if complete else None),
            _missing(registry, observation),
        ),
        "backups": registry.backups[:5],
        "lines": lines,
        "first_day": lines[0].days[0][0] if lines else "",
        "rows": rows,
        "bytes": stored,
    }


def _up(registry: RegistryObservation) -> Answer:
    checks = _checks(registry, "mysql", "rest", "grpc", "proxy", "operator")
    state = gravest(check.state for check in checks)
    names = ", ".join(check.layer for check in checks if check.state is state)
    text = {
        State.OK: "Yes",
        State.WARNING: f"Yes, but see {names}",
        State.CRITICAL: f"No: {names}",
        State.UNKNOWN: f"Not known: {names}",
        State.NOT_APPLICABLE: "Not looked at",
    }[state]
    return Answer("up", "Is it up?", text, checks)


def _restorable(registry: RegistryObservation, observation: Observation, newest: Manifest | None) -> Answer:
    checks = _checks(registry, "storage", "backup", "rehearsal")
    question = "Could we restore?"
    promise = f"promised: never older than {format_duration(observation.backup_max_age)}"
    if registry.problem is not None:
        return Answer("restore", question, "Storage cannot be read", checks, (registry.problem,), State.UNKNOWN)
    if newest is None:
        return Answer("restore", question, "No backup", checks, (promise,), State.CRITICAL)
    content = f"{newest.rows:,} rows, {human_size(newest.stored_bytes)} stored"
    return Answer(
        "restore", question, f"As of {human_age(newest.snapshot.time, observation.moment)}", checks, (promise, content)
    )


def _missing(registry: RegistryObservation, observation: Observation) -> Answer:
    checks = _checks(registry, "artifacts")
    report = next(iter(registry.artifact_reports), None)
    if report is None or not report.readable:
        unread = State.NOT_APPLICABLE if registry.problem is None else State.UNKNOWN
        return Answer("missing", "What is missing?", "Not known", checks, at_least=unread)
    text = f"{report.gone:,} of {report.artifacts:,} artifacts"
    # Also those that nobody looked for: of a store that is not configured all are unsupported, and none is missing.
    others = [f"{report.verdicts[each]:,} {each}" for each in VERDICTS[1:] if report.verdicts.get(each)]
    notes = (f"looked at {human_age(report.finished, observation.moment)}", *([", ".join(others)] if others else []))
    return Answer("missing", "What is missing?", text, checks, notes)


def _checks(registry: RegistryObservation, *layers: str) -> tuple[CheckResult, ...]:
    found = [check for check in map(registry.check, layers) if check is not None]
    return tuple(sorted(found, key=lambda check: -check.state.gravity))
