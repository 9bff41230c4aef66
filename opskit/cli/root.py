"""The tree of commands; the module of each is imported when it is asked for."""

import importlib
from collections.abc import Sequence

import click

from opskit import __version__
from opskit.cli import NAGIOS_UNKNOWN, USAGE, error_document, logs, wants
from opskit.cli.gravity import gravest
from opskit.cli.invocation import Invocation
from opskit.cli.options import Group
from opskit.cli.output import write

# The command `name` is the attribute `name` of the module `opskit.cli.name`.
SUMMARIES = {
    "artifacts": "Look for the bytes that a registry points to.",
    "backup": "Create, list and check backups.",
    "cluster": "Install opskit in a cluster, run its jobs by hand, see how they stand.",
    "config": "Check the configuration.",
    "probe": "Look whether the registry works, layer by layer.",
    "registries": "List the registries, each with its last backup, its rehearsal and its health.",
    "report": "Write the status page, for on-call, into a file.",
    "restore": "Bring a backup back, beside the live database.",
    "serve": "Run the jobs on schedule, and serve a status page, metrics and an API.",
}


class LazyGroup(Group):
    """A group that knows names and summaries, and no more until a command is asked for."""

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the command."""
        if cmd_name not in SUMMARIES:
            return super().get_command(ctx, cmd_name)
        command = getattr(importlib.import_module(f"opskit.cli.{cmd_name}"), cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"opskit.cli.{cmd_name}.{cmd_name} is no command")
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """List the commands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, command.get_short_help_str(80)) for name, command in self.commands.items()])


def _show_version(context: click.Context, parameter: click.Parameter, value: bool) -> None:
    del parameter
    if value:
        write(f"opskit {__version__} ({_encoder()})")
        context.exit()


def _encoder() -> str:
    try:
        accelerated = getattr(importlib.import_module("opskit.mysql.encode"), "ACCELERATED", False)
    except ImportError as error:
        return f"rows cannot be encoded: {error}"
    return "rows are encoded in C" if accelerated else "rows are encoded in Python: the C extension was not built"


@click.group(
    cls=LazyGroup,
    commands={name: click.Command(name, help=summary) for name, summary in SUMMARIES.items()},
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.option(
    "--version",
    is_flag=True,
    is_eager=True,
    expose_value=False,
    callback=_show_version,
    help="Show the version, and how rows are encoded.",
)
def opskit() -> None:
    """Back up, rehearse and restore the database of a Model Registry."""


def run(arguments: Sequence[str]) -> int:
    """Carry out one command line and return its exit code; click's errors are shown, all others raised."""
    invocation = Invocation()
    code = 0
    with logs.to_standard_error():
        try:
            # Not main(standalone_mode=False): that ends a broken pipe with exit code 1 (click 8.5).
            with opskit.make_context("opskit", list(arguments), obj=invocation) as context:
                opskit.invoke(context)
        except click.exceptions.Exit as end:
            code = end.exit_code
        except click.Abort:
            raise KeyboardInterrupt from None
        except click.ClickException as error:
            error.show()
            code = USAGE
            if wants(arguments, "json"):
                invocation.document = error_document(error.format_message(), None, code)
            if wants(arguments, "nagios"):
                code = NAGIOS_UNKNOWN
                write(f"OPSKIT UNKNOWN - {error.format_message()}")
        if invocation.document is not None:
            write(invocation.document)
    return gravest([code, *invocation.codes])
