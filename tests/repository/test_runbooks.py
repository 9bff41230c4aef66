"""Runbooks: one page an alert, four headings, and no line that does not run."""

import re
import shlex
import signal
from pathlib import Path

import click
import pytest
import yaml

from opskit.cli.invocation import Invocation
from opskit.cli.root import opskit
from opskit.jobs import JOBS
from opskit.settings.units import format_duration
from tests.unit.command_line import PROJECT

RUNBOOKS = sorted((PROJECT / "runbooks").glob("*.md"))
RULES = sorted((PROJECT / "cronjobs" / "components").glob("*/rules.yaml"))
PROCEDURES = {
    "least-privilege",
    "move-registry",
    "restore-registry",
    "restore-without-opskit",
    "rotate-credentials",
    "rotate-keys",
    "upgrade-registry",
}
LONGEST = 95  # lines: a screen, and the tables that are looked up


def alerts() -> dict[str, str]:
    """Alert → the page that its runbook_url names."""
    found = {}
    for path in RULES:
        for group in yaml.safe_load(path.read_text())["spec"]["groups"]:
            for rule in group["rules"]:
                found[rule["alert"]] = Path(rule["annotations"]["runbook_url"]).stem
    return found


def commands(text: str) -> list[str]:
    """The lines of a page's shell blocks, and what it says in passing between backticks."""
    blocks = re.findall(r"```(?:sh|bash)\n(.*?)```", text, re.DOTALL)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines() if line.strip()]
    indented = re.findall(r"^    (?:\$ )?(opskit [a-z].*)$", text, re.MULTILINE)
    return lines + indented + re.findall(r"`(opskit [a-z][^`]*)`", text)


def variables(text: str) -> dict[str, str]:
    exports = [line for line in commands(text) if line.startswith("export ")]
    return dict(word.split("=", 1) for line in exports for word in shlex.split(line)[1:])


def substituted(line: str, values: dict[str, str]) -> str:
    return re.sub(r"\$(\w+)", lambda match: values[match[1]], line)


def parse(arguments: list[str]) -> None:
    """Parse a command line as opskit would, and run nothing; what is wrong with it is raised in click's words."""
    command: click.Command = opskit
    context = opskit.make_context("opskit", list(arguments), obj=Invocation())
    try:
        while isinstance(command, click.Group):
            name, found, rest = command.resolve_command(context, [*context._protected_args, *context.args])
            assert found is not None
            assert name is not None
            command = found
            context = command.make_context(name, rest, parent=context)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)  # --deadline has begun one


def test_every_alert_has_its_page_and_every_page_its_alert() -> None:
    pages = {path.stem for path in RUNBOOKS}
    assert set(alerts().values()) == pages - PROCEDURES
    assert pages >= PROCEDURES
    for alert, page in alerts().items():
        assert (PROJECT / "runbooks" / f"{page}.md").read_text().startswith(f"# {alert}\n"), page


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_page_has_four_headings_in_order_and_fits_a_screen(path: Path) -> None:
    text = path.read_text()
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == ["Meaning", "Impact", "Diagnosis", "Mitigation"]
    for section in re.split(r"^## .*$", text, flags=re.MULTILINE)[1:]:
        assert len(section.split()) >= 8, section
    assert len(text.splitlines()) <= LONGEST
    assert text.index("```sh\nexport ") < text.index("## Meaning"), "variables come first"


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_page_does_not_rot(path: Path) -> None:
    text = path.read_text()
    for word in ("TODO", "TBD", "FIXME", "kubectl log ", "kubectl exec -it"):
        assert word not in text
    mitigation = text.partition("## Mitigation")[2]
    assert re.search(r"Confirm|resolves within|both end with 0|end with 0", mitigation), "it ends with how to confirm"
    assert re.search(r"Healthy|healthy|\| go to \|", text.partition("## Diagnosis")[2]), "what healthy looks like"
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert (path.parent / link).exists(), link


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.stem)
def test_every_variable_is_set_before_it_is_used(path: Path) -> None:
    text = path.read_text()
    known = {"BACKUP"}  # set in the step that uses it
    for line in commands(text):
        if line.startswith("export "):
            known |= set(dict(word.split("=", 1) for word in shlex.split(line)[1:]))
        assert set(re.findall(r"\$(\w+)", line)) <= known, line


PAGES = [*RUNBOOKS, PROJECT / "README.md", PROJECT / "docs" / "cluster.md"]


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.stem)
def test_every_opskit_line_parses(path: Path) -> None:
    text = path.read_text()
    values = variables(text)
    for line in commands(text):
        if line.startswith("opskit ") and "…" not in line and not {"ID", "JOB", "NAME"} & set(line.split()):
            words = shlex.split(substituted(line, values), comments=True)
            if ">" in words:
                words = words[: words.index(">")]
            if len(words) < 3 and words[-1] not in ("probe", "serve", "registries"):
                continue  # a group, named in passing
            try:
                parse(words[1:])
            except click.MissingParameter:
                assert f"`{line}`" in text, line  # named in passing
            except click.ClickException as error:
                pytest.fail(f"{line}: {error.format_message()}")


@pytest.mark.parametrize("each", JOBS, ids=lambda each: each.name)
def test_every_job_s_command_line_parses(each: object) -> None:
    found = next(job for job in JOBS if job is each)
    parse([*found.arguments, "--deadline", "1h", *(["latest"] if found.schedule is None else [])])


def test_readme_has_the_table_of_jobs() -> None:
    rows = [
        f"| `{each.name}` | {f'`{each.schedule}`' if each.schedule else 'by hand'} | {format_duration(each.deadline)}"
        f" | {format_duration(each.stale_after) if each.stale_after else 'never'} | {each.summary} |"
        for each in JOBS
    ]
    assert "\n".join(rows) in (PROJECT / "README.md").read_text()


def test_a_line_that_does_not_parse_is_found() -> None:
    with pytest.raises(click.ClickException, match="No such option"):
        parse(["backup", "create", "--bogus"])
    with pytest.raises(click.ClickException, match="No such command"):
        parse(["backup", "destroy"])
