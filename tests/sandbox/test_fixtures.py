import subprocess
import sys

import pytest

from sandbox import UnavailableSandboxError
from tests.conftest import skipped_unless_had


def test_suite_without_its_server_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPSKIT_TESTS_MUST_RUN", raising=False)
    with pytest.raises(pytest.skip.Exception, match="no such server"), skipped_unless_had("mysql"):
        raise UnavailableSandboxError("no such server")


def test_suite_that_must_run_fails_without_its_server(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPSKIT_TESTS_MUST_RUN", "s3,mysql")
    with pytest.raises(UnavailableSandboxError), skipped_unless_had("mysql"):
        raise UnavailableSandboxError("no such server")


@pytest.mark.parametrize(
    ("marker", "module"), [("mysql", "test_mysql"), ("mariadb", "test_mariadb"), ("s3", "test_s3")]
)
def test_tests_are_marked_by_the_servers_they_use(marker: str, module: str) -> None:
    command = [sys.executable, "-m", "pytest", "--collect-only", "-q", "-m", f"not {marker}"]
    done = subprocess.run([*command, f"tests/sandbox/{module}.py"], capture_output=True, text=True, check=False)
    assert done.returncode == pytest.ExitCode.NO_TESTS_COLLECTED, done.stdout
