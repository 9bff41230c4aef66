"""`opskit restore rollback` and `cleanup`: the way back from a swap, and the end of what swaps have left."""

from datetime import timedelta

import click

from opskit.amounts import human_seconds
from opskit.cli.cutover import exchange_options, settled
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Command
from opskit.cli.output import Table
from opskit.cli.parameters import DurationType
from opskit.cli.restart import Restart, by_hand, restarted
from opskit.errors import advised
from opskit.restore.exchange import UNTOUCHED
from opskit.restore.rollback import cleanup as clean_up
from opskit.restore.rollback import plan_rollback
from opskit.restore.rollback import rollback as roll_back
from opskit.settings.units import format_duration
from opskit.wiring import restore_endpoint


@click.command(cls=Command)
@click.option("--to", "database", metavar="DATABASE", help="Go back to this database, as `cleanup` lists it.")
@click.option("--yes", is_flag=True, help="Carry it out.")
@click.option("--lease-wait", type=DurationType(), default="0s", help="Wait this long for another run to end.")
@exchange_options
@pass_invocation
def rollback(
    invocation: Invocation,
    *,
    database: str | None,
    yes: bool,
    lease_wait: timedelta,
    run_id: str | None,
    restart: bool,
    restart_timeout: timedelta,
) -> None:
    """Bring back the tables that the newest swap moved out, all at once; those of now are kept beside them."""
    registry = invocation.registry
    server, live = restore_endpoint(registry), registry.mysql.database
    if not yes:
        plan = plan_rollback(server, live, database)
        invocation.show(
            plan,
            f"plan: the tables of {live} make room for those of {plan.former.database},"
            f" moved out {human_seconds(plan.former.age_seconds)} ago",
            *(f"  {rows:,} rows of {table} would not be live any more" for table, rows in plan.lost.items()),
            f"nothing was changed; to carry it out: {_rollback_to(invocation, plan.former.database, run_id)}",
        )
        return
    with advised(UNTOUCHED):
        to_restart = Restart(invocation, registry, restart_timeout) if restart else None
    done = roll_back(server, live, database, run_id=run_id, lease_wait_seconds=lease_wait.total_seconds())
    ended = to_restart and to_restart.carry_out()
    invocation.show(
        {"rollback": done, "restart": ended},
        f"rolled back: the tables of {done.exchange.incoming} are live in {live}",
        *settled(done),
        *(restarted(ended) if ended else [by_hand(registry)]),
        f"  to return: {_rollback_to(invocation, done.exchange.outgoing)}",
    )
    if done.stray:
        invocation.found_problems()


def _rollback_to(invocation: Invocation, database: str, run_id: str | None = None) -> str:
    named = [f"--run-id={run_id}"] if run_id else []
    return invocation.command("restore", "rollback", "--to", database, *named, "--yes")


@click.command(cls=Command)
@click.option("--older-than", type=DurationType(), default="7d", help="Leave younger ones alone [7d].")
@click.option("--apply", is_flag=True, help="Drop them.")
@click.option("--lease-wait", type=DurationType(), default="0s", help="Wait this long for another run to end.")
@pass_invocation
def cleanup(invocation: Invocation, *, older_than: timedelta, apply: bool, lease_wait: timedelta) -> None:
    """List the databases that restores and swaps have left beside the live one, and drop them with --apply."""
    registry = invocation.registry
    found = clean_up(
        restore_endpoint(registry),
        registry.mysql.database,
        older_than_seconds=older_than.total_seconds(),
        apply=apply,
        lease_wait_seconds=lease_wait.total_seconds(),
    )
    invocation.show(
        {"dropped": apply, "databases": found.databases, "unmarked": found.unmarked},
        Table(
            ("DATABASE", "MADE FOR", "AGE", "TABLES", "BACKUP"),
            [
                (each.database, each.purpose, human_seconds(each.age_seconds), each.tables, each.backup_id)
                for each in found.databases
            ],
            right=("AGE", "TABLES"),
        ),
        ("dropped" if apply else f"nothing was changed; to drop them: {_cleanup_older(invocation, older_than)}")
        if found.databases
        else f"nothing to clean up that is older than {human_seconds(older_than.total_seconds())}",
        *(
            f"{name} has a name as opskit makes it and no mark of opskit's: look into it, and drop it by hand"
            for name in found.unmarked
        ),
    )


def _cleanup_older(invocation: Invocation, older_than: timedelta) -> str:
    return invocation.command("restore", "cleanup", "--older-than", format_duration(older_than), "--apply")
