"""Measured runs as a table for people and as JSON."""

import json
import os
import platform
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.databases import Subject
from benchmarks.measure import Measured

_HEAD = "| database | job | program | seconds | CPU seconds | peak memory | time to the other's | CPU to the other's |"


@dataclass(frozen=True, slots=True)
class Run:
    """One program at one job on one database."""

    subject: Subject
    job: str
    program: str
    cost: Measured


def write(folder: Path, server_version: str, workers: int, runs: Sequence[Run]) -> None:
    """Print the table, and keep it and the numbers in the folder."""
    text = markdown(server_version, workers, runs)
    print(text)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "databases.md").write_text(text)
    document = {"time": datetime.now(UTC).isoformat(), "workers": workers, "runs": [asdict(run) for run in runs]}
    (folder / "databases.json").write_text(json.dumps(document, indent=1) + "\n")


def markdown(server_version: str, workers: int, runs: Sequence[Run]) -> str:
    """Return the table; opskit's lines have their ratio to the program above them that did the same job."""
    machine = f"{os.cpu_count()} processors, Python {platform.python_version()}, {workers} workers"
    lines = [
        f"# Benchmark of {datetime.now(UTC):%Y-%m-%d}",
        "",
        f"MySQL {server_version} on the same machine, {machine}. Peak memory is that of the largest process.",
        "Seconds tell what else the machine did at the time; ratios less so, and peak memory not at all.",
        "",
        _HEAD,
        "|---|---|---|--:|--:|--:|--:|--:|",
    ]
    for run in runs:
        cost = run.cost
        cells = [
            f"{run.subject.name}, {run.subject.rows:,} rows",
            run.job,
            f"`{run.program}`".replace("|", "\\|"),
            f"{cost.seconds:.2f}",
            f"{cost.processor_seconds:.2f}",
            f"{cost.peak_bytes / 2**20:.0f} MiB",
            *_ratios(cost, next((each.cost for each in runs if _rivals(each, run)), None)),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join([*lines, ""])


def _ratios(cost: Measured, other: Measured | None) -> tuple[str, str]:
    if other is None:
        return "", ""
    return f"{cost.seconds / other.seconds:.2f}", f"{cost.processor_seconds / other.processor_seconds:.2f}"


def _rivals(each: Run, run: Run) -> bool:
    same = each.job == run.job and each.subject == run.subject
    return same and run.program == "opskit" and each.program != "opskit"
