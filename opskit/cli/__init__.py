"""The command line: its modules parse, call one function, render. `main` alone exits."""

import contextlib
import errno
import gc
import itertools
import json
import os
import select
import signal
import sys
import traceback
from collections.abc import Sequence
from io import TextIOWrapper
from types import FrameType
from typing import NoReturn

from opskit import __version__
from opskit.cli.text import printable
from opskit.errors import NoSpaceError, OpskitError
from opskit.memory import give_back_what_is_freed
from opskit.redaction import mask

DONE = 0
FOUND_PROBLEMS = 1
USAGE = 2
BUG = 70
GAVE_UP = 75
INTERRUPTED = 130  # 128 + SIGINT
BROKEN_PIPE = 141  # 128 + SIGPIPE
TERMINATED = 143  # 128 + SIGTERM
NAGIOS_UNKNOWN = 3


class Terminated(SystemExit):
    """SIGTERM came: raised wherever the main thread is, so that clean-up runs on the way out."""

    def __init__(self, reason: str = "terminated", code: int = TERMINATED) -> None:
        super().__init__(code)
        self.reason = reason
        self.exit_code = code


def main() -> NoReturn:
    """Run the command line and exit: every exit code is decided here (docs/exit-codes.md)."""
    give_back_what_is_freed()
    signal.signal(signal.SIGTERM, _terminate)
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a name that the locale cannot write is no bug
    arguments = sys.argv[1:]
    try:
        from opskit.cli.root import run  # noqa: PLC0415 - a module that fails to import is a bug like any other

        code = run(arguments)
    except BaseException as error:  # noqa: BLE001 - nothing may leave but an exit code
        code = _report(error, arguments)
    _flush()
    gc.freeze()  # else the interpreter goes through all there is once more: 30 ms (measured)
    sys.exit(code)


def _terminate(signum: int, frame: FrameType | None) -> None:
    del signum, frame
    _end(Terminated())


def end_after(seconds: float, reason: str) -> None:
    """End this run after so long, the way SIGTERM would, but for a reason of its own and with 75."""

    def give_up(signum: int, frame: FrameType | None) -> None:
        del signum, frame
        _end(Terminated(reason, GAVE_UP))

    signal.signal(signal.SIGALRM, give_up)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def _end(reason: Terminated) -> NoReturn:
    # Neither a second SIGTERM nor the deadline may break off the clean-up that the first one began.
    for number in (signal.SIGTERM, signal.SIGALRM):
        signal.signal(number, signal.SIG_IGN)
    raise reason


def _report(error: BaseException, arguments: Sequence[str]) -> int:
    """Say what went wrong and return the exit code for it."""
    error = _interruption(error) or error
    if isinstance(error, BrokenPipeError) and _reader_is_gone():
        return BROKEN_PIPE
    hint = "; ".join(getattr(error, "__notes__", ())) or None
    if isinstance(error, Terminated):
        message, code = error.reason, error.exit_code
    elif isinstance(error, KeyboardInterrupt):
        message, code = "interrupted", INTERRUPTED
    elif isinstance(error, OSError) and error.errno == errno.ENOSPC:  # all other writers translate their own
        message, code = f"standard output: {error.strerror}", NoSpaceError.exit_code
    elif isinstance(error, OpskitError) and error.exit_code != BUG:
        message, hint, code = error.message, error.hint, error.exit_code
    else:
        _complain("".join(traceback.format_exception(error)))
        message, code = f"{type(error).__name__}: {error}", BUG
        hint = f"this is a bug in opskit {__version__}: please report it, with the lines above"
    _complain(f"error: {message}\n" + (f"hint: {hint}\n" if hint else ""))
    if wants(arguments, "json"):
        _answer(error_document(message, hint, code))
    if wants(arguments, "nagios"):
        _answer(f"OPSKIT UNKNOWN - {printable(mask(message)).splitlines()[0]}")
        return NAGIOS_UNKNOWN
    return code


def wants(arguments: Sequence[str], form: str) -> bool:
    """Tell whether the command line asks for its result in this form, even if it can be carried out no further."""
    pairs = itertools.pairwise(arguments)
    return f"--{form}" in arguments or f"--format={form}" in arguments or ("--format", form) in pairs


def _interruption(error: BaseException) -> BaseException | None:
    """Return the signal behind an error: clean-up, or a library, may have put its own error over it."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, Terminated | KeyboardInterrupt):
        cause = cause.__cause__ or cause.__context__
    return cause


def error_fields(message: str, hint: str | None, code: int) -> dict[str, object]:
    """Return what JSON documents tell of an error."""
    return {"message": mask(message), "hint": hint and mask(hint), "exit_code": code}


def error_document(message: str, hint: str | None, code: int) -> str:
    """Return the JSON document that stands for an error."""
    return json.dumps({"error": error_fields(message, hint, code)}, indent=2)


def _answer(text: str) -> None:
    if sys.stdout is not None:
        with contextlib.suppress(OSError):
            sys.stdout.write(text + "\n")
            sys.stdout.flush()


def _complain(text: str) -> None:
    if sys.stderr is not None:
        with contextlib.suppress(OSError):
            sys.stderr.write(printable(mask(text)))
            sys.stderr.flush()


def _reader_is_gone() -> bool:
    """Tell our own broken pipe from a socket's, which is an error that should have been translated."""
    poll = select.poll()
    poll.register(1, 0)
    poll.register(2, 0)
    return bool(poll.poll(0))


def _flush() -> None:
    """Write out what is buffered; a closed pipe is let go, or the interpreter would complain about it."""
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            try:
                stream.flush()
            except OSError:
                os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())
