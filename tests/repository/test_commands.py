"""Every command explains itself, and the summaries of `opskit --help` are its own."""

from collections.abc import Iterator

import click
import pytest

from opskit.cli.options import Command
from opskit.cli.root import SUMMARIES, opskit


def commands(group: click.Group, context: click.Context) -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        yield f"{context.command_path} {name}", command
        if isinstance(command, click.Group):
            yield from commands(command, click.Context(command, parent=context, info_name=name))


@pytest.fixture(scope="module")
def tree() -> dict[str, click.Command]:
    return dict(commands(opskit, click.Context(opskit, info_name="opskit")))


@pytest.mark.parametrize("name", SUMMARIES)
def test_summary_is_the_command_s_own(name: str, tree: dict[str, click.Command]) -> None:
    help_page = tree[f"opskit {name}"].help
    assert help_page is not None
    assert help_page.splitlines()[0] == SUMMARIES[name]


def test_every_command_and_option_has_help(tree: dict[str, click.Command]) -> None:
    for path, command in tree.items():
        assert command.help, path
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, f"{path} {parameter.name}"


def test_every_command_takes_the_shared_options(tree: dict[str, click.Command]) -> None:
    assert {path for path, command in tree.items() if not isinstance(command, Command)} == set()
