"""Options that every command takes, before or after its name."""

import logging
from datetime import timedelta
from pathlib import Path
from typing import Any

import click

from opskit.cli import end_after, logs
from opskit.cli.invocation import Invocation
from opskit.cli.parameters import DurationType


class _SharedOption(click.Option):
    """An option that `opskit --help` lists, and no other help page again."""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the line for the root's help page, and none for the others."""
        return super().get_help_record(ctx) if ctx.parent is None else None


def _remember(context: click.Context, parameter: click.Parameter, value: Any) -> None:  # noqa: ANN401 - click's signature
    """Note an option that was given; one that was not leaves what an outer command was told."""
    invocation = context.ensure_object(Invocation)
    if value in (None, False, ()) or parameter.name is None:
        return
    if parameter.name == "registry_names":
        value = (*invocation.registry_names, *value)
    setattr(invocation, parameter.name, value)
    if parameter.name in ("quiet", "verbose"):
        logs.set_level(logging.DEBUG if invocation.verbose else logging.WARNING)


def _begin_deadline(context: click.Context, parameter: click.Parameter, value: timedelta | None) -> None:
    del context, parameter
    if value:
        end_after(value.total_seconds(), f"gave up: the deadline of {value} (h:mm:ss) has passed")


def _option(*names: str, **attributes: Any) -> _SharedOption:  # noqa: ANN401 - handed on to click
    return _SharedOption(names, expose_value=False, callback=_remember, **attributes)


_SHARED: list[click.Parameter] = [
    _option(
        "--config",
        type=click.Path(path_type=Path),
        metavar="FILE",
        help="Configuration file [OPSKIT_CONFIG].",
    ),
    _option("--registry", "registry_names", multiple=True, metavar="NAME", help="Only this registry; repeatable."),
    _option(
        "--mysql-url",
        metavar="URL",
        help="mysql://user@host/database, in place of a file [OPSKIT_MYSQL_URL].",
    ),
    _option(
        "storage_url",
        "--storage-url",
        "--storage",
        metavar="URL",
        help="s3://bucket/prefix or file:///directory, a copy's too [OPSKIT_STORAGE_URL].",
    ),
    _option("--json", is_flag=True, help="One JSON document on standard output."),
    _option("-v", "--verbose", is_flag=True, help="Say more."),
    _option("-q", "--quiet", is_flag=True, help="Say warnings and errors only."),
    _SharedOption(
        ["--deadline"],
        type=DurationType(),
        metavar="DURATION",
        expose_value=False,
        callback=_begin_deadline,
        help="End by itself after this time, cleaned up, with exit code 75.",
    ),
]


class Command(click.Command):
    """A command that takes the shared options as well."""

    def get_params(self, ctx: click.Context) -> list[click.Parameter]:
        """Return the command's own options and the shared ones."""
        return [*super().get_params(ctx), *_SHARED]

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """End the help page with the names of the shared options."""
        super().format_epilog(ctx, formatter)
        if ctx.parent is not None:
            names = ", ".join(max(option.opts, key=len) for option in _SHARED)
            formatter.write_paragraph()
            formatter.write_text(f"Every command also takes {names}: see opskit --help.")


class Group(Command, click.Group):
    """A group whose commands take the shared options."""

    command_class = Command
    group_class = type
