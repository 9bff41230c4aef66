"""What a run makes on the server, noted as it is made: nothing else is ever undone."""

import contextlib
import logging
from collections.abc import Iterator
from dataclasses import dataclass, field

from opskit.backup.manifest import Manifest
from opskit.errors import DeniedError, OpskitError
from opskit.mysql.connection import Connection, execute, quote
from opskit.mysql.sessions import other_sessions
from opskit.restore import target as targets
from opskit.restore.target import Target

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class Made:
    """A database that a run fills: whether the run made it, with which sessions it works there, what it made in it."""

    target: Target
    is_new: bool
    sessions: list[int] = field(default_factory=list)
    _objects: dict[tuple[str, str], None] = field(default_factory=dict)

    def note(self, kind: str, name: str) -> None:
        """Note a table or program that the server said it has made for this run."""
        self._objects[kind, name] = None

    def undo(self, connection: Connection) -> None:
        """Drop what the run made: its staging database as a whole, in any other only what it noted.

        `DeniedError` that names what this user may not drop.
        """
        self._end_sessions(connection)
        if self.target.staging:
            execute(connection, f"DROP DATABASE IF EXISTS {quote(self.target.database)}")
            return
        execute(connection, "SET SESSION foreign_key_checks = 0")
        left = [f"{kind} {name}" for kind, name in reversed(self._objects) if not self._dropped(connection, kind, name)]
        if left:
            raise DeniedError(f"this user may not drop {', '.join(left)}")
        if not targets.is_empty(connection, self.target.database):
            logger.warning(
                "database %s is not empty: somebody else works there, or an answer was lost", self.target.database
            )
        elif self.is_new:
            execute(connection, f"DROP DATABASE IF EXISTS {quote(self.target.database)}")

    def _dropped(self, connection: Connection, kind: str, name: str) -> bool:
        try:
            execute(connection, f"DROP {kind.upper()} IF EXISTS {quote(self.target.database)}.{quote(name)}")
        except DeniedError:
            return False
        return True

    def _end_sessions(self, connection: Connection) -> None:
        """End what the run's sessions still do: a server finishes an ALTER whose client is gone.

        A user's own sessions show without any privilege.
        """
        for session in other_sessions(connection):
            if session.id in self.sessions:
                with contextlib.suppress(OpskitError):  # it may have ended by itself
                    execute(connection, f"KILL {session.id}")


@contextlib.contextmanager
def made(connection: Connection, target: Target, manifest: Manifest, *, keep: bool) -> Iterator[Made]:
    """Make and mark the database for a backup; if the block fails, undo what the run made, or warn of what is left.

    `RefusedError` if somebody else has made anything there since the target was chosen. Without `keep` it is undone
    in any case.
    """
    if not target.staging:
        targets.require_empty(connection, target.database)
    run = Made(target, is_new=target.staging or not targets.exists(connection, target.database))
    if run.is_new:
        targets.create(connection, target, manifest.database.charset, manifest.database.collation)
    try:
        if target.staging:
            targets.mark(connection, target, manifest.id)
        yield run
    except BaseException:
        try:
            run.undo(connection)
        except OpskitError as error:
            logger.warning("what was restored so far is left in database %s: %s", target.database, error.message)
        raise
    if not keep:
        run.undo(connection)
