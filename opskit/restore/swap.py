"""A restore that ends live: safety backup, staging, comparison, one atomic exchange; and the way back."""

import contextlib
import logging
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from opskit.backup.create import Options as BackupOptions
from opskit.backup.create import create_under
from opskit.backup.manifest import Manifest
from opskit.errors import NotFoundError, OpskitError, advised
from opskit.mysql.connection import Connection, Endpoint, connect, execute, quote, require_supported, scalar
from opskit.mysql.lease import Lease
from opskit.progress import NoProgress, Progress
from opskit.restore import target as targets
from opskit.restore.exchange import (
    UNTOUCHED,
    Exchange,
    exchange,
    finish,
    refuse_programs,
    require_allowed,
    require_exchangeable,
)
from opskit.restore.losses import newer_rows, rows_only_in
from opskit.restore.run import Additions, Options, RestoreReport, additions, restore_under
from opskit.restore.target import Generated, Purpose, Target
from opskit.storage import Storage

logger = logging.getLogger(__name__)


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
class Settled:
    """A finished exchange: which tables have no business being live, and which former rows are not live any more.

    `lost` is None where it could not be counted; the rows are all in `exchange.outgoing`.
    """

    exchange: Exchange
    stray: tuple[str, ...]
    lost: dict[str, int] | None


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
        saved = {table.name: table.rows for table in manifest.tables}
        taken_ms = int(manifest.snapshot.time.timestamp() * 1000)
        plans = [
            TablePlan(
                table=name,
                live_rows=_count(connection, live, name) if name in there else None,
                backup_rows=saved.get(name),
                newer=newer_rows(connection, live, name, taken_ms) if name in there else None,
            )
            for name in sorted({*there, *saved})
        ]
        found = targets.generated(connection, live)
        return SwapPlan(
            manifest.id, live, exists, _bytes(connection, live), additions(manifest), tuple(plans), tuple(found)
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

    Until the RENAME nothing live is touched, and every error tells on which side of it the run ended.
    """
    with contextlib.ExitStack() as held:
        with advised(UNTOUCHED):
            admin = held.enter_context(contextlib.closing(connect(server)))
            lease = held.enter_context(Lease(connect(server), live))
            lease.acquire(options.lease_wait_seconds)
            exists = _require_swappable(admin, live, manifest)
            found = targets.generated(admin, live)
            saved = None
            if safety_backup and exists and targets.tables(admin, live):
                with advised("that was the safety backup: --no-safety-backup leaves it out"):
                    saved = create_under(lease, live_user, live, storage, manifest.registry, safety_backup, progress)
            report = restore_under(lease, server, storage, manifest, replace(options, beside=live, into=None), progress)
        origin = saved.id if saved else "none"
        settled = _exchanged(
            server, admin, lease, live, report.database, _fresh(live, "before", options.run_id), origin
        )
    return SwapReport(report, settled, saved.id if saved else None, tuple(found))


def _require_swappable(connection: Connection, live: str, manifest: Manifest) -> bool:
    """Refuse at once what would be refused after hours of staging; tell whether the live database exists."""
    require_supported(connection)
    refuse_programs(f"{program.kind} {program.name} in the backup" for program in manifest.programs)
    exists = targets.exists(connection, live)
    require_exchangeable(connection, (live,) if exists else ())
    require_allowed(connection, live)
    return exists


def _exchanged(
    server: Endpoint, admin: Connection, lease: Lease, live: str, incoming: str, outgoing: Target, origin: str
) -> Settled:
    done = exchange(server, lease, live, incoming, outgoing, origin)
    with advised(f"the tables of {incoming} are live, those of before are in {outgoing.database}"):
        stray = finish(admin, done)
    try:
        lost = rows_only_in(admin, done.outgoing, live) if done.moved_out else {}
    except OpskitError as error:  # it is done all the same
        logger.warning("the rows that are not live any more could not be counted: %s", error.message)
        lost = None
    return Settled(done, stray, lost)


def _count(connection: Connection, database: str, table: str) -> int:
    return int(scalar(connection, f"SELECT COUNT(*) FROM {quote(database)}.{quote(table)}"))


def _bytes(connection: Connection, database: str) -> int:
    return int(
        scalar(
            connection,
            "SELECT COALESCE(SUM(data_length + index_length), 0) FROM information_schema.tables"
            " WHERE table_schema = %s",
            [database],
        )
    )


def _fresh(live: str, purpose: Purpose, run_id: str | None) -> Target:
    name = targets.generated_name(live, purpose, run_id or targets.new_run_id(datetime.now(UTC)))
    return Target(name, staging=True, live=live)


def rollback(
    server: Endpoint,
    live: str,
    chosen: str | None = None,
    *,
    run_id: str | None = None,
    lease_wait_seconds: float = 0,
) -> Settled:
    """Bring back the tables that the newest swap moved out, or those of the database `chosen`; as atomically.

    What is live now goes to `_after_`, and back to `_before_` when going forward again: so each way can be gone any
    number of times. `NotFoundError` if nothing is there to go back to.
    """
    with contextlib.ExitStack() as held:
        with advised(UNTOUCHED):
            admin = held.enter_context(contextlib.closing(connect(server)))
            lease = held.enter_context(Lease(connect(server), live))
            lease.acquire(lease_wait_seconds)
            require_supported(admin)
            require_allowed(admin, live)
            former = _former(targets.generated(admin, live), live, chosen)
        outgoing = _fresh(live, "after" if former.purpose == "before" else "before", run_id)
        return _exchanged(server, admin, lease, live, former.database, outgoing, "none")


def former_tables(server: Endpoint, live: str, chosen: str | None = None) -> Generated:
    """Return the database that `rollback` would bring back."""
    with contextlib.closing(connect(server)) as admin:
        require_allowed(admin, live)
        return _former(targets.generated(admin, live), live, chosen)


def _former(found: list[Generated], live: str, chosen: str | None) -> Generated:
    # One without tables is of a run that ended before its RENAME: going back to it would empty the registry.
    usable = [each for each in found if each.purpose in ("before", "after") and each.tables]
    matches = [each for each in usable if (each.purpose == "before" if chosen is None else each.database == chosen)]
    if not matches:
        what = "no former tables" if chosen is None else f"no tables in a database {chosen!r}"
        others = ", ".join(each.database for each in usable)
        raise NotFoundError(
            f"there are {what} to go back to beside {live!r}",
            hint=f"to go forward again: --to {others}"
            if others
            else "`opskit restore cleanup` lists what swaps have left; a backup can be restored with `restore run`",
        )
    return matches[-1]


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What earlier runs left beside the live database; `unmarked` may be somebody else's, and stays."""

    databases: tuple[Generated, ...]
    unmarked: tuple[str, ...]


def cleanup(server: Endpoint, live: str, *, older_than_seconds: float, apply: bool) -> Leftovers:
    """Return the databases that earlier runs left beside `live`, and drop those that are opskit's if told to."""
    with contextlib.ExitStack() as held:
        admin = held.enter_context(contextlib.closing(connect(server)))
        if apply:
            held.enter_context(Lease(connect(server), live)).acquire()
        old = [each for each in targets.generated(admin, live) if each.age_seconds >= older_than_seconds]
        for each in old if apply else []:
            execute(admin, f"DROP DATABASE {quote(each.database)}")
        return Leftovers(tuple(old), tuple(targets.unmarked(admin, live)))
