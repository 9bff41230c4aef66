"""The page that says how to restore without opskit, taken at its word."""

import re
import shlex
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from opskit.backup.create import create_backup
from opskit.storage.directory import DirectoryStorage
from sandbox.archive import unpacked
from sandbox.mariadb import mydumper
from sandbox.registry import Shape, generate
from sandbox.server import Server
from tests.conftest import fresh_database, skipped_unless_had
from tests.endpoints import endpoint
from tests.integration.fidelity import witness
from tests.integration.fidelity.trip import Trip

PAGE = (Path(__file__).parents[2] / "docs/restore-without-opskit.md").read_text()
Run = Callable[..., None]


def commands(heading: str) -> str:
    """Return what stands in the blocks below a heading."""
    (section,) = re.findall(rf"^## {heading}\n(.*?)(?=^## |\Z)", PAGE, re.DOTALL | re.MULTILINE)
    return "\n".join(re.findall(r"^```bash\n(.*?)^```$", section, re.DOTALL | re.MULTILINE))


@pytest.fixture(scope="session")
def programs() -> dict[str, Sequence[str]]:
    """The programs that the page needs and not every machine has, from the machine's own archive."""
    with skipped_unless_had("mysql"):
        found = unpacked("restore-programs", ["zstd", "jq"])
        return {name: found.command(found.root / "usr/bin" / name) for name in ("zstd", "jq")}


@pytest.fixture
def run_page(tmp_path: Path, programs: dict[str, Sequence[str]]) -> Run:
    def run(server: Server, folder: Path, database: str, *headings: str) -> None:
        (tmp_path / "bin").mkdir()
        client = "mysql" if server.product == "MySQL" else "mariadb"
        on_path = {**programs, "mysql": server.client(client), "myloader": mydumper(server, "myloader")}
        for name, command in on_path.items():
            (tmp_path / "bin" / name).write_text(f'#!/bin/sh\nexec {shlex.join(command)} "$@"\n')
            (tmp_path / "bin" / name).chmod(0o755)
        (tmp_path / "backup").symlink_to(folder)
        script = "\n".join(commands(heading) for heading in headings)
        assert "model_registry_restored" in script
        done = subprocess.run(
            ["bash"],
            input=script.replace("model_registry_restored", database),
            cwd=tmp_path,
            env={"PATH": f"{tmp_path / 'bin'}:/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert not done.stdout

    return run


def test_mysql_restores_a_backup_with_everything_in_it(everything: Trip, run_page: Run) -> None:
    with fresh_database(everything.server) as target:
        everything.server.execute(f"DROP DATABASE `{target}`")  # the page makes it
        run_page(everything.server, everything.folder, target, "Fetch the folder", "Load it with mysql")
        witness.require_same_dump(everything.server, everything.source, target)
        for view in ("SCHEMATA", "TABLES", "EVENTS"):
            expected = witness.facts(everything.server, everything.source, view)
            assert witness.facts(everything.server, target, view) == expected


def test_a_changed_file_stops_the_page_before_anything_is_loaded(
    mysql: Server, database: str, tmp_path: Path, run_page: Run
) -> None:
    mysql.execute(f"CREATE TABLE `{database}`.t (a INT)")
    manifest = create_backup(endpoint(mysql), database, DirectoryStorage(tmp_path), "registry")
    folder = tmp_path / "registry" / manifest.id
    with (folder / f"{database}.t-schema.sql.zst").open("ab") as file:
        file.write(b"\0")
    with pytest.raises(AssertionError, match=r"computed checksum did NOT match"):
        run_page(mysql, folder, f"{database}_opskit_page", "Fetch the folder", "Load it with mysql")
    assert not mysql.execute(f"SHOW DATABASES LIKE '{database}\\_opskit\\_page'")


@pytest.mark.parametrize("flavour", ["mlmd", "embedmd"])
def test_myloader_loads_tables_and_rows(
    mysql: Server, database: str, tmp_path: Path, run_page: Run, flavour: str
) -> None:
    with mysql.connect(database=database) as connection:
        generate(connection, Shape("mlmd" if flavour == "mlmd" else "embedmd", models=5))
    manifest = create_backup(endpoint(mysql), database, DirectoryStorage(tmp_path), "registry")
    with fresh_database(mysql) as target:
        folder = tmp_path / "registry" / manifest.id
        run_page(mysql, folder, target, "Fetch the folder", "Or load tables and rows with myloader")
        witness.require_same_dump(mysql, database, target)
