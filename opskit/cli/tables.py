"""Tables, drawn by rich."""

import sys
from collections.abc import Sequence
from io import StringIO
from typing import Literal

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table
from rich.text import Text

from opskit.cli.text import one_line

# Piped tables are as wide as they are: cut or folded lines cannot be searched.
_UNLIMITED = 100_000
# A column folded to less than this cannot be read.
_READABLE = 20


def draw(columns: Sequence[str], rows: Sequence[Sequence[object]], right: Sequence[str]) -> str:
    """Draw a table: folded to the width of a terminal, without a limit in a pipe; nothing is cut off.

    The first column names the row: where that leaves room for the others it stays on one line, to be copied from.
    """
    terminal = sys.stdout is not None and sys.stdout.isatty()
    canvas = StringIO()
    console = Console(
        file=canvas,
        width=None if terminal else _UNLIMITED,
        force_terminal=terminal,
        color_system="auto" if terminal else None,
    )
    names, *others = (max(len(one_line(str(cell))) for cell in column) for column in zip(columns, *rows, strict=True))
    room = console.width - sum(1 + min(width, _READABLE) for width in others)
    names_fit = names <= max(room, console.width // 3)
    # One space between columns: in 80 characters every one counts.
    table = Table(
        box=SIMPLE_HEAD if terminal else None,
        padding=(0, 0 if terminal else 1),
        pad_edge=False,
        show_edge=False,
        collapse_padding=True,
    )
    for number, column in enumerate(columns):
        justify: Literal["left", "right"] = "right" if column in right else "left"
        table.add_column(Text(column), justify=justify, overflow="fold", no_wrap=names_fit and number == 0)
    for row in rows:
        table.add_row(*(Text(one_line("" if cell is None else str(cell))) for cell in row))
    console.print(table)
    return "\n".join(line.rstrip() for line in canvas.getvalue().splitlines())
