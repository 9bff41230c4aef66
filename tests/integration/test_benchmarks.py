"""Every program that is measured does each of its jobs: what fails in a benchmark fails after half an hour."""

import pytest

from benchmarks.databases import DATABASE, Subject
from benchmarks.place import LINKS, place
from benchmarks.programs import ENCODER, PROGRAMS, START_UP, short_commands
from benchmarks.rounds import measure
from sandbox.registry import Shape, generate
from tests.conftest import skipped_unless_had

DOERS = {
    "backup": {"mysqldump", "mydumper", "opskit"},
    "check": {"opskit"},
    "restore": {"mysqldump", "mydumper", "opskit"},
    ENCODER: {"opskit", "opskit in Python"},
    START_UP: {"opskit --help", "opskit probe --only mysql"},
}


@pytest.mark.mysql
@pytest.mark.mariadb
@pytest.mark.parametrize(("link", "jobs"), [("tls", list(DOERS)), ("plain", ["backup"])])
def test_every_program_does_its_jobs(link: str, jobs: list[str]) -> None:
    with skipped_unless_had("mysql"), skipped_unless_had("mariadb"), place(None, LINKS[link]) as here:
        here.server.execute(f"CREATE DATABASE {DATABASE}")
        with here.server.connect(database=DATABASE) as connection:
            generate(connection, Shape("embedmd", models=2))
        programs = [*(program(here) for program in PROGRAMS.values()), *short_commands(here)]
        sections = list(measure(here, Subject("x1"), programs, jobs, rounds=1, settle=lambda: None))
        assert here.server.execute("SHOW DATABASES LIKE 'restored'") == ()
    assert {each.job: set(each.costs) for each in sections} == {job: DOERS[job] for job in jobs}
    assert all(cost.seconds > 0 for each in sections for rounds in each.costs.values() for cost in rounds)
