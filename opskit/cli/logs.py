"""Log lines on standard error, one each, without secrets."""

import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from opskit.cli.text import one_line, printable
from opskit.redaction import mask


class _Formatter(logging.Formatter):
    """`time level logger: message` in UTC; on a terminal `level: message`, and a notice as it is."""

    def __init__(self, *, terminal: bool) -> None:
        super().__init__(datefmt="%Y-%m-%dT%H:%M:%SZ")
        self.converter = time.gmtime
        self.terminal = terminal

    def format(self, record: logging.LogRecord) -> str:
        line = one_line(mask(record.getMessage()))
        if self.terminal:
            line = line if record.levelno == logging.INFO else f"{record.levelname.lower()}: {line}"
        else:
            line = f"{self.formatTime(record, self.datefmt)} {record.levelname} {record.name}: {line}"
        if record.exc_info:
            line += "\n" + printable(mask(self.formatException(record.exc_info)))
        return line


class _StandardError(logging.StreamHandler[TextIO]):
    """Writes to what `sys.stderr` is at that moment: a progress bar puts itself in its place."""

    def __init__(self) -> None:
        super().__init__(sys.stderr)
        self.setFormatter(_Formatter(terminal=sys.stderr is not None and sys.stderr.isatty()))

    def emit(self, record: logging.LogRecord) -> None:
        if sys.stderr is not None:
            self.stream = sys.stderr
            super().emit(record)


@contextmanager
def to_standard_error() -> Iterator[None]:
    """Log to standard error for a while: opskit's own notices, everybody's warnings."""
    handler = _StandardError()
    logging.getLogger().addHandler(handler)
    set_level(logging.INFO)
    try:
        yield
    finally:
        logging.getLogger().removeHandler(handler)


def set_level(level: int) -> None:
    """Set how much opskit says. Other libraries stay at warnings: botocore's debug lines hold signatures."""
    logging.getLogger("opskit").setLevel(level)
