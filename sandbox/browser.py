"""A real browser: Chromium, from PATH, else from the machine's own package archive."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import UnavailableSandboxError
from sandbox.archive import Unpacked, unpacked
from sandbox.cache import cached

PACKAGES = ("chromium-headless-shell", "fonts-dejavu-core")
# The machine's own: loader and C library must be of one build.
C_LIBRARY = ("ld-linux", "libc.", "libm.", "libdl.", "libpthread.", "librt.", "libresolv.", "libmvec.", "libutil.")
FONTS = """\
<?xml version="1.0"?><!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig><dir>{fonts}</dir><cachedir>{cache}</cachedir></fontconfig>
"""


@dataclass(frozen=True)
class Browser:
    """The program, and the variables that it needs."""

    program: Path
    environment: dict[str, str] = field(default_factory=dict)


def chromium() -> Browser:
    """Return a Chromium; `UnavailableSandboxError` if there is none to be had.

    It starts itself again for each of its processes, so it cannot run through a loader of its own, as other programs
    here do: its packages are those of this machine's release, and it uses the machine's C library.
    """
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is not None:
        return Browser(Path(found))
    packages = unpacked("chromium-headless-shell", PACKAGES)
    program = packages.file("usr/lib/chromium/chromium-headless-shell", "usr/lib/chromium/headless_shell")
    if program is None:
        raise UnavailableSandboxError(f"the package archive gave no chromium: {packages.root}")
    beside = cached(f"{packages.root.name}-libraries", lambda folder: _link_libraries(packages, folder))
    fonts = beside / "fonts.conf"
    return Browser(program, {"LD_LIBRARY_PATH": str(beside), "FONTCONFIG_FILE": str(fonts)})


def _link_libraries(packages: Unpacked, folder: Path) -> None:
    """Gather links to all libraries but the C library in one folder, and say where the fonts are."""
    for lib in ("lib", "usr/lib"):
        for library in sorted(packages.root.glob(f"{lib}/*-linux-*/**/*.so*")):
            link = folder / library.name
            if not library.name.startswith(C_LIBRARY) and not link.is_symlink():
                link.symlink_to(library)
    fonts = packages.root / "usr/share/fonts"
    (folder / "fonts.conf").write_text(FONTS.format(fonts=fonts, cache=packages.root / "fonts-cache"))
