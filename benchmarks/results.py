"""What was measured so far, as JSON: each command replaces the sections that it measures again."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median

from benchmarks.measure import Measured

FOLDER = Path(__file__).with_name("results")
FILE = "databases.json"


@dataclass(frozen=True, slots=True)
class Section:
    """One job on one database over one link: what each program took, by its name, all in one run."""

    time: str
    machine: str
    versions: str
    link: str
    database: str
    rows: int
    job: str
    costs: dict[str, list[Measured]]

    @property
    def key(self) -> tuple[str, str, str]:
        """What it is about; another section with the same key replaces it."""
        return self.link, self.database, self.job

    def cost(self, program: str) -> Measured | None:
        """Return what a program took, if it was measured."""
        rounds = self.costs.get(program)
        return middle(rounds) if rounds else None


@dataclass(frozen=True, slots=True)
class Results:
    """All sections that were measured."""

    sections: tuple[Section, ...]

    def section(self, link: str, database: str, job: str) -> Section | None:
        """Return the section that is about this, if it was measured."""
        return next((each for each in self.sections if each.key == (link, database, job)), None)

    def cost(self, link: str, database: str, job: str, program: str) -> Measured | None:
        """Return the medians of one program in one section, if it was measured."""
        section = self.section(link, database, job)
        return section.cost(program) if section else None


def middle(rounds: Sequence[Measured]) -> Measured:
    """Return the medians of several rounds, and the greatest peak of memory."""
    return Measured(
        seconds=median(each.seconds for each in rounds),
        processor_seconds=median(each.processor_seconds for each in rounds),
        peak_bytes=max(each.peak_bytes for each in rounds),
    )


def load(folder: Path = FOLDER) -> Results:
    """Return what the folder holds."""
    sections = json.loads((folder / FILE).read_text())["sections"]
    for section in sections:
        section["costs"] = {name: [Measured(**each) for each in rounds] for name, rounds in section["costs"].items()}
    return Results(tuple(Section(**each) for each in sections))


def keep(folder: Path, section: Section) -> None:
    """Put a section in the place of the one with the same key, and write all of them."""
    old = load(folder).sections if (folder / FILE).exists() else ()
    results = Results((*(each for each in old if each.key != section.key), section))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / FILE).write_text(json.dumps(asdict(results), indent=1, ensure_ascii=False) + "\n")
