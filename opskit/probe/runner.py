"""Checks side by side, each with its own deadline: one that hangs is a failure, and holds up no other."""

import logging
import re
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from opskit.errors import CorruptError, DeniedError, NotFoundError, OpskitError, UnavailableError
from opskit.probe.result import CheckResult, Finding, State
from opskit.redaction import MASK, mask

logger = logging.getLogger(__name__)

# What says that the layer is broken; other errors say that opskit could not find out.
_BROKEN = (UnavailableError, DeniedError, NotFoundError, CorruptError)
# JSON may hold half a surrogate pair, which is no text: UTF-8 has no bytes for it.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]+")
# A server's error may quote the DSN by which it logs in: its password may be one that opskit has never read.
_CREDENTIALS = re.compile(r"(?<=://)[^\s/]+(?=@)|(?<!\S)[^\s:]*:\S*(?=@(?:tcp|unix)\()")
_DETAIL_CHARACTERS = 300


@dataclass(frozen=True, slots=True)
class Check:
    """One layer of one registry; `look` yields what it finds as soon as it has found it.

    It may raise. It must not wait for ever: a thread whose check has hung stays until its sockets time out.
    """

    registry: str
    layer: str
    look: Callable[[], Iterable[Finding]]


class _Attempt:
    """A check that runs in a thread of its own; a daemon, so that it cannot keep the process from ending."""

    def __init__(self, check: Check) -> None:
        self.check = check
        self.findings: list[Finding] = []
        self.started = time.monotonic()
        self.ended: float | None = None
        self.thread = threading.Thread(target=self._run, name=f"{check.registry} {check.layer}", daemon=True)
        self.thread.start()

    def _run(self) -> None:
        try:
            for finding in self.check.look():
                self.findings.append(finding)
        except Exception as error:  # noqa: BLE001 - no check may take the others down
            self.findings.append(_failure(self.check, error))
        self.ended = time.monotonic()

    def result(self, deadline_seconds: float) -> CheckResult:
        """Wait for the end or the deadline; what was found until then is kept."""
        self.thread.join(max(0.0, self.started + deadline_seconds - time.monotonic()))
        ended = self.ended
        findings = tuple(self.findings)
        if ended is None:
            findings += (Finding(State.CRITICAL, f"no answer within {deadline_seconds:g} s"),)
        return CheckResult(
            self.check.registry,
            self.check.layer,
            tuple(replace(each, detail=shown(each.detail), hint=each.hint and shown(each.hint)) for each in findings),
            deadline_seconds if ended is None else ended - self.started,
        )


def run_checks(checks: Sequence[Check], deadline_seconds: float) -> list[CheckResult]:
    """Run all checks at once and return their results in the same order, soon after the deadline at the latest."""
    attempts = [_Attempt(check) for check in checks]
    return [attempt.result(deadline_seconds) for attempt in attempts]


def _failure(check: Check, error: Exception) -> Finding:
    if isinstance(error, _BROKEN):
        return Finding(State.CRITICAL, error.message, error.hint)
    if isinstance(error, OpskitError):
        return Finding(State.UNKNOWN, error.message, error.hint)
    logger.error("%s: the check of %s ended with a bug", check.registry, check.layer, exc_info=error)
    return Finding(State.UNKNOWN, f"{type(error).__name__}: {error}", "this is a bug in opskit: please report it")


def shown(text: str) -> str:
    """Return a text as one printable line without secrets: servers may answer whatever they like."""
    line = mask(" ".join(_UNPRINTABLE.sub(" ", text).split()))
    line = _CREDENTIALS.sub(MASK, line)
    return line if len(line) <= _DETAIL_CHARACTERS else f"{line[: _DETAIL_CHARACTERS - 1]}…"
