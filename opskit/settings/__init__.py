"""The configuration, validated whole; see docs/configuration.md.

Functions elsewhere take the values they need, not the settings.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import ValidationError

from opskit.errors import ConfigurationError
from opskit.settings.model import Registry, Settings, Storage, Store
from opskit.settings.source import Source, path_text
from opskit.settings.url import parse_mysql_url, registry_name
from opskit.settings.yaml_file import read_yaml

if TYPE_CHECKING:
    from pydantic_core import ErrorDetails

__all__ = ["Registry", "Settings", "Store", "load_settings"]

_WORDING = {
    "missing": "is required",
    "extra_forbidden": "unknown key",
    "model_type": "must be a section, with keys of its own",
    "model_attributes_type": "must be a section, with keys of its own",
    "tuple_type": "must be a list",
    "string_too_short": "must not be empty",
}
_POSTGRES = ("postgres", "postgresql")


def load_settings(
    config: Path | None,
    environ: Mapping[str, str],
    *,
    mysql_url: str | None = None,
    storage_url: str | None = None,
) -> Settings:
    """Gather and validate the configuration: options before the environment before the file.

    All problems are in one `ConfigurationError`, each on a line with its path and the variable it came from;
    no line holds a value. `config` is the file, else `OPSKIT_CONFIG` names it, else there is none.
    """
    source = Source()
    if config is None and "OPSKIT_CONFIG" in environ:
        config = Path(environ["OPSKIT_CONFIG"])
    if config is not None:
        source.values, source.problems = read_yaml(config)
    source.put_environment(environ)
    _put_storage_url(source, environ, storage_url)
    _put_mysql_url(source, environ, mysql_url)
    source.problems += _names_given_twice(source.values.get("registries"))
    settings = None
    try:
        settings = Settings.model_validate(source.values)
    except ValidationError as error:
        source.problems += [
            _problem(source, details) for details in error.errors(include_url=False, include_input=False)
        ]
    if settings is None or source.problems:
        raise ConfigurationError(
            "\n  ".join(["the configuration is not valid:", *source.problems]),
            hint="docs/configuration.md tells every key",
        )
    return settings if storage_url is None else _with_one_storage(settings)


def _with_one_storage(settings: Settings) -> Settings:
    """Leave only the storage that --storage-url names, with the keys of the copy that has this URL, if there is one."""
    named = settings.storage.url
    store = next((copy for copy in settings.storage.copies if copy.url == named), settings.storage)
    alone = Storage(**{name: getattr(store, name) for name in Store.model_fields})
    return settings.model_copy(update={"storage": alone})


def _put_storage_url(source: Source, environ: Mapping[str, str], option: str | None) -> None:
    if option is not None:
        source.put(("storage", "url"), option, "--storage-url")
    elif "OPSKIT_STORAGE_URL" in environ:
        if "OPSKIT_STORAGE__URL" in environ:
            source.problems.append("OPSKIT_STORAGE_URL: OPSKIT_STORAGE__URL is the same setting: give one of them")
        source.put(("storage", "url"), environ["OPSKIT_STORAGE_URL"], "OPSKIT_STORAGE_URL")


def _put_mysql_url(source: Source, environ: Mapping[str, str], option: str | None) -> None:
    """Describe one registry by its URL, the first use without a file."""
    url = option if option is not None else environ.get("OPSKIT_MYSQL_URL")
    origin = "--mysql-url" if option is not None else "OPSKIT_MYSQL_URL"
    secrets = {
        key: environ[variable]
        for key, variable in (
            ("password", "OPSKIT_MYSQL_PASSWORD"),
            ("password_file", "OPSKIT_MYSQL_PASSWORD_FILE"),
        )
        if variable in environ
    }
    others = bool(source.values.get("registries"))
    if url is None:
        if secrets and others:
            source.problems.append("OPSKIT_MYSQL_PASSWORD: belongs to OPSKIT_MYSQL_URL, which is not set")
        return
    if others:
        source.problems.append(f"{origin}: describes a registry, and others are listed: give one or the other")
        return
    try:
        section = parse_mysql_url(url)
    except ValueError as error:
        source.problems.append(f"{origin}: {error}")
        return
    registry = {"name": registry_name(str(section["database"])), "mysql": section | secrets}
    source.put(("registries", 0), registry, origin)


def _names_given_twice(registries: object) -> list[str]:
    """Find names that differ in case at most: a name is a folder, and some file systems ignore case."""
    first: dict[str, int] = {}
    problems = []
    for index, registry in enumerate(registries if isinstance(registries, list) else []):
        name = registry.get("name") if isinstance(registry, dict) else None
        if isinstance(name, str) and first.setdefault(name.lower(), index) != index:
            problems.append(f"registries[{index}].name: registries[{first[name.lower()]}] has this name already")
    return problems


def _problem(source: Source, details: "ErrorDetails") -> str:
    path = details["loc"]
    if details["type"] == "extra_forbidden" and path[-1] in _POSTGRES:
        text = "PostgreSQL registries are not supported: opskit backs up MySQL and MariaDB"
    elif details["type"] == "value_error":
        text = str(details["ctx"]["error"])
    else:
        text = _WORDING.get(details["type"], details["msg"].replace("Input should", "must", 1))
    origin = source.origin(path)
    return f"{path_text(path)}: {text}" + (f" (from {origin})" if origin else "")
