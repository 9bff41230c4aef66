"""Results on standard output: one JSON document, or text and tables for people."""

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, fields, is_dataclass
from datetime import UTC, datetime, timedelta
from enum import Enum
from pathlib import PurePath
from typing import Any

import click

from opskit.cli.text import printable


@dataclass(frozen=True, slots=True)
class Table:
    """Rows under a heading; `right` names the columns of numbers."""

    columns: Sequence[str]
    rows: Sequence[Sequence[object]]
    right: Sequence[str] = ()


def as_json(document: object) -> str:
    """Return the document as JSON in ASCII: times in UTC with a Z, durations in seconds, paths as text."""
    return json.dumps(document, default=_plain, indent=2, allow_nan=False)


def _plain(value: Any) -> object:  # noqa: ANN401 - whatever json cannot write by itself, one line a kind
    if is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise ValueError("a time without a zone cannot be shown")
        return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, AbstractSet):
        return sorted(value)
    if isinstance(value, Mapping):
        return dict(value)
    if hasattr(value, "model_dump"):  # a pydantic model, which masks its secrets
        return value.model_dump(mode="json")
    raise TypeError(f"{type(value).__name__} cannot be shown as JSON")


def as_text(*blocks: str | Table) -> str:
    """Return paragraphs and tables as they are shown to people, one below the other; a table without rows is not."""
    shown = (block for block in blocks if not isinstance(block, Table) or block.rows)
    texts = (_table_text(block) if isinstance(block, Table) else printable(block) for block in shown)
    return "\n".join(texts).rstrip("\n")


def _table_text(table: Table) -> str:
    from opskit.cli.tables import draw  # noqa: PLC0415 - rich takes 50 ms: only where a table is shown

    return draw(table.columns, table.rows, table.right)


def write(text: str) -> None:
    """Write one text and a newline to standard output, at once."""
    click.echo(text)
