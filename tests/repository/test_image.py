"""The image: everything in it is locked, and nothing in it needs root or a compiler."""

import re
import tomllib

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.unit.command_line import PROJECT

LOCK = (PROJECT / "requirements.lock").read_text()
CONTAINERFILE = (PROJECT / "Containerfile").read_text()


def test_every_dependency_is_locked_with_hashes_and_within_its_bounds() -> None:
    locked = dict(re.findall(r"^([\w.-]+)==([\w.]+)", LOCK, re.MULTILINE))
    document = tomllib.loads((PROJECT / "pyproject.toml").read_text())
    project = document["project"]
    # A job may need any extra: the layer grpc, backups with keys.
    extras = [each for extra in project["optional-dependencies"].values() for each in extra]
    for each in map(Requirement, [*project["dependencies"], *extras, *document["build-system"]["requires"]]):
        name = canonicalize_name(each.name)
        assert name in locked, f"{each}: lock it again, as docs/cluster.md tells"
        assert each.specifier.contains(locked[name]), each
    for entry in re.split(r"^(?=[\w.-]+==)", LOCK, flags=re.MULTILINE)[1:]:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", entry), entry.splitlines()[0]


def test_lock_names_no_registry() -> None:
    assert "://" not in LOCK
    assert "--index-url" not in LOCK


def test_image_is_installed_from_the_lock_and_ends_without_a_compiler() -> None:
    build, final = CONTAINERFILE.split("\nFROM ${BASE}\n")
    assert "--require-hashes -r requirements.lock" in build
    assert "--no-deps --no-build-isolation ." in build
    assert re.findall(r"^(?:RUN|ADD) .*$", final, re.MULTILINE) == []


def test_user_is_a_number_in_group_0() -> None:
    assert re.findall(r"^USER (\S+)$", CONTAINERFILE, re.MULTILINE)[-1] == "1001:0"
    assert CONTAINERFILE.rstrip().endswith('ENTRYPOINT ["opskit"]')
    assert ":latest" not in CONTAINERFILE
