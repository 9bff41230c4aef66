"""`opskit config`: look at the configuration before something depends on it."""

from collections.abc import Iterator
from pathlib import Path

import click
import yaml
from pydantic import BaseModel

from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Group
from opskit.errors import ConfigurationError


@click.group(cls=Group)
def config() -> None:
    """Check the configuration."""


@config.command()
@pass_invocation
def check(invocation: Invocation) -> None:
    """Validate the configuration and show it as it is in force, secrets masked.

    Files that it names must be readable. Nothing is connected to.
    """
    settings = invocation.configured
    if problems := list(unreadable_files(settings)):
        raise ConfigurationError("\n  ".join(["the configuration names files that cannot be read:", *problems]))
    chosen = "default" if settings.storage_is_default else "configured"
    effective = settings.model_dump(mode="json", exclude_none=True)
    invocation.show(
        {
            "storage": {"url": settings.storage.url, "default": settings.storage_is_default},
            "settings": effective,
        },
        f"# valid; backups are in {settings.storage.url} ({chosen})",
        yaml.safe_dump(effective, sort_keys=False, allow_unicode=True).rstrip(),
    )


def unreadable_files(section: BaseModel, path: str = "") -> Iterator[str]:
    """Yield one line for each file the settings name that cannot be opened."""
    for name, value in section:
        here = f"{path}.{name}".removeprefix(".")
        if isinstance(value, Path):
            try:
                value.open("rb").close()
            except OSError as error:
                yield f"{here}: {value}: {error.strerror}"
        for index, item in enumerate(value if isinstance(value, tuple) else ()):
            if isinstance(item, BaseModel):
                yield from unreadable_files(item, f"{here}[{index}]")
        if isinstance(value, BaseModel):
            yield from unreadable_files(value, here)
