"""Imports point one way, and each foreign library has its place."""

import ast
import graphlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.unit.command_line import PROJECT, environment, opskit_command

PACKAGE = PROJECT / "opskit"
MODULES = sorted(path for path in PACKAGE.rglob("*.py"))

# Each may import what stands beside or below it, never what stands above.
LAYERS = (
    {"__main__"},
    {"cli", "serve"},
    {"jobs", "wiring", "checks", "cluster", "endpoints"},
    {"backup", "restore", "artifacts", "probe"},
    {"registry", "mysql", "storage"},
    {"kubernetes_api"},
    {"settings", "workers"},
    {"amounts", "cron", "deadline", "errors", "memory", "progress", "redaction", "__init__", "__version__"},
)
# Which part alone may import a library; None is the one module, wherever it is.
OWNERS = {
    "pymysql": {"mysql"},
    "boto3": {"storage", "artifacts"},
    "botocore": {"storage", "artifacts"},
    "apscheduler": {"serve"},
    "grpc": {"probe"},
    "click": {"cli"},
    "rich": {"cli"},
    "yaml": {"cli", "cluster", "settings"},
}
HEAVY = ("pymysql", "boto3", "botocore", "kubernetes", "pydantic", "yaml", "rich", "cryptography", "zstandard")


def part(path: Path) -> str:
    """The package or module below `opskit` that a file belongs to."""
    first = path.relative_to(PACKAGE).parts[0]
    return first.removesuffix(".py")


def dotted(path: Path) -> str:
    return ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__")


def imports(nodes: Iterator[ast.AST], path: Path) -> Iterator[str]:
    """The modules that are imported, dotted and in full; `from x import y` may name the module x.y."""
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def every_import(path: Path) -> set[str]:
    """All imports of a file, those within functions included."""
    return set(imports(ast.walk(ast.parse(path.read_text())), path))


def layer(name: str) -> int:
    for depth, members in enumerate(LAYERS):
        if name in members:
            return depth
    pytest.fail(f"opskit.{name} has no place yet: give it one in LAYERS")


def test_imports_are_found_at_the_top_and_within_functions() -> None:
    assert "pymysql" in every_import(PACKAGE / "mysql" / "connection.py")
    assert "opskit.settings" in every_import(PACKAGE / "cli" / "invocation.py")


@pytest.mark.parametrize("path", MODULES, ids=dotted)
def test_imports_point_one_way(path: Path) -> None:
    depth = layer(part(path))
    for name in every_import(path):
        if name.startswith("opskit."):
            assert layer(name.split(".")[1]) >= depth, f"{dotted(path)} imports {name}"


def test_no_two_modules_import_each_other() -> None:
    known = {dotted(path) for path in MODULES}
    graph = {}
    for path in MODULES:
        body = ast.parse(path.read_text()).body
        graph[dotted(path)] = (set(imports(iter(body), path)) & known) - {"opskit", dotted(path)}
    graphlib.TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("library", OWNERS)
def test_foreign_library_stays_in_its_place(library: str) -> None:
    users = {part(path) for path in MODULES for name in every_import(path) if name.split(".")[0] == library}
    assert users <= OWNERS[library]


def test_kubernetes_has_one_door() -> None:
    users = [path for path in MODULES for name in every_import(path) if name.split(".")[0] == "kubernetes"]
    assert len(set(users)) <= 1


@pytest.mark.parametrize("path", [path for path in MODULES if part(path) != "cli"], ids=dotted)
def test_nothing_below_the_command_line_prints_or_exits(path: Path) -> None:
    forbidden = r"print|exit|quit|sys\.exit|os\._exit|SystemExit"
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            assert not re.fullmatch(forbidden, ast.unparse(node.func)), f"{dotted(path)}:{node.lineno}"
        if isinstance(node, ast.Raise) and node.exc is not None:
            assert not ast.unparse(node.exc).startswith("SystemExit"), f"{dotted(path)}:{node.lineno}"


def loaded_by(*arguments: str) -> set[str]:
    """The top-level modules that a command line imports."""
    command = [sys.executable, "-X", "importtime", *opskit_command(*arguments)[1:]]
    ended = subprocess.run(command, env=environment(), capture_output=True, text=True, check=True, timeout=60)
    return {line.rsplit("|", 1)[1].strip().split(".")[0] for line in ended.stderr.splitlines() if "|" in line}


def test_help_imports_nothing_heavy() -> None:
    loaded = loaded_by("--help")
    assert "click" in loaded
    assert not loaded & set(HEAVY)


def test_imports_of_a_command_are_seen() -> None:
    assert {"pydantic", "yaml"} <= loaded_by("config", "check")
