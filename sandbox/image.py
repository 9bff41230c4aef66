"""opskit's image, built by buildah without an engine or a registry, and run by bubblewrap as OpenShift would run it.

The two bases are the machine's own Python from its package archive, one with a compiler and one without. What pip
installs is fetched once, by the hashes of the lock, and the build itself has no index to ask. Building needs root.
"""

import hashlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox import UnavailableSandboxError
from sandbox.archive import Unpacked, unpacked
from sandbox.cache import cached
from sandbox.process import scratch

PROJECT = Path(__file__).parents[1]
TOOLS = ("buildah", "bubblewrap")
# Those of UBI have the same: gRPC wants the C++ library.
BASE = ("base-files", "dash", "coreutils", "python3", "libstdc++6")
BUILD_BASE = (*BASE, "python3-venv", "python3-dev", "gcc")
# On a machine that has to fetch two bases and all wheels.
BUILD_SECONDS = 1800
# One as OpenShift gives a namespace; no file of the image is that user's.
USER = 1_000_650_000


@dataclass(frozen=True)
class Container:
    """How to run a container: secrets are in its environment, never in its arguments."""

    argv: list[str]
    environment: dict[str, str]


@dataclass(frozen=True)
class Image:
    """A built image: its files, and what it says of itself."""

    files: Path
    config: Mapping[str, Any]
    base: Path
    tools: Unpacked

    @property
    def added_bytes(self) -> int:
        """How much larger it is than its base, unpacked."""
        return _bytes(self.files) - _bytes(self.base)

    def container(
        self,
        arguments: Sequence[str],
        *,
        environment: Mapping[str, str],
        mounts: Mapping[str, Path],
        entrypoint: Sequence[str] = (),
    ) -> Container:
        """Return a container with a user that the image does not know, group 0, a read-only root and no capabilities.

        `mounts` are read-only folders by where the container sees them; `/tmp` is its own, the network the machine's.
        """
        # Where /var/run is a link to /run, it must not be followed out of the image.
        run = "/run/" if (self.files / "var/run").is_symlink() else "/var/run/"
        placed = {re.sub("^/var/run/", run, target): source for target, source in mounts.items()}
        for target in placed:
            (self.files / target.lstrip("/")).mkdir(parents=True, exist_ok=True)  # as a container's runtime does
        variables = dict(each.split("=", 1) for each in self.config["Env"]) | dict(environment)
        return Container(
            [
                *self.tools.command(self.tools.root / "usr/bin/bwrap"),
                *("--ro-bind", str(self.files), "/", "--tmpfs", "/tmp", "--proc", "/proc", "--dev", "/dev"),  # noqa: S108
                *(word for target, source in placed.items() for word in ("--ro-bind", str(source), target)),
                *("--unshare-user", "--uid", str(USER), "--gid", "0", "--unshare-pid", "--cap-drop", "ALL"),
                *("--die-with-parent", "--new-session"),
                *(word for name in sorted(os.environ.keys() - variables) for word in ("--unsetenv", name)),
                *(entrypoint or self.config["Entrypoint"]),
                *arguments,
            ],
            variables,
        )


@contextmanager
def image() -> Iterator[Image]:
    """Build the image from this checkout; it is gone at the end."""
    if os.geteuid() != 0:
        raise UnavailableSandboxError("buildah without an engine needs root")
    tools = unpacked("image-tools", TOOLS)
    base, build_base = unpacked("image-base", BASE).root, unpacked("image-build-base", BUILD_BASE).root
    wheels = _wheels(base)
    with scratch("image") as place:
        buildah = _Buildah(tools, place.folder)
        buildah.take(base, "localhost/base")
        buildah.take(build_base, "localhost/build-base")
        pip = place.folder / "pip.conf"
        pip.write_text("[global]\nno-index = true\nfind-links = /wheels\n")
        buildah(
            "build",
            "--isolation=chroot",
            f"--volume={wheels}:/wheels:ro",
            f"--volume={pip}:/etc/pip.conf:ro",
            "--build-arg=BUILD_BASE=localhost/build-base",
            "--build-arg=BASE=localhost/base",
            "--tag=localhost/opskit",
            str(PROJECT),
        )
        container = buildah("from", "localhost/opskit")
        config = json.loads(buildah("inspect", "--type=image", "localhost/opskit"))["OCIv1"]["config"]
        yield Image(Path(buildah("mount", container)), config, base, tools)


class _Buildah:
    """buildah with all that it keeps in one folder."""

    def __init__(self, tools: Unpacked, folder: Path) -> None:
        self._program = tools.root / "usr/bin/buildah"
        settings = {
            "storage.conf": f'[storage]\ndriver = "vfs"\ngraphroot = "{folder}/storage"\nrunroot = "{folder}/run"\n',
            "registries.conf": "",
            "containers.conf": "",
            "policy.json": '{"default": [{"type": "insecureAcceptAnything"}]}',
        }
        for name, text in settings.items():
            (folder / name).write_text(text)
        self._policy = f"--signature-policy={folder / 'policy.json'}"
        self._environment = os.environ | {
            "LD_LIBRARY_PATH": str(tools.libraries()),
            "CONTAINERS_STORAGE_CONF": str(folder / "storage.conf"),
            "CONTAINERS_REGISTRIES_CONF": str(folder / "registries.conf"),
            "CONTAINERS_CONF": str(folder / "containers.conf"),
            "TMPDIR": str(folder),
        }

    def __call__(self, command: str, *arguments: str) -> str:
        policy = [self._policy] if command in ("build", "commit", "from") else []
        argv = [str(self._program), command, *policy, *arguments]
        try:
            done = subprocess.run(
                argv, env=self._environment, capture_output=True, text=True, check=True, timeout=BUILD_SECONDS
            )
        except subprocess.CalledProcessError as error:
            raise UnavailableSandboxError(f"buildah {command}: {error.stdout[-1500:]}{error.stderr[-1500:]}") from error
        return done.stdout.strip()

    def take(self, files: Path, name: str) -> None:
        """Make an image of a folder."""
        container = self("from", "scratch")
        self("add", container, str(files), "/")
        self("commit", "--rm", container, name)


def _wheels(base: Path) -> Path:
    """Return a folder with every wheel that the lock names, for the Python of this base."""
    version = (base / "usr/bin/python3").readlink().name.removeprefix("python")
    lock = PROJECT / "requirements.lock"

    def download(folder: Path) -> None:
        for_that_python = ["--only-binary=:all:", f"--python-version={version}"]
        pip = [sys.executable, "-m", "pip", "download", "--quiet", "--require-hashes", *for_that_python]
        done = subprocess.run(
            [*pip, f"--requirement={lock}", f"--dest={folder}"],
            capture_output=True,
            text=True,
            check=False,
            timeout=BUILD_SECONDS,
        )
        if done.returncode:
            raise UnavailableSandboxError(f"pip download: {done.stderr[-1500:]}")

    return cached(f"image-wheels-{version}-{hashlib.sha256(lock.read_bytes()).hexdigest()[:12]}", download)


def _bytes(folder: Path) -> int:
    return sum(path.lstat().st_size for path in folder.rglob("*"))
