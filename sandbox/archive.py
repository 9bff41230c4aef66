"""Programs from the machine's own package archive, unpacked into the cache: no root, nothing is installed.

Every program comes with its whole closure of libraries, the C library included, and runs through its own
loader; so a server of a newer distribution runs on an older one.
"""

import platform
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox import UnavailableSandboxError
from sandbox.cache import cache_folder, cached

KEYRINGS = Path("/usr/share/keyrings")
# The machine's own: loader and C library must be of one build.
C_LIBRARY = ("ld-linux", "libc.", "libm.", "libdl.", "libpthread.", "librt.", "libresolv.", "libmvec.", "libutil.")
FETCH_SECONDS = 900


@dataclass(frozen=True)
class Unpacked:
    """A folder in which packages were unpacked."""

    root: Path
    origin: str

    def file(self, *candidates: str) -> Path | None:
        """Return the first of these paths, relative to the root, that exists."""
        return next((self.root / each for each in candidates if (self.root / each).exists()), None)

    def command(self, program: Path) -> list[str]:
        """Return how to run one of its programs: with its own loader and libraries."""
        # Debian put libraries into /lib before the merge of /usr, and into /usr/lib since.
        loaders = [each for lib in ("usr/lib", "lib") for each in self.root.glob(f"{lib}/*-linux-*/ld-linux*.so.*")]
        triplet = loaders[0].parent.name
        libraries = f"{self.root}/usr/lib/{triplet}:{self.root}/lib/{triplet}"
        return [str(loaders[0]), "--library-path", libraries, str(program)]

    def libraries(self) -> Path:
        """Return a folder with links to its libraries, for LD_LIBRARY_PATH; the C library is the machine's own.

        A program that starts itself again cannot run through a loader of its own: its packages must be those of this
        machine's release.
        """
        return cached(f"{self.root.name}-libraries", self._link_libraries)

    def _link_libraries(self, folder: Path) -> None:
        for lib in ("lib", "usr/lib"):
            for library in sorted(self.root.glob(f"{lib}/*-linux-*/**/*.so*")):
                link = folder / library.name
                if not library.name.startswith(C_LIBRARY) and not link.is_symlink():
                    link.symlink_to(library)


def _run(argv: list[str]) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=FETCH_SECONDS)
    except (OSError, subprocess.SubprocessError) as error:
        said = getattr(error, "stderr", None) or error
        raise UnavailableSandboxError(f"{argv[0]} {argv[-1]}: {said}") from error
    return done.stdout


def _address(codename: str) -> str:
    """Return the archive this machine is configured to use: `--print-uris` needs no lists and no root."""
    wanted = re.compile(rf"'(\S+)/dists/{codename}/InRelease'")
    found = wanted.search(_run(["apt-get", "--print-uris", "-o", "Debug::NoLocking=1", "update"]))
    if found is None:
        raise UnavailableSandboxError(f"apt is configured for no archive that has {codename}")
    return found[1]


def _source(suite: str | None) -> str:
    """Return the line for apt: the machine's own release, or another `suite` of Debian's archive."""
    release = platform.freedesktop_os_release()
    address = _address(release.get("VERSION_CODENAME", ""))
    debian = release["ID"] == "debian"
    keyrings = [KEYRINGS / f"{release['ID']}-archive-keyring.{ending}" for ending in ("pgp", "gpg")]
    signed = [f"signed-by={each}" for each in keyrings if each.exists()]
    options = " ".join([*signed[:1], "target=Packages"])
    chosen = suite if suite and debian else release["VERSION_CODENAME"]
    return f"deb [{options}] {address} {chosen} {'main' if debian else 'main universe'}\n"


def _fetcher(suite: str | None, packages: Sequence[str]) -> Callable[[Path], None]:
    def fetch(folder: Path) -> None:
        """Let a private apt, for which nothing is installed yet, fetch the packages; unpack them."""
        private = folder / ".apt"
        for each in ("lists/partial", "cache/archives/partial"):
            (private / each).mkdir(parents=True)
        (private / "status").touch()
        (private / "sources.list").write_text(_source(suite))
        settings = {
            "Dir::Etc::sourcelist": private / "sources.list",
            "Dir::Etc::sourceparts": "/dev/null",
            "Dir::Etc::preferencesparts": "/dev/null",
            "Dir::State::lists": private / "lists",
            "Dir::Cache": private / "cache",
            "Dir::State::status": private / "status",
            "Debug::NoLocking": 1,
            "APT::Sandbox::User": "root",
            "Acquire::Retries": 3,
            "Acquire::http::Timeout": 30,
            "Acquire::https::Timeout": 30,
        }
        apt = ["apt-get", "-q", *(f"-o{name}={value}" for name, value in settings.items())]
        _run([*apt, "update"])
        _run([*apt, "install", "-y", "-d", "--no-install-recommends", *packages])
        for package in sorted((private / "cache/archives").glob("*.deb")):
            _run(["dpkg-deb", "-x", str(package), str(folder)])
        shutil.rmtree(private)

    return fetch


def unpacked(name: str, packages: Sequence[str], *, suite: str | None = None) -> Unpacked:
    """Return `packages` and all they need, unpacked in the cache; fetched when they are not there yet.

    `suite` names the suite to take where the machine's archive is Debian's; else it is its own release.
    """
    name = f"{name}-{platform.machine()}"
    origin = "the cache" if (cache_folder() / name).is_dir() else "the package archive"
    return Unpacked(cached(name, _fetcher(suite, packages)), origin)
