"""A restore that ends live: safety backup, staging, comparison, one atomic exchange."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, replace

from opskit.backup.create import Options as BackupOptions
from opskit.backup.create import create_under
from opskit.backup.manifest import Manifest
from opskit.errors import OpskitError, RefusedError, advised
from opskit.mysql.connection import Connection, Endpoint, connect, execute, quote, require_supported
from opskit.mysql.lease import Lease
from opskit.progress import NoProgress, Progress
from opskit.restore import target as targets
from opskit.restore.exchange import (
    UNTOUCHED,
    refuse_programs,
    require_allowed,
    require_exchangeable,
)
from opskit.restore.losses import newer_rows
from opskit.restore.run import Options, RestoreReport, restore_under
from opskit.restore.settled import Settled, exchange_and_settle
from opskit.restore.space import Additions, additions, database_bytes
from opskit.restore.target import Generated, count_rows
from opskit.storage import Storage

logger = logging.getLogger(__name__)

WITHOUT_SAFETY_BACKUP = "that was the safety backup: --no-safety-backup leaves it out"


@dataclass(frozen=True, slots=True)
class TablePlan:
    """One table: rows now, rows in the backup, and rows now that say that they are newer than the backup.

    `newer` is None where the table does not tell.
    """

    table: str
    live_rows: int | None
    backup_rows: int | None
    newer: int | None


@dataclass(frozen=True, slots=True)
class SwapPlan:
    """What a swap would do: replace `tables`, keep `live_bytes` of former ones beside them, and add `added`.

    `found` is what earlier runs have left beside the live database.
    """

    backup_id: str
    live: str
    live_exists: bool
    live_bytes: int
    added: Additions
    tables: tuple[TablePlan, ...]
    found: tuple[Generated, ...]


@dataclass(frozen=True, slots=True)
class SwapReport:
    """What a swap did; `safety_backup` is None where none was wanted or nothing was there to save."""

    restored: RestoreReport
    settled: Settled
    safety_backup: str | None
    found: tuple[Generated, ...]


def plan_swap(server: Endpoint, live: str, manifest: Manifest) -> SwapPlan:
    """Look at the live database and say, table by table, what a swap would replace and what it would lose."""
    with contextlib.closing(connect(server)) as connection:
        exists = _require_swappable(connection, live, manifest)
        there = targets.tables(connection, live)
        saved = {table.name: table.rows for table in targets.without_marker(manifest).tables}
        taken_ms = int(manifest.snapshot.time.timestamp() * 1000)
        plans = [
            TablePlan(
                table=name,
                live_rows=count_rows(connection, live, name) if name in there else None,
                backup_rows=saved.get(name),
                newer=newer_rows(connection, live, name, taken_ms) if name in there else None,
            )
            for name in sorted({*there, *saved})
        ]
        found, size = targets.generated(connection, live), database_bytes(connection, live)
        return SwapPlan(manifest.id, live, exists, size, additions(manifest), tuple(plans), tuple(found))


def restore_and_swap(
    server: Endpoint,
    live_user: Endpoint,
    live: str,
    storage: Storage,
    manifest: Manifest,
    options: Options = Options(),
    *,
    safety_backup: BackupOptions | None = BackupOptions(),
    progress: Progress = NoProgress(),
) -> SwapReport:
    """Restore a backup and put it in the place of the live database; the former tables are kept beside it.

    Until the RENAME nothing live is touched, and every error tells on which side of it the run ended.
    """
    with contextlib.ExitStack() as held:
        with advised(UNTOUCHED):
            admin = held.enter_context(contextlib.closing(connect(server)))
            lease = held.enter_context(Lease(connect(server), live))
            lease.acquire(options.lease_wait_seconds)
            _require_swappable(admin, live, manifest)
            found = targets.generated(admin, live)
            outgoing = targets.fresh(admin, live, "before", options.run_id)
            saved, there = None, targets.tables(admin, live)
            if safety_backup and there:
                with advised(WITHOUT_SAFETY_BACKUP):
                    saved = create_under(lease, live_user, live, storage, manifest.registry, safety_backup, progress)
        untouched = _untouched(manifest, saved)
        with advised(untouched):
            if saved:
                _require_saved(there, saved)
            report = restore_under(lease, server, storage, manifest, replace(options, beside=live, into=None), progress)
        with _dropped_if_it_fails(admin, report.database):
            origin = saved.id if saved else "none"
            settled = exchange_and_settle(server, admin, lease, live, report.database, outgoing, origin, untouched)
    return SwapReport(report, settled, saved.id if saved else None, tuple(found))


def _untouched(manifest: Manifest, safety_backup: Manifest | None) -> str:
    """Return what to tell of a run that ends before the RENAME: `latest` would put the damage back in its place."""
    if safety_backup is None:
        return UNTOUCHED
    return f"`latest` is the safety backup now, {safety_backup.id}: name {manifest.id} to try again; {UNTOUCHED}"


def _require_saved(there: list[str], saved: Manifest) -> None:
    """Raise `RefusedError` that names what the safety backup lacks: its user may see less than the one that swaps."""
    if missing := sorted(set(there) - {table.name for table in saved.tables}):
        raise RefusedError(
            f"{saved.id} lacks tables of the live database: {', '.join(missing)}",
            hint="grant SELECT on the whole database to who takes backups; --no-safety-backup swaps without one",
        )


@contextlib.contextmanager
def _dropped_if_it_fails(connection: Connection, staged: str) -> Iterator[None]:
    """Drop what this run staged if it does not become live: no later run would use it, one of the same id would stop.

    Tables are renamed all together or not at all, so that nothing live is ever in there.
    """
    try:
        yield
    except BaseException:
        try:
            execute(connection, f"DROP DATABASE IF EXISTS {quote(staged)}")
        except OpskitError as error:
            logger.warning("the staging database %s is left: %s", staged, error.message)
        raise


def _require_swappable(connection: Connection, live: str, manifest: Manifest) -> bool:
    """Refuse at once what would be refused after hours of staging; tell whether the live database exists."""
    require_supported(connection)
    refuse_programs(f"{program.kind} {program.name} in the backup" for program in manifest.programs)
    exists = targets.exists(connection, live)
    require_exchangeable(connection, (live,) if exists else ())
    require_allowed(connection, live)
    return exists
