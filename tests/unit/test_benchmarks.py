"""What the benchmarks stand on: their clock, their link, and what they make of several rounds."""

import socket
import sys
import time
from pathlib import Path

import pytest

from benchmarks import bars, report, results
from benchmarks.background import listening
from benchmarks.measure import FailedError, Measured, measured
from benchmarks.results import Results, Section

DELAY_MS = 30


def section(job: str = "backup", **seconds: list[float]) -> Section:
    costs = {name: [Measured(each, each / 2, 10**8) for each in rounds] for name, rounds in seconds.items()}
    return Section("2026-01-01 00:00", "a machine", "MySQL 9.7.4", "TLS", "x1", 100, job, costs)


def test_pipeline_takes_as_long_as_its_slowest_command() -> None:
    sleep = [sys.executable, "-c", "import time; time.sleep(0.3)"]
    cost = measured([sys.executable, "-c", "print('x')"], sleep)
    assert cost.seconds >= 0.3
    assert cost.processor_seconds > 0
    assert cost.peak_bytes > 1_000_000


def test_pipeline_in_which_any_command_fails_is_no_measurement() -> None:
    with pytest.raises(FailedError, match="ended with 3"):
        measured([sys.executable, "-c", "raise SystemExit(3)"], [sys.executable, "-c", ""])


def test_link_delivers_every_byte_and_not_before_its_time() -> None:
    sent = bytes(range(256)) * 4096
    with (
        socket.create_server(("127.0.0.1", 0)) as beyond,
        listening("benchmarks.link", beyond.getsockname()[1], DELAY_MS) as port,
        socket.create_connection(("127.0.0.1", port)) as client,
        beyond.accept()[0] as server,
        server.makefile("rb") as received,
    ):
        began = time.monotonic()
        client.sendall(sent)
        assert received.read(len(sent)) == sent
        server.sendall(b"answer")
        assert client.recv(6, socket.MSG_WAITALL) == b"answer"
        assert time.monotonic() - began >= 2 * DELAY_MS / 1000
        client.shutdown(socket.SHUT_WR)
        assert received.read() == b""


def test_figures_are_ratios_of_medians_beside_their_bars() -> None:
    measured_once = Results((section(opskit=[1.0, 9.0, 1.5], mysqldump=[3.0, 2.0, 1.0]),))
    shown = {bar.figure: value for bar, value in bars.readings(measured_once) if value is not None}
    ratio = next(value for figure, value in shown.items() if figure.startswith("backup x1: time / `mysqldump"))
    assert ratio == 1.5 / 2.0
    assert shown["backup x1: peak memory"] == 100
    assert not any("restore" in figure for figure in shown)
    lines = [" ".join(line.split()) for line in report.figures(measured_once)]
    assert any(line.endswith("| 0.75 | ≤ 0.70 | missed |") for line in lines)


def test_section_that_is_measured_again_replaces_itself_alone(tmp_path: Path) -> None:
    results.keep(tmp_path, section(opskit=[1.0]))
    results.keep(tmp_path, section("restore", opskit=[2.0]))
    results.keep(tmp_path, section(opskit=[3.0]))
    kept = results.load(tmp_path).sections
    assert {each.job: each.costs["opskit"][0].seconds for each in kept} == {"restore": 2.0, "backup": 3.0}
