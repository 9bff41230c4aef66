"""`backup prune`, `hold` and `release` as anybody would type them."""

import json
import re
import shlex
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any, cast

import pytest

from opskit.backup.holds import place
from opskit.storage.directory import DirectoryStorage
from tests.backups import NOON, backup_id, keys, keys_of, write_backup, write_days
from tests.unit.command_line import environment, opskit_command, run

CONFIGURATION = """\
storage: {{url: "{first}", copies: [{{url: "{copy}"}}]}}
retention: {{keep_last: 2, keep_daily: 0, keep_weekly: 0, keep_monthly: 0, min_redundancy: {floor}}}
registries:
  - {{name: reg, mysql: {{host: 127.0.0.1, port: 1, user: nobody, database: db}}}}
  - {{name: second, mysql: {{host: 127.0.0.1, port: 1, user: nobody, database: db}}}}
"""

Opskit = Callable[..., CompletedProcess[str]]


@pytest.fixture
def storage(tmp_path: Path) -> DirectoryStorage:
    (tmp_path / "first").mkdir()
    return DirectoryStorage(tmp_path / "first")


@pytest.fixture
def copy(tmp_path: Path) -> DirectoryStorage:
    (tmp_path / "copy").mkdir()
    return DirectoryStorage(tmp_path / "copy")


@pytest.fixture
def opskit(tmp_path: Path, storage: DirectoryStorage, copy: DirectoryStorage) -> Opskit:
    """Run opskit with two registries, whose servers are never asked, and a storage with a copy."""

    def configured(*arguments: str, expect: int = 0, floor: int = 1) -> CompletedProcess[str]:
        (tmp_path / "opskit.yaml").write_text(CONFIGURATION.format(first=storage.url, copy=copy.url, floor=floor))
        ended = run(opskit_command(*arguments), tmp_path, environment(OPSKIT_CONFIG=str(tmp_path / "opskit.yaml")))
        assert ended.returncode == expect, ended.stderr
        return ended

    return configured


def document(ended: CompletedProcess[str]) -> dict[str, Any]:
    return cast("dict[str, Any]", json.loads(ended.stdout))


def test_prune_shows_what_goes_and_why_the_rest_stays_and_changes_nothing(
    opskit: Opskit, storage: DirectoryStorage, copy: DirectoryStorage
) -> None:
    ids = write_days(storage, "reg", 3)
    write_days(copy, "reg", 3)
    before = keys(storage) | keys(copy)
    ended = opskit("backup", "prune")
    for words in (ids[0], "the newest good one", ids[2], "no rule keeps it", "to delete what goes:", copy.url):
        assert words in ended.stdout
    assert keys(storage) | keys(copy) == before


def test_prune_deletes_with_apply_in_every_storage_for_every_registry(
    opskit: Opskit, storage: DirectoryStorage, copy: DirectoryStorage
) -> None:
    ids = [write_days(place_, name, 3) for place_ in (storage, copy) for name in ("reg", "second")]
    assert opskit("backup", "prune", "--apply").stderr == ""
    expected = keys_of("reg", ids[0][:2]) | keys_of("second", ids[1][:2])
    assert keys(storage) == keys(copy) == expected


def test_copy_keeps_what_the_first_storage_keeps(
    opskit: Opskit, storage: DirectoryStorage, copy: DirectoryStorage
) -> None:
    ids = write_days(storage, "reg", 4)
    write_days(copy, "reg", 4)
    place(storage, "reg", ids[3])
    reports = document(opskit("backup", "prune", "--apply", "--json", "--registry", "reg"))["pruned"]
    assert [each["removed"] for each in reports] == [[ids[2]], [ids[2]]]
    assert reports[1]["keep"][ids[3]] == [f"kept in {storage.url}"]
    assert keys(copy) == keys_of("reg", [ids[0], ids[1], ids[3]])


def test_prune_of_one_storage_leaves_the_other_alone(
    opskit: Opskit, storage: DirectoryStorage, copy: DirectoryStorage
) -> None:
    ids = write_days(storage, "reg", 3)
    write_days(copy, "reg", 3)
    opskit("backup", "prune", "--apply", "--storage", copy.url)
    assert keys(storage) == keys_of("reg", ids)
    assert keys(copy) == keys_of("reg", ids[:2])


def test_min_redundancy_holds_from_the_configuration(opskit: Opskit, storage: DirectoryStorage) -> None:
    ids = write_days(storage, "reg", 6)
    opskit("backup", "prune", "--apply", floor=5)
    assert keys(storage) == keys_of("reg", ids[:5])


def test_registry_with_what_cannot_be_judged_does_not_stop_the_others(
    opskit: Opskit, storage: DirectoryStorage
) -> None:
    ids = write_days(storage, "reg", 3)
    storage.put(f"reg/{ids[2]}/manifest.json", [b'{"format": 7}'])
    others = write_days(storage, "second", 3)
    ended = opskit("backup", "prune", "--apply", "--json", expect=78)
    assert "format 7" in ended.stderr
    assert [each["registry"] for each in document(ended)["pruned"] if each["failures"]] == ["reg"]
    assert keys(storage) == keys_of("reg", ids) | keys_of("second", others[:2])


