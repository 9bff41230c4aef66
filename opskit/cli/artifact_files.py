"""Every record in a file of its own, for other programs: a line of JSON, or of CSV, for each artifact."""

import csv
import json
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, TextIO

from opskit.errors import NoSpaceError, UsageError

Record = dict[str, Any]
Tell = Callable[[str, Record], None]

COLUMNS = (
    "registry",
    "artifact_id",
    "model",
    "version",
    "name",
    "type",
    "format",
    "archived",
    "uri",
    "storage_key",
    "storage_path",
    "verdict",
    "detail",
    "since",
    "newly_missing",
    "recovered",
    "changed",
    "failures",
    "warnings",
)
# Spreadsheets take a cell that begins like this for a formula, and a URI is anybody's text.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


@contextmanager
def record_files(jsonl: Path | None, csv_file: Path | None) -> Iterator[list[Tell]]:
    """Open the files that were asked for and hand over what writes a record of a registry into each."""
    with ExitStack() as stack:
        tellers: list[Tell] = []
        if jsonl:
            tellers.append(_json_lines(stack.enter_context(_opened(jsonl))))
        if csv_file:
            tellers.append(_csv(stack.enter_context(_opened(csv_file))))
        yield tellers


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    try:
        file = path.open("w", encoding="utf-8", errors="backslashreplace", newline="")
    except OSError as error:
        raise UsageError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield file
    finally:
        with _writing(file):
            file.close()


@contextmanager
def _writing(file: TextIO) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise NoSpaceError(f"cannot write {file.name}: {error.strerror}") from error


def _json_lines(file: TextIO) -> Tell:
    def tell(registry: str, record: Record) -> None:
        with _writing(file):
            file.write(json.dumps({"registry": registry, **record}) + "\n")

    return tell


def _csv(file: TextIO) -> Tell:
    writer = csv.writer(file)
    with _writing(file):
        writer.writerow(COLUMNS)

    def tell(registry: str, record: Record) -> None:
        known = {"registry": registry, **record}
        with _writing(file):
            writer.writerow([_cell(known[column]) for column in COLUMNS])

    return tell


def _cell(value: object) -> str:
    text = "; ".join(map(str, value)) if isinstance(value, list) else "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text
