"""The runner and the renderers, on checks that do what they are told."""

import re
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from prometheus_client.parser import text_string_to_metric_families

from opskit.errors import ConfigurationError, DeniedError, OpskitError, UnavailableError
from opskit.probe import render
from opskit.probe.result import LAYERS, RUNBOOKS, CheckResult, Finding, State, gravest
from opskit.probe.runner import Check, run_checks
from opskit.redaction import MASK, conceal
from tests.observations import broken
from tests.unit.command_line import PROJECT

OK = Finding(State.OK, "well", values={"schema_dirty": 0.0})


def looking(*steps: Finding | Exception | threading.Event) -> Callable[[], Iterator[Finding]]:
    """A check that yields findings, raises errors and waits for events."""

    def look() -> Iterator[Finding]:
        for step in steps:
            if isinstance(step, Exception):
                raise step
            if isinstance(step, threading.Event):
                step.wait()
            else:
                yield step

    return look


def test_hanging_check_fails_at_its_deadline_and_holds_up_no_other() -> None:
    release = threading.Event()
    started = time.monotonic()
    hung, other = run_checks(
        [Check("a", "mysql", looking(OK, release)), Check("a", "rest", looking(OK))], deadline_seconds=0.2
    )
    release.set()
    assert time.monotonic() - started < 20
    assert (hung.state, hung.detail) == (State.CRITICAL, "no answer within 0.2 s")
    assert hung.findings[0] == OK
    assert other.state is State.OK


@pytest.mark.parametrize(
    ("error", "state"),
    [
        (UnavailableError("down"), State.CRITICAL),
        (DeniedError("denied"), State.CRITICAL),
        (ConfigurationError("the file is missing"), State.UNKNOWN),
        (OpskitError("bug"), State.UNKNOWN),
        (KeyError("bug"), State.UNKNOWN),
    ],
)
def test_error_becomes_a_finding_and_takes_nothing_down(error: Exception, state: State) -> None:
    failed, other = run_checks([Check("a", "rest", looking(OK, error)), Check("a", "grpc", looking(OK))], 5)
    assert failed.state is state
    assert failed.runbook == RUNBOOKS["rest"]
    assert other.state is State.OK


def test_what_servers_say_is_one_printable_line_without_secrets() -> None:
    secret = conceal("hunter2-hunter2")
    (result,) = run_checks([Check("a", "rest", looking(UnavailableError(f"\x1b[31mno\r\n{secret}" + "x" * 999)))], 5)
    assert result.detail.startswith(f"[31mno {MASK}xxx")
    assert len(result.detail) == 300


def test_half_a_surrogate_pair_is_not_shown() -> None:
    said = "not healthy: \ud800 \udfffdown"
    (result,) = run_checks([Check("a", "rest", looking(Finding(State.CRITICAL, said, said)))], 5)
    assert (result.detail, result.hint) == ("not healthy: down", "not healthy: down")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        (
            "no answer from registryuser:hun@t/er2@tcp(mysql:3306)/models",
            f"no answer from {MASK}@tcp(mysql:3306)/models",
        ),
        ("dsn=registryuser:hunter2@unix(/run/mysqld.sock)/models", f"{MASK}@unix(/run/mysqld.sock)/models"),
        ("postgres://registryuser:hunter2@postgres:5432/models", f"postgres://{MASK}@postgres:5432/models"),
        ("s3://registry-backups/opskit lists in 21 ms", "s3://registry-backups/opskit lists in 21 ms"),
        ("user 'a'@'tcp' at http://127.0.0.1:80/", "user 'a'@'tcp' at http://127.0.0.1:80/"),
        (":" * 1_000_000, ":" * 299 + "…"),
    ],
)
def test_dsn_that_a_server_quotes_is_shown_without_its_password(said: str, shown: str) -> None:
    (result,) = run_checks([Check("a", "rest", looking(Finding(State.CRITICAL, said, said)))], 5)
    assert (result.detail, result.hint) == (shown, shown)


