"""`opskit serve`: jobs, status page and metrics in one process."""

import signal
import time
from types import FrameType

import click

from opskit.cli import Terminated
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Command
from opskit.errors import ConfigurationError

_NOTICE_SECONDS = 0.1


@click.command(cls=Command)
@pass_invocation
def serve(invocation: Invocation) -> None:
    """Run the jobs on schedule, and serve a status page, metrics and an API.

    It goes on until SIGTERM or Ctrl-C, and then waits for running jobs (serve.stop_wait). With serve.schedule: none
    it only observes. What is served is in docs/serve.md.
    """
    try:
        from opskit.serve.server import serve as serve_while  # noqa: PLC0415 - an extra
    except ImportError as error:
        raise ConfigurationError(
            f"opskit serve needs more libraries: {error}", hint="pip install 'opskit[serve]'"
        ) from error
    signals = Signals()
    serve_while(
        invocation.settings,
        invocation.registries,
        invocation.configuring_options,
        signals.wait,
        unreadable=invocation.unreadable,
    )
    raise signals.reason


class Signals:
    """Notes a signal instead of raising wherever the main thread is: in an import that would leave a lock held."""

    def __init__(self) -> None:
        self._received: list[int] = []
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._note)

    def _note(self, number: int, frame: FrameType | None) -> None:
        del frame
        self._received.append(number)

    def wait(self) -> None:
        """Return soon after a signal came. No lock is waited for: the handler runs in this same thread."""
        while not self._received:
            time.sleep(_NOTICE_SECONDS)

    @property
    def reason(self) -> BaseException:
        """What the command ends with, so that its exit code is that of the first signal."""
        return Terminated() if self._received[0] == signal.SIGTERM else KeyboardInterrupt()
