"""The way back from a swap, and the end of what swaps have left."""

import contextlib
from dataclasses import dataclass

from opskit.errors import NotFoundError, advised
from opskit.mysql.connection import Endpoint, connect, execute, quote, require_supported
from opskit.mysql.lease import Lease
from opskit.restore import target as targets
from opskit.restore.exchange import UNTOUCHED, require_allowed
from opskit.restore.losses import rows_only_in
from opskit.restore.settled import Settled, exchange_and_settle
from opskit.restore.target import Generated


@dataclass(frozen=True, slots=True)
class RollbackPlan:
    """What a rollback would bring back, and the rows that would not be live any more."""

    former: Generated
    lost: dict[str, int]


def plan_rollback(server: Endpoint, live: str, chosen: str | None = None) -> RollbackPlan:
    """Return what `rollback` would do."""
    with contextlib.closing(connect(server)) as admin:
        require_allowed(admin, live)
        former = _former(targets.generated(admin, live), live, chosen)
        return RollbackPlan(former, rows_only_in(admin, live, former.database))


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
            outgoing = targets.fresh(admin, live, "after" if former.purpose == "before" else "before", run_id)
        return exchange_and_settle(server, admin, lease, live, former.database, outgoing, "none")


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


def cleanup(
    server: Endpoint, live: str, *, older_than_seconds: float, apply: bool, lease_wait_seconds: float = 0
) -> Leftovers:
    """Return the databases that earlier runs left beside `live`, and drop those that are opskit's if told to."""
    with contextlib.ExitStack() as held:
        admin = held.enter_context(contextlib.closing(connect(server)))
        if apply:
            held.enter_context(Lease(connect(server), live)).acquire(lease_wait_seconds)
        old = [each for each in targets.generated(admin, live) if each.age_seconds >= older_than_seconds]
        for each in old if apply else []:
            execute(admin, f"DROP DATABASE {quote(each.database)}")
        return Leftovers(tuple(old), tuple(targets.unmarked(admin, live)))
