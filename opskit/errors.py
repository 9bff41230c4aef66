"""Everything that can go wrong, as one short tree.

    OpskitError                70  a bug in opskit, unless a class below says better
    ├── UsageError              2  the command line asks for something that does not exist
    ├── CorruptError           65  a backup is damaged, or a comparison failed
    │   └── UntrustedError     65  no trusted key has signed it
    ├── NotFoundError          66  no such backup, database or table
    ├── UnavailableError       69  MySQL, S3 or the registry cannot be reached; try again
    ├── RefusedError           73  the target exists or must not be replaced
    │   └── ObjectExistsError  73  storage holds this key already
    ├── NoSpaceError           74  no room for what would be written
    ├── BusyError              75  somebody else is at work, or opskit gave way; try later
    ├── DeniedError            77  the credentials are wrong or not enough
    └── ConfigurationError     78  configuration, TLS verification, unsupported server or format

The numbers are those of sysexits.h; `podFailurePolicy` and the runbooks rely on them.
Foreign errors are translated once, in the module that imports the foreign library.
"""

import contextlib
from collections.abc import Iterator
from typing import ClassVar


class OpskitError(Exception):
    """What happened (`message`) and what to do about it (`hint`)."""

    exit_code: ClassVar[int] = 70

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint

    @property
    def told(self) -> str:
        """The message, with the hint behind it where there is one: for a log, or among others in a list."""
        return f"{self.message} ({self.hint})" if self.hint else self.message


def advise(error: BaseException, advice: str) -> None:
    """Add to what an error tells people: to its hint, or as a note where the error is not opskit's own."""
    if isinstance(error, OpskitError):
        error.hint = "; ".join(part for part in (error.hint, advice) if part)
    else:
        error.add_note(advice)


@contextlib.contextmanager
def advised(advice: str) -> Iterator[None]:
    """Add this advice to every error, interruptions included, that leaves the block."""
    try:
        yield
    except BaseException as error:
        advise(error, advice)
        raise


class UsageError(OpskitError):
    """The command line asks for something that cannot be told apart or does not exist."""

    exit_code = 2


class CorruptError(OpskitError):
    """A backup is damaged or hostile, or what came back differs from what was saved."""

    exit_code = 65


class UntrustedError(CorruptError):
    """What no trusted key has signed: nothing else is known to be wrong with it."""


class NotFoundError(OpskitError):
    """No such object, backup, database or table."""

    exit_code = 66


class UnavailableError(OpskitError):
    """A server cannot be reached or broke off; a later try may succeed."""

    exit_code = 69


class RefusedError(OpskitError):
    """The target exists, or must not be replaced."""

    exit_code = 73


class ObjectExistsError(RefusedError):
    """Storage already holds an object under this key."""


class NoSpaceError(OpskitError):
    """There is no room for what would be written."""

    exit_code = 74


class BusyError(OpskitError):
    """Another run holds the lease, or opskit gave way to the live registry."""

    exit_code = 75


class DeniedError(OpskitError):
    """The credentials are wrong, or do not suffice."""

    exit_code = 77


class ConfigurationError(OpskitError):
    """The configuration is wrong, a certificate cannot be verified, or a server or format is unsupported."""

    exit_code = 78