def test_result_is_as_grave_as_its_gravest_finding_and_shows_that() -> None:
    warning = Finding(State.WARNING, "soon", "do it", "certificate-expiring")
    result = CheckResult("a", "proxy", (OK, warning, Finding(State.NOT_APPLICABLE, "none")), 0.1)
    assert (result.state, result.detail, result.hint) == (State.WARNING, "soon", "do it")
    assert result.runbook == "certificate-expiring"


def test_gravity_follows_the_words() -> None:
    assert gravest([State.UNKNOWN, State.CRITICAL, State.WARNING, State.OK]) is State.CRITICAL
    assert gravest([State.NOT_APPLICABLE, State.OK]) is State.OK
    assert gravest([]) is State.NOT_APPLICABLE


def test_every_layer_has_a_runbook() -> None:
    assert set(RUNBOOKS) == set(LAYERS)


RESULTS = [
    CheckResult("a", "mysql", (OK,), 0.012),
    CheckResult("a", "rest", (Finding(State.CRITICAL, "no | answer", "look"),), 5.0),
    CheckResult("a", "grpc", (Finding(State.NOT_APPLICABLE, "not configured"),), 0.0),
]


def test_nagios_line_has_the_verdict_and_performance_data_behind_one_bar() -> None:
    first = render.nagios(RESULTS).splitlines()[0]
    assert first == "OPSKIT CRITICAL - a rest: no / answer | 'a mysql'=0.012s 'a rest'=5.000s"
    assert render.nagios(RESULTS[:1]).startswith("OPSKIT OK - 1 layer is well | ")


def test_nagios_line_tells_the_gravest_in_full_and_the_others_by_name() -> None:
    warning = CheckResult("a", "proxy", (Finding(State.WARNING, "soon"),), 0.1)
    assert render.nagios([warning, *RESULTS]).startswith("OPSKIT CRITICAL - a rest: no / answer; a proxy warning | ")


def test_prometheus_text_is_read_by_the_client_s_own_parser() -> None:
    families = {family.name: family for family in text_string_to_metric_families(render.prometheus(RESULTS) + "\n")}
    states = {
        (sample.labels["layer"], sample.labels["state"]): sample.value
        for sample in families["opskit_probe_state"].samples
    }
    assert states["rest", "critical"] == states["mysql", "ok"] == states["grpc", "not-applicable"] == 1
    assert sum(states.values()) == len(RESULTS)
    assert families["opskit_schema_dirty"].samples[0].value == 0
    durations = families["opskit_probe_duration_seconds"].samples
    assert [sample.labels["layer"] for sample in durations] == ["mysql", "rest"]


def test_text_tells_what_to_do_below_a_layer_that_is_not_well() -> None:
    assert render.text([*RESULTS, CheckResult("b", "mysql", (OK,), 0.012)]).splitlines() == [
        "a: critical",
        "  mysql      ok              well (12 ms)",
        "  rest       critical        no | answer (5.0 s)",
        "                             → look",
        "                             → runbook: registry-down",
        "  grpc       not-applicable  not configured",
        "b: ok",
        "  mysql      ok              well (12 ms)",
    ]


def test_text_fits_a_terminal_and_says_the_same() -> None:
    results = broken().registries[0].checks
    fitted = render.text(results, 80)
    assert max(map(len, fitted.splitlines())) <= 80
    assert " ".join(fitted.split()) == " ".join(render.text(results).split())


def test_every_runbook_that_is_named_is_there() -> None:
    source = "".join(path.read_text() for path in (PROJECT / "opskit" / "probe").glob("*.py"))
    runbooks = {path.stem for path in (PROJECT / "runbooks").glob("*.md")}
    named = set(re.findall(r'"((?:artifacts|backup|certificate|rehearsal|registry|schema)-[a-z]+)"', source))
    assert named >= set(RUNBOOKS.values())
    assert named <= runbooks
