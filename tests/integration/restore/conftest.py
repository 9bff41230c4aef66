"""A backup of a small registry, and commands that bring it back."""

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from opskit.backup.create import Options, create_backup
from opskit.backup.manifest import Manifest
from opskit.mysql.connection import Endpoint
from opskit.restore.run import Options as RestoreOptions
from opskit.restore.swap import SwapReport, restore_and_swap
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Server
from tests.unit.command_line import environment, opskit_command, run

REGISTRY = "distance-prediction"


@pytest.fixture
def manifest(source: Endpoint, database: str, storage: DirectoryStorage) -> Manifest:
    """A backup of the live registry."""
    return create_backup(source, database, storage, REGISTRY, Options(workers=2))


Swap = Callable[[], SwapReport]


@pytest.fixture
def swap(source: Endpoint, database: str, storage: DirectoryStorage, manifest: Manifest) -> Swap:
    return lambda: restore_and_swap(source, source, database, storage, manifest, RestoreOptions(workers=2))


class CommandLine:
    """opskit run as a process of its own, for the registries of a configuration file."""

    def __init__(self, folder: Path, storage: DirectoryStorage) -> None:
        self.folder = folder
        self.variables: dict[str, str] = {}
        self.document: dict[str, Any] = {"storage": {"url": storage.url}, "registries": []}

    def add(self, name: str, server: Endpoint, database: str, **sections: object) -> None:
        """Configure one more registry."""
        mysql = {
            "host": server.host,
            "port": server.port,
            "user": server.user,
            "password": server.password,
            "database": database,
            "tls": {"mode": server.tls_mode},
        }
        self.document["registries"].append({"name": name, "mysql": mysql, **sections})

    def configured(self) -> dict[str, str]:
        """Write the file, and return the environment that names it."""
        path = self.folder / "opskit.yaml"
        path.write_text(json.dumps(self.document))
        return environment(OPSKIT_CONFIG=str(path), **self.variables)

    def run(self, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return run(opskit_command(*arguments), self.folder, self.configured() | variables)


@pytest.fixture
def command_line(tmp_path: Path, storage: DirectoryStorage) -> CommandLine:
    return CommandLine(tmp_path, storage)


@pytest.fixture
def mysqld(mysql: Server, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The server program as it stands on other machines: one file that can be run."""
    if not mysql.programs.server:
        pytest.skip("the shared server was not started here")
    program = tmp_path_factory.mktemp("bin") / "mysqld"
    words = [*mysql.programs.server, '"$@"', *mysql.programs.folders]
    program.write_text(f"#!/bin/sh\nexec {' '.join(words)}\n")
    program.chmod(0o755)
    return program
