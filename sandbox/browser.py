"""A real browser: Chromium, from PATH, else from the machine's own package archive."""

import shutil
from dataclasses import dataclass, field
from pathlib import Path

from sandbox import UnavailableSandboxError
from sandbox.archive import Unpacked, unpacked
from sandbox.cache import cached

PACKAGES = ("chromium-headless-shell", "fonts-dejavu-core")
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

    It starts itself again for each of its processes, so it uses the machine's C library.
    """
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    if found is not None:
        return Browser(Path(found))
    packages = unpacked("chromium-headless-shell", PACKAGES)
    program = packages.file("usr/lib/chromium/chromium-headless-shell", "usr/lib/chromium/headless_shell")
    if program is None:
        raise UnavailableSandboxError(f"the package archive gave no chromium: {packages.root}")
    fonts = cached(f"{packages.root.name}-fonts", lambda folder: _write_fonts(packages, folder))
    variables = {"LD_LIBRARY_PATH": str(packages.libraries()), "FONTCONFIG_FILE": str(fonts / "fonts.conf")}
    return Browser(program, variables)


def _write_fonts(packages: Unpacked, folder: Path) -> None:
    fonts = packages.root / "usr/share/fonts"
    (folder / "fonts.conf").write_text(FONTS.format(fonts=fonts, cache=packages.root / "fonts-cache"))
