"""A restore that ends live: safety backup, staging, comparison, one atomic exchange; and the way back."""

import contextlib
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from opskit.backup.create import Options as BackupOptions
from opskit.backup.create import create_under
from opskit.backup.manifest import Manifest
from opskit.errors import NotFoundError, OpskitError
from opskit.mysql.connection import Connection, Endpoint, connect, execute, quote, require_supported, scalar
from opskit.mysql.lease import Lease
from opskit.progress import NoProgress, Progress
from opskit.restore import target as targets
from opskit.restore.exchange import Exchange, exchange, finish, require_exchangeable
from opskit.restore.run import Options, RestoreReport, restore_under
from opskit.restore.target import Generated, Purpose, Target
from opskit.storage import Storage

UNTOUCHED = "the live registry was not touched"


@dataclass(frozen=True, slots=True)
class TablePlan:
    """One table: rows now, rows in the backup, and rows now that are newer than the backup.

    `newer` counts rows changed after the snapshot, where the table says when (the registry's do, in milliseconds);
    None where it does not.
    """

    table: str
    live_rows: int | None
    backup_rows: int | None
    newer: int | None


@dataclass(frozen=True, slots=True)
class SwapPlan:
    """What a swap would do."""

    backup_id: str
    live: str
    live_exists: bool
    tables: tuple[TablePlan, ...]


@dataclass(frozen=True, slots=True)
class SwapReport:
    """What a swap did; `safety_backup` is None where none was wanted or nothing was there to save.

    `stray` are tables that are live and are not the backup's.
    """

    restored: RestoreReport
    exchange: Exchange
    safety_backup: str | None
    stray: tuple[str, ...]


def plan_swap(server: Endpoint, live: str, manifest: Manifest) -> SwapPlan:
    """Look at the live database and say, table by table, what a swap would replace and what it would lose."""
    with contextlib.closing(connect(server)) as connection:
        exists = targets.exists(connection, live)
        there = targets.tables(connection, live) if exists else []
        if exists:
            require_exchangeable(connection, (live,))
        saved = {table.name: table.rows for table in manifest.tables}
        taken_ms = int(manifest.snapshot.time.timestamp() * 1000)
        plans = [
            TablePlan(
                table=name,
                live_rows=_count(connection, live, name) if name in there else None,
                backup_rows=saved.get(name),
                newer=_newer(connection, live, name, taken_ms) if name in there else None,
            )
            for name in sorted(set(there) | set(saved))
        ]
    return SwapPlan(manifest.id, live, exists, tuple(plans))


def _count(connection: Connection, database: str, table: str) -> int:
    return int(scalar(connection, f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)}"))


def _newer(connection: Connection, database: str, table: str, taken_ms: int) -> int | None:
    columns = {
        row[0]
        for row in execute(
            connection,
            "SELECT column_name FROM information_schema.columns WHERE table_schema = %s AND table_name = %s",
            [database, table],
        )
    }
    changed = "last_update_time_since_epoch"
    if changed not in columns:
        return None
    return int(
        scalar(
            connection,
            f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)} WHERE {changed} > %s",
            [taken_ms],
        )
    )


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

    Until the RENAME nothing live is touched, and every error says so.
    """
    exchanged = False
    try:
        with (
            contextlib.closing(connect(server)) as admin,
            Lease(connect(server), live) as lease,
        ):
            require_supported(admin)
            lease.acquire(options.lease_wait_seconds)
            exists = targets.exists(admin, live)
            if exists:
                require_exchangeable(admin, (live,))
            saved = None
            if safety_backup and exists:
                saved = create_under(lease, live_user, live, storage, manifest.registry, safety_backup, progress).id
            staged = replace(options, beside=live, into=None)
            report = restore_under(lease, server, storage, manifest, staged, progress)
            outgoing = _fresh(live, "before")
            moved = exchange(admin, lease, live, report.database, outgoing, saved or "none")
            exchanged = True
            stray = finish(admin, moved)
    except OpskitError as error:
        if not exchanged:
            error.hint = "; ".join(part for part in (error.hint, UNTOUCHED) if part)
        raise
    return SwapReport(report, moved, saved, stray)


def _fresh(live: str, purpose: Purpose) -> Target:
    name = targets.generated_name(live, purpose, targets.new_run_id(datetime.now(UTC)))
    return Target(name, staging=True, live=live)


def rollback(server: Endpoint, live: str, chosen: str | None = None, lease_wait_seconds: float = 0) -> Exchange:
    """Bring back the tables that the newest swap moved out, or those of the database `chosen`; as atomically.

    What is live now goes to `_after_`, so that a rollback can be rolled back. `NotFoundError` if nothing is there to
    go back to.
    """
    with contextlib.closing(connect(server)) as admin, Lease(connect(server), live) as lease:
        lease.acquire(lease_wait_seconds)
        former = _former(targets.generated(admin, live), live, chosen)
        done = exchange(admin, lease, live, former.database, _fresh(live, "after"), former.backup_id)
        finish(admin, done)
        return done


def former_tables(server: Endpoint, live: str, chosen: str | None = None) -> Generated:
    """Return the database that `rollback` would bring back."""
    with contextlib.closing(connect(server)) as admin:
        return _former(targets.generated(admin, live), live, chosen)


def _former(found: list[Generated], live: str, chosen: str | None) -> Generated:
    usable = [each for each in found if each.purpose in ("before", "after")]
    if chosen is not None:
        matches = [each for each in usable if each.database == chosen]
    else:
        matches = [each for each in usable if each.purpose == "before"]
    if not matches:
        what = f"no database {chosen!r}" if chosen else "no former tables"
        raise NotFoundError(
            f"there are {what} to go back to beside {live!r}",
            hint="`opskit restore cleanup` lists what swaps have left; a backup can be restored with `restore run`",
        )
    return matches[-1]


def cleanup(server: Endpoint, live: str, *, older_than_seconds: float, apply: bool) -> list[Generated]:
    """Return the databases that earlier runs left beside `live`, and drop them if told to.

    `NotFoundError` is never raised: nothing to clean up is an empty list.
    """
    with contextlib.closing(connect(server)) as admin, Lease(connect(server), live) as lease:
        lease.acquire()
        old = [each for each in targets.generated(admin, live) if each.age_seconds >= older_than_seconds]
        for each in old if apply else []:
            execute(admin, f"DROP DATABASE {quote(each.database)}")
    return old
