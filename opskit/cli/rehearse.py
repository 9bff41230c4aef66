"""`opskit backup rehearse`: backups really restored, compared, and dropped again."""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import click

from opskit.amounts import human_seconds
from opskit.backup.catalog import find
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Command
from opskit.cli.outcomes import Outcome, for_each_registry
from opskit.cli.parameters import DurationType
from opskit.errors import CorruptError, UsageError
from opskit.mysql.throwaway import throwaway_server
from opskit.restore.rehearse import Rehearsal
from opskit.restore.rehearse import rehearse as rehearse_backup
from opskit.settings import Registry
from opskit.wiring import configured_storage, rehearsal_endpoint, restore_endpoint, restore_options


@click.command(cls=Command)
@click.argument("backup_reference", metavar="[BACKUP]", default="latest")
@click.option("--sandbox", is_flag=True, help="Start a MySQL server for this run alone, and leave nothing behind.")
@click.option(
    "--mysqld",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="The server program for --sandbox [mysqld on PATH].",
)
@click.option("--workers", type=click.IntRange(1, 64), help="Sessions that load side by side [backup.workers].")
@click.option("--lease-wait", type=DurationType(), default="0s", help="Wait this long for another run to end.")
@pass_invocation
def rehearse(
    invocation: Invocation,
    backup_reference: str,
    *,
    sandbox: bool,
    mysqld: Path | None,
    workers: int | None,
    lease_wait: timedelta,
) -> None:
    """Really restore BACKUP of each registry into a scratch database, compare it, drop it, and keep the verdict.

    It runs in a sandbox if asked to, else on the server named by `rehearse:`, else on the live one, up to
    rehearse.max_bytes. BACKUP is an id, a prefix of one, or latest.
    """
    if mysqld and not sandbox:
        raise UsageError("--mysqld is the server program for --sandbox", hint="add --sandbox")
    settings = invocation.settings
    storage = configured_storage(settings)
    options = replace(restore_options(settings, workers=workers), lease_wait_seconds=lease_wait.total_seconds())
    with contextlib.ExitStack() as held:
        throwaway = held.enter_context(throwaway_server(mysqld)) if sandbox else None

        def restored(registry: Registry) -> Rehearsal:
            manifest = find(storage, registry.name, backup_reference)
            own = throwaway or rehearsal_endpoint(registry)
            with invocation.progress() as progress:
                done = rehearse_backup(
                    own or restore_endpoint(registry),
                    storage,
                    manifest,
                    options,
                    beside=registry.mysql.database,
                    maximum_bytes=None if own else settings.rehearse.max_bytes,
                    progress=progress,
                )
            if done.problems:
                raise CorruptError(
                    f"the rehearsal of {done.backup_id} failed: {'; '.join(done.problems)}",
                    hint="restore from another backup; the verdict is kept beside this one",
                )
            return done

        outcomes = for_each_registry(invocation, restored)
    _show(invocation, storage.url, outcomes)


def _show(invocation: Invocation, storage_url: str, outcomes: Sequence[Outcome[Rehearsal]]) -> None:
    invocation.show(
        {
            "storage": storage_url,
            "rehearsals": [
                {"registry": each.registry, **({"rehearsal": each.result} if each.result else {"error": each.error})}
                for each in outcomes
            ],
        },
        *(line for each in outcomes if each.result for line in _told(each.result)),
    )


def _told(done: Rehearsal) -> list[str]:
    seconds = (done.finished - done.started).total_seconds()
    return [
        f"backup {done.backup_id} was restored on {done.server}: {done.rows:,} rows, compared with the manifest, equal",
        f"  as a registry it is sound; the scratch database is dropped; it took {human_seconds(seconds)}",
        *(f"  dropped what an earlier rehearsal left: {name}" for name in done.removed),
    ]
