"""Plain values for the settings, gathered from the YAML file and the environment, each with its origin."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from opskit.settings.secret import SECRETS

PREFIX = "OPSKIT_"
# Read elsewhere: the first use without a file, the cache of development servers, the tests.
OTHER_VARIABLES = frozenset(
    {
        "OPSKIT_CONFIG",
        "OPSKIT_JOB_NAME",
        "OPSKIT_MYSQL_URL",
        "OPSKIT_MYSQL_PASSWORD",
        "OPSKIT_MYSQL_PASSWORD_FILE",
        "OPSKIT_STORAGE_URL",
        "OPSKIT_CACHE",
    }
)
OTHER_PREFIXES = ("OPSKIT_TEST",)

# Kubernetes gives every pod variables for the Services of its namespace, here for those named opskit or
# opskit-…: X_SERVICE_HOST, X_SERVICE_PORT[_PORTNAME], X_PORT=tcp://…, X_PORT_8080_TCP[_PROTO|_PORT|_ADDR].
_SERVICE_LINK = re.compile(
    r"OPSKIT(_[A-Z0-9]+)*_(SERVICE_HOST|SERVICE_PORT(_[A-Z0-9]+)*|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)",
    re.ASCII,
)
_SERVICE_URL = re.compile(r"OPSKIT(_[A-Z0-9]+)*_PORT", re.ASCII)
_PROTOCOLS = ("tcp://", "udp://", "sctp://")

Path = tuple[str | int, ...]


@dataclass
class Source:
    """Values as they were found, where each came from if not from the file, and what is wrong with them."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[Path, str] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def put(self, path: Path, value: object, origin: str) -> None:
        """Set one value, over what the file says."""
        try:
            self.values = _placed(self.values, path, value, self._sibling(path))
        except _MisplacedError as error:
            self.problems.append(f"{origin}: {error}")
        else:
            self.origins[path] = origin

    def put_environment(self, environ: Mapping[str, str]) -> None:
        """Set every scalar that an `OPSKIT_A__B` variable gives."""
        variables = {}
        for name in environ:
            if not name.startswith(PREFIX) or is_foreign(name, environ[name]):
                continue
            if name.upper() != name:
                self.problems.append(f"{name}: unknown variable: settings are in upper case")
            else:
                variables[variable_path(name)] = name
        # Item 0 of a list comes before item 1, and item 10 after item 9.
        for path in sorted(variables, key=lambda path: [(isinstance(key, str), str(key).zfill(4)) for key in path]):
            self.put(path, environ[variables[path]], variables[path])

    def origin(self, path: Path) -> str | None:
        """Return the variable or option that a value, or something within it, came from."""
        for known, origin in self.origins.items():
            length = min(len(known), len(path))
            if known[:length] == path[:length]:
                return origin
        return None

    def _sibling(self, path: Path) -> Path | None:
        """Return a secret's other source: a password in the environment replaces the file's password_file."""
        name = str(path[-1])
        secret = name.removesuffix("_file")
        if secret not in SECRETS:
            return None
        sibling = (*path[:-1], secret if name != secret else f"{secret}_file")
        return None if sibling in self.origins else sibling


class _MisplacedError(ValueError):
    pass


def is_foreign(name: str, value: str) -> bool:
    """Tell variables that are no settings: those read elsewhere, and the service links of Kubernetes."""
    if name in OTHER_VARIABLES or name.startswith(OTHER_PREFIXES) or _SERVICE_LINK.fullmatch(name):
        return True
    # By its value: OPSKIT_MYSQL_PORT=3307 would be somebody's mistake.
    return _SERVICE_URL.fullmatch(name) is not None and value.startswith(_PROTOCOLS)


def variable_path(name: str) -> Path:
    """Return the path that a variable names: `OPSKIT_REGISTRIES__0__NAME` → `("registries", 0, "name")`."""
    parts = name.removeprefix(PREFIX).split("__")
    return tuple(int(part) if re.fullmatch(r"[0-9]{1,4}", part) else part.lower() for part in parts)


def path_text(path: Path) -> str:
    """Return a path as people write it: `registries[0].mysql.port`."""
    return "".join(f"[{key}]" if isinstance(key, int) else f".{key}" for key in path).removeprefix(".")


def _placed(container: Any, path: Path, value: object, drop: Path | None) -> Any:  # noqa: ANN401 - plain YAML values
    """Return the container with one value set; copied on the way, for YAML anchors make sections shared."""
    key, *rest = path
    if isinstance(key, int):
        items = [] if container is None else container
        if not isinstance(items, list):
            raise _MisplacedError("there is no list here")
        if key > len(items):
            raise _MisplacedError(f"there is no item {len(items)} before it")
        inner = items[key] if key < len(items) else None
        return [*items[:key], _within(inner, rest, value, drop), *items[key + 1 :]]
    section = {} if container is None else container
    if not isinstance(section, dict):
        raise _MisplacedError("there is no section here")
    if not rest and drop is not None:
        section = {name: kept for name, kept in section.items() if name != drop[-1]}
    return {**section, key: _within(section.get(key), rest, value, drop)}


def _within(inner: Any, rest: list[str | int], value: object, drop: Path | None) -> Any:  # noqa: ANN401 - the same
    return _placed(inner, tuple(rest), value, drop) if rest else value
