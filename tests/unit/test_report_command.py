import json
from pathlib import Path

import pytest

from sandbox.process import free_port
from tests.unit.command_line import environment, opskit_command, run


@pytest.fixture
def unreachable(tmp_path: Path) -> dict[str, str]:
    return environment(
        OPSKIT_MYSQL_URL=f"mysql://user@127.0.0.1:{free_port()}/model_registry",
        OPSKIT_MYSQL_PASSWORD="secret",
        OPSKIT_STORAGE_URL=(tmp_path / "backups").as_uri(),
    )


def test_page_takes_the_place_of_the_last_one(tmp_path: Path, unreachable: dict[str, str]) -> None:
    shown = tmp_path / "shown.html"
    shown.write_text("the last page")
    (tmp_path / "status.html").symlink_to(shown)
    ended = run(opskit_command("report", "--html", "status.html", "--json"), tmp_path, unreachable)
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["status"]["state"] == "critical"
    assert "Something is broken" in shown.read_text()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["shown.html", "status.html"]


@pytest.mark.parametrize(
    ("file", "code", "words"),
    [("/dev/full", 74, "No space left on device"), ("there/is/no/status.html", 78, "No such file or directory")],
)
def test_page_that_cannot_be_written(
    file: str, code: int, words: str, tmp_path: Path, unreachable: dict[str, str]
) -> None:
    ended = run(opskit_command("report", "--html", file), tmp_path, unreachable)
    assert (ended.returncode, ended.stdout) == (code, "")
    assert f"error: cannot write {file}: {words}" in ended.stderr
