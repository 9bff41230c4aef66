import io
import re
import threading
from pathlib import Path

import pytest
from rich.console import Console

from opskit.cli.progress import ProgressLines, shown_progress
from opskit.cli.progress_bars import progress_bars
from opskit.progress import NoProgress
from tests.unit.command_line import run, stand_in_command
from tests.unit.test_output import on_terminal, plain

WORK = """
with invocation.progress() as progress:
    progress.phase("dump", 2750000, "rows")
    progress.advance(1200000)
    progress.advance(1550000)
    progress.phase("upload", None, "bytes")
    progress.advance(5 << 20)
invocation.show({}, "done")
"""


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_a_line_comes_every_ten_seconds_and_at_the_end_of_each_phase() -> None:
    said: list[str] = []
    clock = Clock()
    progress = ProgressLines(said.append, clock)
    progress.phase("dump", 2_750_000, "rows")
    for _ in range(13):
        clock.now += 1
        progress.advance(200_000)
    progress.phase("upload", None, "bytes")
    clock.now += 10
    progress.advance(100 << 20)
    progress.finish()
    assert said == [
        "dump: 2,000,000 of 2,750,000 rows (72 %), 200,000/s",
        "dump: 2,600,000 of 2,750,000 rows (94 %), 200,000/s, done in 13 s",
        "upload: 100 MiB, 10.0 MiB/s",
        "upload: 100 MiB, 10.0 MiB/s, done in 10 s",
    ]


@pytest.mark.parametrize("total", [None, 0, 5])
def test_any_total_is_survived_even_a_wrong_one(total: int | None) -> None:
    said: list[str] = []
    progress = ProgressLines(said.append, Clock())
    progress.phase("copy", total, "objects")
    progress.advance(9)
    progress.finish()
    assert said == [f"copy: 9{' of 5' if total else ''} objects{' (100 %)' if total else ''}, done in 0 s"]


def test_threads_lose_no_count() -> None:
    said: list[str] = []
    progress = ProgressLines(said.append, Clock())
    progress.phase("dump", None, "rows")

    def count() -> None:
        for _ in range(2000):
            progress.advance(1)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    progress.finish()
    assert said == ["dump: 16,000 rows, done in 0 s"]


def timeless(line: str) -> str:
    """The end of a phase without how long it took, and how fast that is: as long as the machine needs."""
    found = re.fullmatch(r"(.*?)(, [^,]+(,\d+)*/s)?, done in \d+ .*", line)
    assert found is not None, line
    return found[1]


def test_without_a_terminal_lines_go_to_standard_error(tmp_path: Path) -> None:
    ended = run(stand_in_command(WORK), tmp_path)
    assert ended.stdout == "done\n"
    assert [timeless(line) for line in re.findall(r"opskit.cli.progress: (.*)", ended.stderr)] == [
        "dump: 2,750,000 of 2,750,000 rows (100 %)",
        "upload: 5.0 MiB",
    ]


def test_failed_job_claims_no_end_of_its_phase(tmp_path: Path) -> None:
    ended = run(stand_in_command(WORK.replace("progress.advance(5 << 20)", "raise errors.BusyError('x')")), tmp_path)
    assert ended.returncode == 75
    assert "upload" not in ended.stderr


def test_quiet_shows_no_progress(tmp_path: Path) -> None:
    assert run(stand_in_command(WORK, "--quiet"), tmp_path).stderr == ""
    with shown_progress(quiet=True) as progress:
        assert isinstance(progress, NoProgress)
        progress.phase("x", None, "rows")
        progress.advance(1)


def test_terminal_shows_bars_and_the_result_below_them(tmp_path: Path) -> None:
    code, shown = on_terminal(stand_in_command(WORK), 80, tmp_path)
    lines = plain(shown)
    assert code == 0
    assert "2,750,000 of 2,750,000 rows" in shown
    assert any(line.startswith("upload") and "5.0 MiB" in line for line in lines)
    assert [line for line in lines if line][-1] == "done"


def test_dumb_terminal_gets_lines(tmp_path: Path) -> None:
    command = ["env", "TERM=dumb", *stand_in_command(WORK)]
    code, shown = on_terminal(command, 80, tmp_path)
    assert code == 0
    assert "\x1b" not in shown
    assert timeless(plain(shown)[0]) == "dump: 2,750,000 of 2,750,000 rows (100 %)"


def test_log_lines_and_bars_do_not_write_over_each_other(tmp_path: Path) -> None:
    body = WORK.replace(
        'progress.phase("upload"',
        'import logging; logging.getLogger("opskit").warning("careful"); progress.phase("upload"',
    )
    _, shown = on_terminal(stand_in_command(body), 80, tmp_path)
    assert "warning: careful" in [line.rstrip() for line in plain(shown)]


@pytest.mark.parametrize("columns", [10, 40, 80, 200])
def test_bars_fit_any_terminal_and_leave_no_thread(columns: int) -> None:
    canvas = io.StringIO()
    before = threading.active_count()
    with progress_bars(Console(file=canvas, force_terminal=True, width=columns)) as progress:
        progress.phase("verify the chunks of [the] backup", 1 << 40, "bytes")
        progress.advance(1 << 39)
        progress.phase("count", None, "objects")
        progress.advance(1)
    assert threading.active_count() == before
    # Two columns stay free: where Ctrl-C is echoed as `^C` at the edge, the last bars stayed twice.
    assert max(len(line) for line in plain(canvas.getvalue())) <= columns - 2


def test_bars_say_everything_at_80_columns() -> None:
    canvas = io.StringIO()
    with progress_bars(Console(file=canvas, force_terminal=True, width=80)) as progress:
        progress.phase("load rows", 2_750_000, "rows")
        progress.advance(1_000_000)
        progress.advance(200_000)
    last = plain(canvas.getvalue())[-2]
    assert re.fullmatch(r"load rows ━*[╸╺]?━* 1,200,000 of 2,750,000 rows, [\d,]+/s [-\d:]+", last)


def test_bars_are_taken_down_when_the_job_fails() -> None:
    before = threading.active_count()

    def fail() -> None:
        with progress_bars(Console(file=io.StringIO(), force_terminal=True)) as progress:
            progress.phase("x", 1, "rows")
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert threading.active_count() == before
