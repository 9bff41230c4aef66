"""What goes into a backup comes back as it was; mysqldump, CHECKSUM TABLE and information_schema bear witness."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from opskit.backup.create import create_backup
from opskit.backup.manifest import Manifest
from opskit.mysql.connection import Endpoint
from opskit.restore.run import Options, RestoreReport, restore
from opskit.storage.directory import DirectoryStorage
from sandbox.server import Server
from tests.conftest import fresh_database
from tests.integration.fidelity import mariadb as mariadb_data
from tests.integration.fidelity import mysql_values, programs, structure, text, values, witness
from tests.integration.fidelity.filling import fill
from tests.unit.command_line import environment, opskit_command, run

# CHECKSUM TABLE of a multi-valued key over numbers is another one each time (measured on MySQL 9.7.4).
UNSTABLE = frozenset({"functional"})
EVERYTHING = {
    "mysql": {**values.TABLES, **text.TABLES, **mysql_values.TABLES, **structure.TABLES, **programs.TABLES},
    "mariadb": mariadb_data.TABLES,
}


def endpoint(server: Server) -> Endpoint:
    mode = "required" if server.product == "MySQL" else "disabled"
    return Endpoint(server.host, server.port, server.user, server.password, tls_mode=mode)


@dataclass(frozen=True)
class Trip:
    """One database that went into a backup, and what came back."""

    server: Server
    source: str
    target: str
    manifest: Manifest
    report: RestoreReport

    def require_same_dump(self) -> None:
        witness.require_same_dump(self.server, self.source, self.target)


@contextmanager
def round_trip(server: Server, source: str, folder: Path, *, keep_all: bool = True) -> Iterator[Trip]:
    storage = DirectoryStorage(folder)
    manifest = create_backup(endpoint(server), source, storage, "registry")
    with fresh_database(server) as target:
        options = Options(into=target, keep_definer=keep_all, enable_events=keep_all)
        report = restore(endpoint(server), storage, manifest, options)
        yield Trip(server, source, target, manifest, report)


@pytest.fixture(
    scope="module",
    params=[pytest.param(name, marks=getattr(pytest.mark, name)) for name in ("mysql", "mariadb")],
)
def everything(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Trip]:
    """A database with a column of every type, every kind of key, constraint and program, saved and restored."""
    server: Server = request.getfixturevalue(request.param)
    with fresh_database(server) as source:
        fill(server, source, EVERYTHING[request.param], programs.STATEMENTS)
        with round_trip(server, source, tmp_path_factory.mktemp("backups")) as trip:
            yield trip


def test_mysqldump_of_source_and_target_is_identical(everything: Trip) -> None:
    everything.require_same_dump()


def test_the_servers_own_checksum_of_every_table_is_equal(everything: Trip) -> None:
    found = [
        witness.checksums(everything.server, database, without=UNSTABLE)
        for database in (everything.source, everything.target)
    ]
    assert len(found[0]) > 100
    assert found[0] == found[1]


@pytest.mark.parametrize("view", witness.VIEWS_OF_A_DATABASE)
def test_information_schema_tells_the_same_of_both(everything: Trip, view: str) -> None:
    found = [
        witness.facts(everything.server, database, view) for database in (everything.source, everything.target)
    ]
    assert found[0]
    assert found[0] == found[1]


@pytest.mark.parametrize(
    ("table", "columns"),
    [("floating", ("d", "f")), ("floating_forms", ("fu", "fz", "fd", "du", "dz", "dd", "ddz", "p"))],
)
def test_every_bit_of_a_floating_number_comes_back(everything: Trip, table: str, columns: tuple[str, ...]) -> None:
    # mysqldump prints six digits of a FLOAT; a DOUBLE is printed so that it reads back as itself.
    exact = [f"CAST({column} AS DOUBLE)" for column in columns]
    found = [witness.rows(everything.server, each, table, *exact) for each in (everything.source, everything.target)]
    assert found[0] == found[1]
    printed = {value for row in found[0] for value in row}
    assert "16777216" in printed
    if everything.server.product == "MySQL":
        assert "-0" in printed  # MariaDB shows 0 for it


def test_rows_that_refer_to_nothing_are_kept_and_counted(everything: Trip) -> None:
    assert everything.report.orphans == {
        "a_child.a_child_ibfk_1": 1,
        "a_child.é to parents": 1,
        "cycle_b.cycle_b_ibfk_1": 1,
    }


def test_every_row_was_compared_and_nothing_warned_about(everything: Trip) -> None:
    report = everything.report
    assert report.not_compared == ()
    assert report.warnings == ()
    assert {each.table for each in report.tables} == set(
        witness.base_tables(everything.server, everything.source)
    )
