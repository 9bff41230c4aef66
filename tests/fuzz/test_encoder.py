"""The C encoder under AddressSanitizer and UndefinedBehaviorSanitizer, beside the one in plain Python."""

import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

from tests.unit.command_line import PROJECT

COMPILER = shutil.which("gcc")
ROUNDS = 200
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-fno-omit-frame-pointer"]


@pytest.fixture(scope="module")
def extension(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if COMPILER is None:
        pytest.skip("there is no gcc: the extension is not built on this machine either")
    path = tmp_path_factory.mktemp("sanitized") / "_encode.so"
    source = PROJECT / "opskit" / "mysql" / "_encode.c"
    include = sysconfig.get_path("include")
    command = [COMPILER, "-shared", "-fPIC", "-g", "-O1", "-Wall", "-Wextra", "-Werror", *SANITIZERS, f"-I{include}"]
    subprocess.run([*command, str(source), "-o", str(path)], check=True)
    return path


def library(name: str) -> str:
    assert COMPILER is not None
    found = subprocess.run([COMPILER, f"-print-file-name={name}"], check=True, capture_output=True, text=True)
    return found.stdout.strip()


def fuzz(extension: Path, seed: int, rounds: int) -> subprocess.CompletedProcess[str]:
    environ = os.environ | {
        "LD_PRELOAD": f"{library('libasan.so')} {library('libubsan.so')}",
        # Python keeps what it allocates at its end; its own allocator would hide reads past the end of a buffer.
        "ASAN_OPTIONS": "detect_leaks=0",
        "PYTHONMALLOC": "malloc",
        "PYTHONPATH": str(PROJECT),
    }
    command = [sys.executable, "-m", "tests.fuzz.encoder_program", str(extension), str(seed), str(rounds)]
    return subprocess.run(command, env=environ, cwd=PROJECT, check=False, capture_output=True, text=True)


@pytest.mark.parametrize("seed", range(2))
def test_encoder_answers_anything_as_plain_python_does_and_reads_within_bounds(extension: Path, seed: int) -> None:
    ended = fuzz(extension, seed, ROUNDS)
    assert ended.returncode == 0, ended.stdout + ended.stderr[-3000:]
    assert ended.stdout == f"{ROUNDS} rounds\n"
