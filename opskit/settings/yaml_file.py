"""The YAML file as plain values; a key given twice is an error, not the last one's victory."""

from pathlib import Path
from typing import Any

import yaml

from opskit.errors import ConfigurationError


class _Loader(yaml.SafeLoader):
    """SafeLoader that remembers duplicate keys, which YAML forbids and PyYAML lets pass."""

    def __init__(self, stream: str) -> None:
        super().__init__(stream)
        self.duplicates: list[str] = []

    def compose_mapping_node(self, anchor: Any) -> yaml.MappingNode:  # noqa: ANN401 - PyYAML's signature
        """Look at the keys as they are written, before merges (`<<`) add more."""
        node: yaml.MappingNode = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    self.duplicates.append(f"line {key.start_mark.line + 1}: the key {key.value!r} is given twice")
                seen.add(key.value)
        return node


def read_yaml(path: Path) -> tuple[dict[str, Any], list[str]]:
    """Return the file's values, and one problem for each key that is given twice."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(f"the configuration file {path} cannot be read: {error.strerror}") from error
    except UnicodeDecodeError:
        # Not chained, like the YAML error below: both quote the file, and with it perhaps a secret.
        raise ConfigurationError(f"the configuration file {path} is not UTF-8 text") from None
    loader = None
    try:
        loader = _Loader(text)
        values = loader.get_single_data()
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise ConfigurationError(
            f"the configuration file {path} is not valid YAML{_place(error)}",
            hint="values with special characters (: # ! & * @ ` %) are put in quotes",
        ) from None
    finally:
        if loader is not None:
            loader.dispose()
    if values is None:
        values = {}
    if not isinstance(values, dict):
        raise ConfigurationError(f"the configuration file {path} must hold a mapping of sections")
    return values, loader.duplicates


def _place(error: Exception) -> str:
    mark = error.problem_mark if isinstance(error, yaml.MarkedYAMLError) else None
    return f" (line {mark.line + 1}, column {mark.column + 1})" if mark else ""