def test_storage_that_is_missing_is_a_wrong_configuration(opskit: Opskit, tmp_path: Path) -> None:
    opskit("backup", "prune", "--storage-url", str(tmp_path / "missing"), expect=78)
    assert not (tmp_path / "missing").exists()


def test_copy_that_is_missing_does_not_hide_what_went(
    opskit: Opskit, storage: DirectoryStorage, copy: DirectoryStorage, tmp_path: Path
) -> None:
    ids = write_days(storage, "reg", 3)
    (tmp_path / "copy").rmdir()
    pruned = document(opskit("backup", "prune", "--apply", "--json", "--registry", "reg", expect=78))["pruned"]
    assert [each["removed"] for each in pruned] == [[ids[2]], []]
    assert "there is no directory" in pruned[1]["failures"][0]["message"]
    assert copy.url in pruned[1]["storage"]


def test_floor_of_none_is_refused(opskit: Opskit, storage: DirectoryStorage) -> None:
    ids = write_days(storage, "reg", 3)
    assert "retention.min_redundancy" in opskit("backup", "prune", "--apply", expect=78, floor=0).stderr
    assert keys(storage) == keys_of("reg", ids)


def test_hold_keeps_prune_away_until_release(opskit: Opskit, storage: DirectoryStorage) -> None:
    ids = write_days(storage, "reg", 3)
    told = document(opskit("backup", "hold", ids[2][:8], "--reason", "audit 7", "--registry", "reg", "--json"))
    assert told["backup"] == ids[2]
    assert "held by a person (audit 7)" in opskit("backup", "prune", "--apply").stdout
    assert told["hold"] in keys(storage)
    assert [f"{ids[2]}: held by a person (audit 7)"] == [
        line for line in opskit("backup", "list").stdout.splitlines() if "held by" in line
    ]
    listed = document(opskit("backup", "list", "--json"))["backups"]
    assert [(each["id"], each["holds"][0]["reason"]) for each in listed if each["holds"]] == [(ids[2], "audit 7")]
    released = document(opskit("backup", "release", ids[2], "--registry", "reg", "--json"))["released"]
    assert [each["reason"] for each in released] == ["audit 7"]
    opskit("backup", "release", ids[2], "--registry", "reg")
    opskit("backup", "prune", "--apply")
    assert keys(storage) == keys_of("reg", ids[:2])


def test_hold_that_has_ended_is_not_listed(opskit: Opskit, storage: DirectoryStorage) -> None:
    backup = write_backup(storage, "reg", NOON)
    storage.put(f"reg/{backup}/holds/1.json", [b'{"purpose": "restore", "seconds": 0}'])
    assert "held" not in opskit("backup", "list").stdout


def test_command_that_is_told_to_end_a_hold_ends_it(opskit: Opskit, storage: DirectoryStorage, tmp_path: Path) -> None:
    write_backup(storage, "reg", NOON)
    configured = ("--config", str(tmp_path / "opskit.yaml"), "--registry", "reg")
    told = opskit("backup", "hold", "latest", *configured).stdout
    (command,) = re.findall("to end it: opskit (.*)", told)
    assert "no longer held" in run(opskit_command(*shlex.split(command)), tmp_path, environment()).stdout


def test_hold_with_an_end(opskit: Opskit, storage: DirectoryStorage) -> None:
    write_backup(storage, "reg", NOON)
    assert "for 30 d" in opskit("backup", "hold", "latest", "--for", "30d", "--registry", "reg").stdout
    assert "until" in opskit("backup", "prune").stdout


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("hold",), 2),
        (("hold", "2026"), 2),  # two backups
        (("hold", "latest", "--for", "0s"), 2),
        (("hold", "latest", "--for", "30"), 2),
        (("hold", "latest", "--for", "-1d"), 2),
        (("hold", "latest", "--for", "99999d"), 2),
        (("hold", "1999"), 66),
        (("hold", "../../etc"), 66),
        (("hold", ""), 2),
        (("hold", backup_id(NOON, 9)), 66),
        (("release",), 2),
        (("release", "2026"), 2),
        (("release", backup_id(NOON, 9)), 66),
        (("prune", "latest"), 2),
        (("prune", "--registry", "unknown"), 2),
        (("prune", "--all-versions", "yes"), 2),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_bad_input_changes_nothing(
    opskit: Opskit, storage: DirectoryStorage, arguments: tuple[str, ...], code: int
) -> None:
    ids = [write_backup(storage, "reg", NOON - timedelta(hours=hour)) for hour in range(2)]
    chosen = () if "--registry" in arguments else ("--registry", "reg")
    opskit("backup", *arguments, *chosen, expect=code)
    assert keys(storage) == keys_of("reg", ids)


def test_hold_without_a_registry_chosen_is_a_usage_error(opskit: Opskit) -> None:
    assert "choose one with --registry" in opskit("backup", "hold", "latest", expect=2).stderr
