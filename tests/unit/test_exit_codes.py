import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from opskit import errors
from opskit.errors import OpskitError
from tests.unit.command_line import environment, opskit_command, run, stand_in_command

BROKEN_CONFIG = "storage: {ulr: x}\nretention: {keep_last: -1}\n"


def error_document(stdout: str) -> dict[str, object]:
    document = json.loads(stdout)
    assert list(document) == ["error"]
    assert set(document["error"]) == {"message", "hint", "exit_code"}
    error: dict[str, object] = document["error"]
    return error


def classes(root: type[OpskitError]) -> Iterator[type[OpskitError]]:
    for child in root.__subclasses__():
        if child.__module__ == errors.__name__:
            yield child
            yield from classes(child)


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["config", "check"], ["config", "check", "--help"]])
def test_done_is_0(arguments: list[str], tmp_path: Path) -> None:
    assert run(opskit_command(*arguments), tmp_path).returncode == 0


def test_problems_found_are_1(tmp_path: Path) -> None:
    ended = run(stand_in_command("invocation.found_problems(); invocation.show({}, 'two of them')"), tmp_path)
    assert (ended.returncode, ended.stdout) == (1, "two of them\n")


@pytest.mark.parametrize(
    "arguments",
    [
        ["bogus"],
        ["--bogus"],
        ["config", "bogus"],
        ["config", "check", "--bogus"],
        ["config"],
        ["--registry", "a"],
        [],
    ],
)
def test_wrong_usage_is_2_in_click_s_words(arguments: list[str], tmp_path: Path) -> None:
    ended = run(opskit_command(*arguments), tmp_path)
    assert ended.returncode == 2
    assert ended.stderr.startswith("Usage: opskit")
    assert ended.stdout == ""


def test_unknown_registry_is_2_with_the_names_there_are(tmp_path: Path) -> None:
    environ = environment(OPSKIT_MYSQL_URL="mysql://u@h/known", OPSKIT_STORAGE_URL="file:///backups")
    body = "invocation.registries"
    ended = run(stand_in_command(body, "--registry", "other"), tmp_path, environ)
    assert ended.returncode == 2
    assert ended.stderr == "error: no registry is named 'other'\nhint: configured: known\n"


@pytest.mark.parametrize("error", list(classes(OpskitError)), ids=lambda error: error.__name__)
def test_every_class_of_error_ends_with_its_code(error: type[OpskitError], tmp_path: Path) -> None:
    body = f"raise errors.{error.__name__}('it happened', hint='do this')"
    ended = run(stand_in_command(body), tmp_path)
    assert ended.returncode == error.exit_code
    assert ended.stderr == "error: it happened\nhint: do this\n"
    as_json = run(stand_in_command(body, "--json"), tmp_path)
    assert as_json.returncode == error.exit_code
    assert error_document(as_json.stdout) == {
        "message": "it happened",
        "hint": "do this",
        "exit_code": error.exit_code,
    }


def test_wrong_configuration_is_78_with_every_problem(tmp_path: Path) -> None:
    config = tmp_path / "opskit.yaml"
    config.write_text(BROKEN_CONFIG)
    environ = environment(OPSKIT_BOGUS="x")
    ended = run(opskit_command("config", "check", "--config", str(config)), tmp_path, environ)
    assert ended.returncode == 78
    assert ended.stdout == ""
    assert ended.stderr.splitlines() == [
        "error: the configuration is not valid:",
        "  storage.url: is required",
        "  storage.ulr: unknown key",
        "  retention.keep_last: must be greater than or equal to 0",
        "  bogus: unknown key (from OPSKIT_BOGUS)",
        "hint: docs/configuration.md tells every key",
    ]


@pytest.mark.parametrize(("module", "arguments"), [("click", ["--help"]), ("yaml", ["config", "check"])])
def test_failing_import_is_70_with_traceback_and_report(module: str, arguments: list[str], tmp_path: Path) -> None:
    (tmp_path / f"{module}.py").write_text("raise ImportError('this one is broken')")
    environ = environment()
    environ["PYTHONPATH"] = f"{tmp_path}{os.pathsep}{environ['PYTHONPATH']}"
    ended = run(opskit_command(*arguments, "--json"), tmp_path, environ)
    assert ended.returncode == 70
    assert "Traceback" in ended.stderr
    assert "this is a bug in opskit" in ended.stderr
    assert error_document(ended.stdout)["message"] == "ImportError: this one is broken"


@pytest.mark.parametrize(
    "statement",
    [
        "raise KeyError('x')",
        "raise errors.OpskitError('x')",
        "raise EOFError",
        "raise BrokenPipeError",
        "raise SystemExit(1)",
        "sys.exit()",
        "invocation.show({1, 'a'}, ''); invocation.show({}, '')",
    ],
)
def test_whatever_else_is_raised_is_70(statement: str, tmp_path: Path) -> None:
    ended = run(stand_in_command(statement, "--json"), tmp_path)
    assert ended.returncode == 70
    assert "Traceback" in ended.stderr
    assert error_document(ended.stdout)["exit_code"] == 70


