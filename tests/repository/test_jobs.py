"""A job is a command line that anybody could type: each parses against the tree of commands."""

import click
import pytest

from opskit.cli.invocation import Invocation
from opskit.cli.root import opskit
from opskit.jobs import JOBS, Job
from opskit.probe.result import LAYERS


def parsed(job: Job) -> click.Context:
    """Parse a job's arguments down to its command, and run nothing."""
    # What only a person starts is told which backup.
    person = ["latest"] if job.schedule is None else []
    context = opskit.make_context("opskit", [*job.arguments, *person], obj=Invocation())
    while isinstance(context.command, click.Group):
        name, command, arguments = context.command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, arguments, parent=context)
    return context


@pytest.mark.parametrize("job", JOBS, ids=lambda job: job.name)
def test_command_line_of_every_job_parses(job: Job) -> None:
    context = parsed(job)
    words = context.command_path.split()[1:]
    assert tuple(words) == job.arguments[: len(words)]


def test_probe_and_freshness_share_the_layers_between_them() -> None:
    chosen = {job.name: parsed(job).params["only"] for job in JOBS if job.name in ("probe", "freshness")}
    assert chosen["probe"] + chosen["freshness"] == LAYERS
