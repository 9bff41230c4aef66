"""Programs that are built from the Go module proxy, at the versions that a go.sum holds."""

import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from sandbox import UnavailableSandboxError


def build_tools(module: Path, folder: Path, *, linker: Sequence[str] = (), seconds: float) -> None:
    """Build the tools of a module (its go.mod says which) into a folder; what it needs is downloaded."""
    go = shutil.which("go")
    if go is None:
        raise UnavailableSandboxError(f"there is no Go to build {module.name} with")
    for name in ("go.mod", "go.sum"):
        shutil.copy(module / name, folder)
    done = subprocess.run(
        ["nice", go, "build", "-trimpath", f"-ldflags={' '.join(['-s', '-w', *linker])}", "-o", f"{folder}/", "tool"],
        cwd=folder,
        env=os.environ | {"GOFLAGS": "-mod=readonly -buildvcs=false"},
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    if done.returncode:
        raise UnavailableSandboxError(f"{module.name} cannot be built: {done.stderr[-1500:]}")
