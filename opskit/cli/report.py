"""`opskit report`: the status page as one file."""

from pathlib import Path
from zoneinfo import ZoneInfo

import click

from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Command
from opskit.errors import ConfigurationError, NoSpaceError
from opskit.storage.directory_errors import NO_ROOM


@click.command(cls=Command)
@click.option("--html", type=click.Path(path_type=Path), required=True, metavar="FILE", help="Where to write the page.")
@pass_invocation
def report(invocation: Invocation, html: Path) -> None:
    """Write the status page, for on-call, into a file.

    It shows layers, backups, rehearsals and artifacts, what ran, and how the registry grew.
    """
    try:
        from opskit.serve.observation import observe  # noqa: PLC0415 - an extra
        from opskit.serve.page import page  # noqa: PLC0415 - the same
        from opskit.serve.schedule import planned_jobs  # noqa: PLC0415 - the same
        from opskit.serve.status import status  # noqa: PLC0415 - the same
    except ImportError as error:
        raise ConfigurationError(
            f"opskit report needs more libraries: {error}", hint="pip install 'opskit[serve]'"
        ) from error
    settings = invocation.settings
    observation = observe(settings, invocation.registries, unreadable=invocation.unreadable)
    planned = planned_jobs(settings.serve)
    content = page(observation, planned, ZoneInfo(settings.serve.time_zone), runbooks_url=settings.serve.runbooks_url)
    try:
        _write(html.resolve(), content)
    except OSError as error:
        failure = NoSpaceError if error.errno in NO_ROOM else ConfigurationError
        raise failure(f"cannot write {html}: {error.strerror}") from error
    invocation.show(
        {"file": html, "status": status(observation, planned, {})}, f"{html}: the state is {observation.state}"
    )


def _write(file: Path, content: str) -> None:
    """Put the page where the last one stands: a reader never sees half of one, and a full disk leaves the last."""
    if file.exists() and not file.is_file():  # a pipe, or a device
        file.write_text(content, encoding="utf-8")
        return
    beside = file.with_name(f".{file.name}.new")
    try:
        beside.write_text(content, encoding="utf-8")
        beside.replace(file)
    except BaseException:
        beside.unlink(missing_ok=True)
        raise
