"""A rehearsal: the backup is really restored, compared, judged as a registry, and dropped again."""

import contextlib
import json
import logging
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime

from opskit.backup import layout
from opskit.backup.manifest import Manifest, backup_key
from opskit.errors import CorruptError, OpskitError
from opskit.mysql.connection import Connection, Endpoint, connect, execute, quote
from opskit.mysql.lease import Lease
from opskit.progress import NoProgress, Progress
from opskit.restore import target as targets
from opskit.restore.compare import require_comparable
from opskit.restore.run import Options, restore_under
from opskit.restore.space import require_small
from opskit.storage import Storage

logger = logging.getLogger(__name__)

# A lease that was lost while its run still cleans up: what is younger is left to that run.
STALE_SECONDS = 600


@dataclass(frozen=True, slots=True)
class Rehearsal:
    """The verdict of one rehearsal, as it lies beside the backup."""

    backup_id: str
    verdict: str  # passed or failed
    started: datetime
    finished: datetime
    server: str
    rows: int
    problems: tuple[str, ...]
    removed: tuple[str, ...]


def rehearse(
    server: Endpoint,
    storage: Storage,
    manifest: Manifest,
    options: Options = Options(),
    *,
    beside: str,
    maximum_bytes: int | None = None,
    stale_seconds: float = STALE_SECONDS,
    progress: Progress = NoProgress(),
) -> Rehearsal:
    """Restore into a scratch database, compare, look at it as a registry, drop it, and store the verdict.

    With `maximum_bytes` a larger backup is refused, and one that only says that it is not larger is given up: on the
    live server the copy and its binary log could fill the registry's volume. Scratch databases that an earlier run
    left are dropped first. A verdict is stored for what the backup is guilty of (`CorruptError`); a server that fails
    is not the backup's fault, and raises. So does a store that does not take the verdict, with what it was.
    """
    require_small(manifest, maximum_bytes)
    # Not the backup's fault either, if a newer opskit wrote it.
    require_comparable(manifest)
    started = datetime.now(UTC)
    wanted = replace(options, purpose="rehearse", beside=beside, into=None, maximum_bytes=maximum_bytes)
    problems: tuple[str, ...]
    with contextlib.closing(connect(server)) as admin, Lease(connect(server), beside) as lease:
        lease.acquire(options.lease_wait_seconds)
        removed = remove_stale(admin, beside, stale_seconds)
        try:
            report = restore_under(lease, server, storage, manifest, wanted, progress)
        except CorruptError as error:
            rows, problems = 0, (error.message,)
        else:
            rows, problems = report.rows, report.registry_problems
        version = admin.get_server_info()
    rehearsal = Rehearsal(
        backup_id=manifest.id,
        verdict="failed" if problems else "passed",
        started=started,
        finished=datetime.now(UTC),
        server=str(version),
        rows=rows,
        problems=problems,
        removed=tuple(removed),
    )
    try:
        record(storage, manifest, rehearsal)
    except OpskitError as error:
        raise _not_kept(rehearsal, error) from error
    return rehearsal


def _not_kept(rehearsal: Rehearsal, error: OpskitError) -> OpskitError:
    """Return the error of a verdict that could not be stored, which says how the rehearsal went all the same."""
    failed = f"failed: {'; '.join(rehearsal.problems)}"
    went = f"the rehearsal of {rehearsal.backup_id} {failed if rehearsal.problems else 'passed'}"
    kind = CorruptError if rehearsal.problems else type(error)
    return kind(f"{went}; only its verdict could not be kept: {error.message}", hint=error.hint)


def remove_stale(admin: Connection, beside: str, stale_seconds: float) -> list[str]:
    """Drop scratch databases that an earlier rehearsal left, and nothing else; return their names.

    What bears such a name and no mark is not dropped but named in a warning.
    """
    for name in targets.unmarked(admin, beside):
        logger.warning("database %s has a name as opskit makes it and no mark of opskit's: it stays", name)
    removed = []
    for each in targets.generated(admin, beside):
        if each.purpose == "rehearse" and each.age_seconds >= stale_seconds:
            execute(admin, f"DROP DATABASE {quote(each.database)}")
            removed.append(each.database)
    return removed


def record(storage: Storage, manifest: Manifest, rehearsal: Rehearsal) -> None:
    """Put the verdict beside the backup; a name is used once."""
    name = f"{layout.REHEARSALS}{rehearsal.finished:%Y%m%dT%H%M%S%fZ}.json"
    content = json.dumps(asdict(rehearsal), default=lambda moment: moment.isoformat(), indent=1) + "\n"
    storage.put(backup_key(manifest.registry, manifest.id, name), [content.encode()], if_absent=True)
