"""An exchange and what comes right after it: stray tables named, lost rows counted."""

import logging
from dataclasses import dataclass

from opskit.errors import OpskitError, advised
from opskit.mysql.connection import Connection, Endpoint
from opskit.mysql.lease import Lease
from opskit.restore.exchange import UNTOUCHED, Exchange, exchange, finish
from opskit.restore.losses import rows_only_in
from opskit.restore.target import Target

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Settled:
    """A finished exchange: which tables have no business being live, and which former rows are not live any more.

    `lost` is None where it could not be counted; the rows are all in `exchange.outgoing`.
    """

    exchange: Exchange
    stray: tuple[str, ...]
    lost: dict[str, int] | None


def exchange_and_settle(
    server: Endpoint,
    admin: Connection,
    lease: Lease,
    live: str,
    incoming: str,
    outgoing: Target,
    origin: str,
    untouched: str = UNTOUCHED,
) -> Settled:
    """Exchange the tables (see `exchange`), drop what is empty now, and count what is not live any more."""
    done = exchange(server, lease, live, incoming, outgoing, origin, untouched)
    with advised(f"the tables of {incoming} are live, those of before are in {outgoing.database}"):
        stray = finish(admin, done)
    try:
        lost = rows_only_in(admin, done.outgoing, live) if done.moved_out else {}
    except OpskitError as error:  # it is done all the same
        logger.warning("the rows that are not live any more could not be counted: %s", error.message)
        lost = None
    return Settled(done, stray, lost)
