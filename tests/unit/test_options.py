import json
from itertools import chain
from pathlib import Path

import pytest

from opskit.mysql.encode import ACCELERATED
from tests.unit.command_line import PROJECT, environment, opskit_command, run, stand_in_command

SHOW = "invocation.show({'names': invocation.registry_names, 'storage': invocation.storage_url}, 'text')"


def shown(before: list[str], after: list[str], tmp_path: Path) -> object:
    ended = run([*stand_in_command(SHOW, *before), *after], tmp_path)
    assert ended.returncode == 0
    return json.loads(ended.stdout)


@pytest.mark.parametrize("split", range(4))
def test_shared_options_may_stand_before_and_after_the_command(split: int, tmp_path: Path) -> None:
    options = [["--json"], ["--registry", "a"], ["--storage-url", "file:///x"]]
    before, after = list(chain(*options[:split])), list(chain(*options[split:]))
    assert shown(before, after, tmp_path) == {"names": ["a"], "storage": "file:///x"}


def test_registries_named_before_and_after_the_command_add_up(tmp_path: Path) -> None:
    before, after = ["--json", "--registry", "a"], ["--registry", "b", "--registry", "c"]
    assert shown(before, after, tmp_path) == {"names": ["a", "b", "c"], "storage": None}


def test_option_after_the_command_beats_the_one_before(tmp_path: Path) -> None:
    before, after = ["--json", "--storage-url", "file:///x"], ["--storage-url", "file:///y"]
    assert shown(before, after, tmp_path) == {"names": [], "storage": "file:///y"}


def test_empty_option_is_an_error_and_not_the_default(tmp_path: Path) -> None:
    ended = run(opskit_command("config", "check", "--storage-url", ""), tmp_path)
    assert ended.returncode == 78
    assert "(from --storage-url)" in ended.stderr


def test_help_page_of_a_command_points_to_the_shared_options(tmp_path: Path) -> None:
    own = run(opskit_command("config", "check", "--help"), tmp_path).stdout
    assert "Every command also takes --config, --registry, --mysql-url, --storage-url, --json," in " ".join(own.split())
    assert "Every command also takes" not in run(opskit_command("--help"), tmp_path).stdout


def test_version_tells_how_rows_are_encoded(tmp_path: Path) -> None:
    text = run(opskit_command("--version"), tmp_path).stdout
    assert text.startswith("opskit ")
    assert ("rows are encoded in C" if ACCELERATED else "rows are encoded in Python") in text


def test_broken_encoder_does_not_hide_the_version(tmp_path: Path) -> None:
    (tmp_path / "xxhash.py").write_text("raise ImportError('no xxhash')")
    environ = environment(PYTHONPATH=f"{tmp_path}:{PROJECT}")
    ended = run(opskit_command("--version"), tmp_path, environ)
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "rows cannot be encoded: no xxhash" in ended.stdout
