"""One run of the command line: its shared options, its settings, what it shows and how it ends."""

import logging
import os
import shlex
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import click

from opskit.cli import FOUND_PROBLEMS
from opskit.cli.output import Table, as_json, as_text, write
from opskit.cli.progress import shown_progress
from opskit.errors import UsageError
from opskit.progress import Progress

if TYPE_CHECKING:
    from opskit.errors import OpskitError
    from opskit.registry.discovery import Discovery
    from opskit.settings import Registry, Settings

logger = logging.getLogger(__name__)


@dataclass
class Invocation:
    """What a command is given; `pass_invocation` hands it over."""

    json: bool = False
    quiet: bool = False
    verbose: bool = False
    config: Path | None = None
    mysql_url: str | None = None
    storage_url: str | None = None
    registry_names: tuple[str, ...] = ()
    codes: list[int] = field(default_factory=list)
    document: str | None = None
    _folder: TemporaryDirectory[str] | None = None

    @cached_property
    def configured(self) -> "Settings":
        """The configuration as it is written, loaded when it is first asked for."""
        from opskit.settings import load_settings  # noqa: PLC0415 - pydantic takes 100 ms: `--help` needs no settings

        settings = load_settings(self.config, os.environ, mysql_url=self.mysql_url, storage_url=self.storage_url)
        if settings.storage_is_default:
            logger.warning("no storage is configured: backups are in %s", settings.storage.url)
        return settings

    @cached_property
    def settings(self) -> "Settings":
        """The configuration, with the registries that it says to discover."""
        if self.configured.discover is None:
            return self.configured
        from opskit.registry.discovery import with_found  # noqa: PLC0415 - the library `kubernetes` takes half a second

        self.codes += [error.exit_code for error in self.unreadable.values()]
        return with_found(self.configured, self.discovery)

    @property
    def unreadable(self) -> "dict[str, OpskitError]":
        """The registries chosen that are in the cluster and could not be read, each with the reason."""
        if self.configured.discover is None:
            return {}
        chosen = self.registry_names
        return {name: error for name, error in self.discovery.unreadable if not chosen or name in chosen}

    @cached_property
    def discovery(self) -> "Discovery":
        """What the cluster's ModelRegistry resources tell; nothing where they are not to be read."""
        from opskit.kubernetes_api import connect  # noqa: PLC0415 - the same
        from opskit.registry.discovery import Discovery, discover  # noqa: PLC0415 - the same

        where = self.configured.discover
        if where is None:
            return Discovery()
        # Removed when the run ends, with the certificates in it.
        self._folder = TemporaryDirectory(prefix="opskit-")
        return discover(connect(), where, Path(self._folder.name))

    @property
    def registries(self) -> tuple["Registry", ...]:
        """The registries chosen with --registry, or all."""
        return self.settings.select(self.registry_names)

    @property
    def registry(self) -> "Registry":
        """The one registry that the command is for."""
        registries = self.registries
        if len(registries) > 1:
            names = ", ".join(registry.name for registry in registries)
            raise UsageError("this command is for one registry", hint=f"choose one with --registry: {names}")
        return registries[0]

    @property
    def configuring_options(self) -> list[str]:
        """The options of this command line that say what is configured, for a command that starts others."""
        given = {"--config": self.config, "--mysql-url": self.mysql_url, "--storage-url": self.storage_url}
        named = [f"{option}={value}" for option, value in given.items() if value is not None]
        return [*named, *(f"--registry={name}" for name in self.registry_names)]

    def command(self, *words: str) -> str:
        """Return a command line for people to copy, which means what this one means by the configuration."""
        return shlex.join(["opskit", *words, *self.configuring_options])

    def progress(self) -> AbstractContextManager[Progress]:
        """Return a block in which a job's progress is shown on standard error."""
        return shown_progress(quiet=self.quiet)

    def show(self, document: object, *text: str | Table) -> None:
        """Show the command's result: the document with --json, which a command shows once; else the text."""
        if not self.json:
            write(as_text(*text))
        elif self.document is not None:
            raise RuntimeError("a command shows one JSON document")
        else:
            # Written when the command has ended: should it fail yet, its error is the one document.
            self.document = as_json(document)

    def found_problems(self) -> None:
        """Exit with 1: the command ran to its end and found problems."""
        self.codes.append(FOUND_PROBLEMS)


pass_invocation = click.make_pass_decorator(Invocation)
