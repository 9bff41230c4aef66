"""What the documentation lists is what there is."""

import re

from opskit import cli
from opskit.cli.gravity import ORDER
from opskit.errors import OpskitError
from opskit.settings import Settings
from tests.unit.command_line import PROJECT
from tests.unit.configuration import key_paths

EXIT_CODES = (PROJECT / "docs" / "exit-codes.md").read_text()
CONFIGURATION = (PROJECT / "docs" / "configuration.md").read_text()


def codes_of_errors(root: type[OpskitError]) -> set[int]:
    return {root.exit_code}.union(*(codes_of_errors(child) for child in root.__subclasses__()))


def test_every_exit_code_is_explained_and_no_other() -> None:
    signals = {cli.INTERRUPTED, cli.BROKEN_PIPE, cli.TERMINATED}
    ours = {cli.DONE, cli.FOUND_PROBLEMS, cli.USAGE} | signals | codes_of_errors(OpskitError)
    documented = [int(code) for code in re.findall(r"^\| (\d+) \|", EXIT_CODES, re.MULTILINE)]
    assert documented == sorted(ours)


def test_order_of_gravity_is_documented() -> None:
    assert ", ".join(str(code) for code in ORDER if code) in EXIT_CODES


def documented_keys() -> set[str]:
    """The keys in the first column of each table: `a.b` `.c` means a.b and a.c."""
    keys = set()
    for cell in re.findall(r"^\| (`[^|]+`) \|", CONFIGURATION, re.MULTILINE):
        names = re.findall(r"`([^`]+)`", cell)
        section = names[0].rpartition(".")[0]
        keys |= {section + name if name.startswith(".") else name for name in names}
    return keys


def test_every_key_of_the_configuration_is_documented_and_no_other() -> None:
    modes = {"disabled", "required", "verify_ca", "verify_identity"}
    whole_sections = set(Settings.model_fields) - {"discover"}
    assert documented_keys() - modes == set(key_paths(Settings)) - whole_sections


def test_documented_defaults_are_those_in_force() -> None:
    effective = Settings().model_dump(mode="json")
    rows = re.findall(
        r"^\| `(artifacts|backup|rehearse|retention|probe)\.(\w+)` \| `([^`]+)` \|", CONFIGURATION, re.MULTILINE
    )
    assert len(rows) == 24
    for section, key, default in rows:
        assert str(effective[section][key]).lower() == default.lower(), f"{section}.{key}"


def test_every_link_leads_to_a_file() -> None:
    pages = [
        *PROJECT.glob("*.md"),
        *(page for folder in ("docs", "runbooks", "sandbox") for page in (PROJECT / folder).rglob("*.md")),
    ]
    links = [(page, link) for page in pages for link in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", page.read_text())]
    broken = [(page.name, link) for page, link in links if "://" not in link and not (page.parent / link).exists()]
    assert links
    assert broken == []


def test_every_fault_names_a_test() -> None:
    faults = (PROJECT / "docs" / "faults.md").read_text()
    rows = re.findall(r"^\| (?!fault \|).*$", faults, re.MULTILINE)
    assert rows
    assert [row for row in rows if not re.search(r"\| `test_\w+`(, `test_\w+`)* \|$", row)] == []


def test_every_test_that_the_faults_name_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", (PROJECT / "docs" / "faults.md").read_text()))
    there = {
        name for path in (PROJECT / "tests").rglob("*.py") for name in re.findall(r"def (test_\w+)", path.read_text())
    }
    assert named
    assert named <= there, named - there
