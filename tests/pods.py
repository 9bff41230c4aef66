"""Pods as containers of the built image."""

import os
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

from sandbox.image import Container, Image
from sandbox.kustomize import Manifest


def ended(container: Container) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        container.argv,
        env=os.environ | container.environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )


def pod_of(each: Manifest) -> Manifest:
    found: Manifest = each["spec"].get("jobTemplate", each)["spec"]["template"]["spec"]
    return found


@dataclass(frozen=True)
class Surroundings:
    """What pods meet: Secrets and ConfigMaps by name, projected files, and where this machine has the servers."""

    image: Image
    folder: Path
    held: dict[str, dict[str, str]]
    elsewhere: dict[str, str]
    projected: dict[str, str] = field(default_factory=dict)

    def container(self, pod: Manifest, container: Manifest, *more: str) -> Container:
        """A container of a pod: its arguments, its variables, its volumes with what they hold here."""
        folders = {each["name"]: self._volume(each) for each in pod["volumes"] if "emptyDir" not in each}
        variables = {each["name"]: each["value"] for each in container["env"]}
        for source in container["envFrom"]:
            variables |= self.held.get(source["secretRef"]["name"], {})
        return self.image.container(
            [*container["args"], *more],
            environment=variables | self.elsewhere,
            mounts={
                each["mountPath"]: folders[each["name"]]
                for each in container["volumeMounts"]
                if each["name"] in folders
            },
        )

    def _volume(self, volume: Manifest) -> Path:
        named = volume.get("configMap", {}).get("name") or volume.get("secret", {}).get("secretName")
        folder: Path = self.folder / volume["name"]
        folder.mkdir(exist_ok=True)
        files = self.projected if "projected" in volume else self.held.get(named, {})
        for key, value in files.items():
            (folder / key).write_text(value)
        return folder
