"""`opskit probe`: whether the registry is healthy, layer by layer."""

import shutil
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal

import click

from opskit.checks import planned_checks
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Command
from opskit.cli.output import as_json, write
from opskit.cli.parameters import DurationType
from opskit.probe import render
from opskit.probe.result import LAYERS, CheckResult, State, gravest
from opskit.probe.runner import Check, run_checks

Format = Literal["text", "json", "nagios", "prometheus"]
FORMATS: tuple[Format, ...] = ("text", "json", "nagios", "prometheus")
FAILURES = [str(state) for state in (State.WARNING, State.UNKNOWN, State.CRITICAL)]


class LayersType(click.ParamType[tuple[str, ...]]):
    """Names of layers, with commas between them."""

    name = "layers"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> tuple[str, ...]:
        """Return the layers in the order of `LAYERS`."""
        names = set(value) if isinstance(value, tuple) else {each.strip() for each in str(value).split(",")}
        if strange := sorted(names - set(LAYERS)):
            self.fail(f"{', '.join(map(repr, strange))}: the layers are {', '.join(LAYERS)}", param, ctx)
        return tuple(layer for layer in LAYERS if layer in names)


@click.command(cls=Command)
@click.option("--only", type=LayersType(), default=LAYERS, metavar="LAYERS", help=f"Some of {','.join(LAYERS)}.")
@click.option(
    "--fail-on",
    type=click.Choice(FAILURES),
    default=str(State.UNKNOWN),
    help="Exit with 1 from this state on; the gravest is critical.",
)
@click.option("--write", "writing", is_flag=True, help="Also put an object into the storage, and delete it.")
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", help="How the results are shown.")
@click.option(
    "--watch",
    type=DurationType(),
    is_flag=False,
    flag_value="5s",
    metavar="[DURATION]",
    help="Again and again, until ^C.",
)
@pass_invocation
def probe(
    invocation: Invocation,
    only: tuple[str, ...],
    fail_on: str,
    writing: bool,
    form: Format,
    watch: timedelta | None,
) -> None:
    """Look whether the registry works, layer by layer.

    Every layer is looked at side by side with the others, and has failed if it does not answer in time
    (probe.deadline). Exit code 1 means critical or unknown; with --format nagios it is 0 to 3, whatever happens.
    With --watch it goes on whatever it finds; after Ctrl-C the exit code is that of the last look.
    """
    settings = invocation.settings
    if form == "json" or (form == "text" and invocation.json):
        form, invocation.json = "json", True
    checks = planned_checks(settings, invocation.registries, only, unreadable=invocation.unreadable, write=writing)
    deadline = settings.probe.deadline.total_seconds()
    if watch is None:
        results = run_checks(checks, deadline)
        show(invocation, results, form)
    else:
        results = watched(checks, deadline, form, watch.total_seconds())
    if form == "nagios":
        invocation.codes.append(render.NAGIOS_CODES[gravest(result.state for result in results)])
    elif any(result.state.gravity >= State(fail_on).gravity for result in results):
        invocation.found_problems()


def watched(checks: Sequence[Check], deadline: float, form: Format, pause: float) -> list[CheckResult]:
    """Look again and again, show each look, and return the last one once Ctrl-C comes.

    That is how a watch is meant to end, as ping's is: it is an interruption only before the first look has ended.
    """
    results: list[CheckResult] = []
    try:
        while True:
            results = run_checks(checks, deadline)
            heading = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC\n" if form == "text" else ""
            write(heading + rendered(results, form))
            time.sleep(pause)
    except KeyboardInterrupt:
        if not results:
            raise
    return results


def show(invocation: Invocation, results: Sequence[CheckResult], form: Format) -> None:
    """Show one look: as the one JSON document of the command, or as text."""
    if form == "json":
        invocation.show(render.document(results))
    else:
        write(rendered(results, form))


def rendered(results: Sequence[CheckResult], form: Format) -> str:
    """Return the results in one of the formats."""
    if form == "json":
        return as_json(render.document(results))
    if form == "text":
        on_terminal = sys.stdout is not None and sys.stdout.isatty()
        return render.text(results, shutil.get_terminal_size().columns if on_terminal else None)
    return {"nagios": render.nagios, "prometheus": render.prometheus}[form](results)