def test_failure_after_the_result_leaves_one_json_document(tmp_path: Path) -> None:
    body = "invocation.show({'a': 1}, ''); raise errors.BusyError('too late')"
    ended = run(stand_in_command(body, "--json"), tmp_path)
    assert ended.returncode == 75
    assert error_document(ended.stdout)["message"] == "too late"


def test_wrong_usage_is_a_json_document_too(tmp_path: Path) -> None:
    ended = run(opskit_command("config", "chek", "--json"), tmp_path)
    assert ended.returncode == 2
    assert error_document(ended.stdout) == {
        "message": "No such command 'chek'. Did you mean 'check'?",
        "hint": None,
        "exit_code": 2,
    }


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["config", "check"], ["config", "check", "--json"]])
def test_closed_pipe_is_141_without_a_traceback(arguments: list[str], tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        environ = environment(OPSKIT_STORAGE_URL="file:///backups")
        ended = subprocess.run(
            opskit_command(*arguments),
            cwd=tmp_path,
            env=environ,
            stdout=pipe,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert (ended.returncode, ended.stderr) == (141, b"")


def test_closed_error_pipe_does_not_change_the_code(tmp_path: Path) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "wb") as pipe:
        ended = subprocess.run(
            stand_in_command("raise errors.CorruptError('x')"),
            cwd=tmp_path,
            env=environment(),
            stdout=subprocess.PIPE,
            stderr=pipe,
            check=False,
            timeout=60,
        )
    assert (ended.returncode, ended.stdout) == (65, b"")


def test_closed_standard_streams_do_not_change_the_code(tmp_path: Path) -> None:
    closed = f"import os; os.close(1); os.close(2); os.execv({sys.executable!r}, {opskit_command('bogus')!r})"
    assert run([sys.executable, "-c", closed], tmp_path).returncode == 2


@pytest.mark.parametrize("arguments", [("config", "check"), ("--version",), ("--help",), ("backup", "--help")])
def test_full_device_is_74(arguments: tuple[str, ...], tmp_path: Path) -> None:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run(
            opskit_command(*arguments),
            cwd=tmp_path,
            env=environment(OPSKIT_STORAGE_URL="file:///backups"),
            stdout=full,
            stderr=subprocess.PIPE,
            check=False,
            timeout=60,
        )
    assert (ended.returncode, ended.stderr) == (74, b"error: standard output: No space left on device\n")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_signal_ends_a_command_with_128_and_its_number(number: signal.Signals, code: int, tmp_path: Path) -> None:
    # A configuration that is a pipe: opening it for writing waits until opskit reads.
    os.mkfifo(tmp_path / "config")
    # A shell's background jobs ignore SIGINT, and pytest may be one.
    program = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"
    program += "; from opskit import cli; cli.main()"
    command = [sys.executable, "-c", program, "config", "check", "--json", "--config", "config"]
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        with (tmp_path / "config").open("w"):
            process.send_signal(number)
        stdout, stderr = process.communicate(timeout=60)
    assert process.returncode == code
    assert stderr in ("error: terminated\n", "error: interrupted\n")
    assert error_document(stdout)["exit_code"] == code


CLEAN_UP = """
try:
    print("ready", flush=True)
    while True:
        threading.Event().wait(1)
finally:
    os.kill(os.getpid(), signal.SIGTERM)
    print("cleaned up", flush=True)
    {last}
"""


@pytest.mark.parametrize("last", ["pass", "raise RuntimeError('clean-up failed')", "raise errors.BusyError('x')"])
def test_terminated_command_cleans_up_and_a_second_signal_does_not_stop_it(last: str, tmp_path: Path) -> None:
    with subprocess.Popen(
        stand_in_command(CLEAN_UP.format(last=last)),
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.terminate()
        stdout, stderr = process.communicate(timeout=60)
    assert (process.returncode, stdout, stderr) == (143, "cleaned up\n", "error: terminated\n")


def test_declined_question_is_130(tmp_path: Path) -> None:
    ended = run(stand_in_command("import click; click.confirm('really?', abort=True)"), tmp_path)
    assert ended.returncode == 130


def test_deadline_ends_a_command_with_75_a_reason_and_its_clean_up(tmp_path: Path) -> None:
    ended = run(stand_in_command(CLEAN_UP.format(last="pass"), "--deadline", "1s"), tmp_path)
    assert (ended.returncode, ended.stdout) == (75, "ready\ncleaned up\n")
    assert ended.stderr == "error: gave up: the deadline of 0:00:01 (h:mm:ss) has passed\n"


def test_deadline_that_has_not_come_changes_nothing(tmp_path: Path) -> None:
    ended = run(opskit_command("config", "check", "--deadline", "1h"), tmp_path)
    assert ended.returncode == 0


def test_deadline_that_is_no_duration_is_wrong_usage(tmp_path: Path) -> None:
    ended = run(opskit_command("config", "check", "--deadline", "soon"), tmp_path)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "must be a duration" in ended.stderr
