"""What a swap and a rollback are told, and what they show."""

import re
from collections.abc import Callable, Sequence
from typing import Any

import click

from opskit.amounts import human_seconds, human_size
from opskit.cli.invocation import Invocation
from opskit.cli.output import Table
from opskit.cli.parameters import DurationType
from opskit.restore.settled import Settled
from opskit.restore.swap import SwapPlan, SwapReport
from opskit.restore.target import RUN_ID, Generated


class RunIdType(click.ParamType[str]):
    """A run id as opskit makes it."""

    name = "run id"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the run id; anything else is a usage error."""
        if not re.fullmatch(RUN_ID, str(value)):
            self.fail(f"{value!r} is no run id: take the one that opskit printed", param, ctx)
        return str(value)


def exchange_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Give a command that exchanges tables the options of doing so, and of the restart after it."""
    for option in (
        click.option("--run-id", type=RunIdType(), metavar="ID", help="Use these names: they were granted one by one."),
        click.option(
            "--restart-timeout",
            type=DurationType(),
            default="5m",
            metavar="DURATION",
            help="How long the restart and the probe may take [5m].",
        ),
        click.option("--restart", is_flag=True, help="Then restart the registry's Deployment, wait, and probe it."),
    ):
        command = option(command)
    return command


def planned(invocation: Invocation, plan: SwapPlan, again: Sequence[str]) -> list[str | Table]:
    """Show what a swap would do, and the command that does it; `again` are the options to repeat.

    It names the backup by its id: by then `latest` can be another one.
    """
    state = "is replaced; its tables are kept beside it" if plan.live_exists else "does not exist, and is made"
    data, binlog = human_size(plan.added.data_bytes), human_size(plan.added.binlog_bytes)
    return [
        f"plan: database {plan.live} {state}",
        f"  about {data} of data and {binlog} of binary log are added",
        f"  {human_size(plan.live_bytes)} of former tables stay until `restore cleanup`",
        Table(
            ("TABLE", "ROWS NOW", "ROWS IN BACKUP", "NEWER THAN BACKUP"),
            [
                (each.table, _number(each.live_rows), _number(each.backup_rows), _number(each.newer))
                for each in plan.tables
            ],
            right=("ROWS NOW", "ROWS IN BACKUP", "NEWER THAN BACKUP"),
        ),
        *_found(invocation, plan.found),
        "nothing was changed; to carry it out: "
        + invocation.command("restore", "run", plan.backup_id, "--swap", *again, "--yes"),
    ]


def cleanup_command(invocation: Invocation) -> str:
    """Return the command that lists what runs have left, however young; it drops with --apply."""
    return invocation.command("restore", "cleanup", "--older-than", "0s")


def _number(count: int | None) -> str:
    return "" if count is None else f"{count:,}"


def _found(invocation: Invocation, found: Sequence[Generated]) -> list[str]:
    return [
        f"found {each.database}, left {human_seconds(each.age_seconds)} ago by an earlier run"
        f"{'' if each.tables else ', which got no further'}; to drop it: {cleanup_command(invocation)}"
        for each in found
    ]


def swapped(invocation: Invocation, done: SwapReport) -> list[str]:
    """Show what a swap did."""
    return [
        f"swapped: {len(done.settled.exchange.moved_in)} tables are live in {done.settled.exchange.live}",
        *settled(done.settled),
        f"  safety backup: {done.safety_backup or 'none'}",
        f"  to go back: {invocation.command('restore', 'rollback', '--yes')}",
        *_found(invocation, done.found),
    ]


def settled(done: Settled) -> list[str]:
    """Show where the former tables are, and what is not live any more."""
    moved = done.exchange
    former = f"the former {len(moved.moved_out)} are kept in {moved.outgoing}"
    return [
        f"  {former if moved.moved_out else 'there were no former tables'}",
        *(
            f"  {rows:,} rows of {table} are not live any more: only {moved.outgoing} has them"
            for table, rows in (done.lost or {}).items()
        ),
        *(f"  stray table in {moved.live}: {name}" for name in done.stray),
    ]
