import subprocess
import sys
from pathlib import Path

import pytest

from sandbox import UnavailableSandboxError
from sandbox.cache import cache_folder, cached


@pytest.fixture(autouse=True)
def cache(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    monkeypatch.setenv("OPSKIT_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_folder_is_made_once(tmp_path: Path) -> None:
    assert cached("thing", lambda folder: (folder / "file").touch()) == tmp_path / "cache" / "thing"
    assert (cached("thing", lambda _folder: pytest.fail("made again")) / "file").exists()


def test_two_processes_at_once_make_it_once(cache: Path, tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from sandbox.cache import cached\n"
        "def make(folder):\n"
        "    with open(sys.argv[1], 'a') as made:\n"
        "        made.write('made\\n')\n"
        "print(cached('thing', make))\n"
    )
    made = tmp_path / "made"
    command = [sys.executable, "-c", program, str(made)]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    answers = {process.communicate()[0].strip() for process in processes}
    assert answers == {str(cache / "thing")}
    assert made.read_text() == "made\n"


def test_making_that_fails_leaves_nothing(cache: Path) -> None:
    def fail(folder: Path) -> None:
        (folder / "half").touch()
        raise UnavailableSandboxError("the network is down")

    with pytest.raises(UnavailableSandboxError):
        cached("thing", fail)
    assert [each.name for each in cache.iterdir()] == [".thing.lock"]


def test_what_a_killed_process_left_is_removed(cache: Path) -> None:
    (cache / ".thing~killed").mkdir(parents=True)
    cached("thing", lambda _folder: None)
    assert not (cache / ".thing~killed").exists()


def test_cache_is_the_user_s_by_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPSKIT_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/somewhere")
    assert cache_folder() == Path("/somewhere/opskit")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "opskit"


def test_machine_without_apt_and_mysql_is_told_what_was_tried(cache: Path, tmp_path: Path) -> None:
    program = "from sandbox.mysql import mysql_server\nmysql_server().__enter__()\n"
    environment = {"PATH": str(tmp_path), "OPSKIT_CACHE": str(cache)}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert "no MySQL: " in done.stderr
    assert "apt-get" in done.stderr
