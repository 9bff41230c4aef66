"""Prometheus' own checker of metrics and rules."""

import shutil

from sandbox import UnavailableSandboxError
from sandbox.archive import unpacked


def promtool() -> list[str]:
    """Return how to run `promtool`: from PATH, else from the package archive."""
    found = shutil.which("promtool")
    if found is not None:
        return [found]
    packages = unpacked("prometheus", ["prometheus"])
    program = packages.file("usr/bin/promtool")
    if program is None:
        raise UnavailableSandboxError(f"the package archive gave no promtool: {packages.root}")
    return packages.command(program)
