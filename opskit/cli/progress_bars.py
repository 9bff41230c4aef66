"""Progress bars, drawn by rich on standard error."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bars
from rich.table import Column
from rich.text import Text

from opskit.cli.progress import amount
from opskit.cli.text import one_line
from opskit.progress import Unit

REFRESH_SECONDS = 0.1


# A terminal shows Ctrl-C as `^C` where the cursor stands: at the edge it would begin a line that rich knows nothing of.
_ROOM_FOR_CONTROL_C = 2


class _Narrower:
    def __init__(self, content: RenderableType) -> None:
        self._content = content

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._content, options.update_width(options.max_width - _ROOM_FOR_CONTROL_C))


class _Bars(Bars):
    def get_renderable(self) -> RenderableType:
        return _Narrower(super().get_renderable())


class _Amounts(ProgressColumn):
    """`1.2 GiB of 3.4 GiB, 35 MiB/s`."""

    def render(self, task: Task) -> Text:
        unit: Unit = task.fields["unit"]
        words = amount(task.completed, unit)
        if task.total:
            words += f" of {amount(task.total, unit)}"
        if unit != "bytes":
            words += f" {unit}"
        if task.speed:
            words += f", {amount(task.speed, unit)}/s"
        return Text(words, no_wrap=True)


class ProgressBars:
    """One bar a phase; those of finished phases stay above."""

    def __init__(self, bars: Bars) -> None:
        self._bars = bars
        self._lock = Lock()
        self._task = bars.add_task("", visible=False, unit="objects")
        self._drawn = time.monotonic()

    def phase(self, name: str, total: int | None, unit: Unit) -> None:
        """Begin a phase with a bar of its own; without a total it only counts."""
        with self._lock:
            self._bars.stop_task(self._task)
            self._task = self._bars.add_task(one_line(name), total=total, unit=unit)

    def advance(self, amount: int) -> None:
        """Count, and draw when it is time: rich's own timer would be a thread that outlives the bars."""
        with self._lock:
            self._bars.advance(self._task, amount)
            if time.monotonic() - self._drawn >= REFRESH_SECONDS:
                self._drawn = time.monotonic()
                self._bars.refresh()


@contextmanager
def progress_bars(console: Console | None = None) -> Iterator[ProgressBars]:
    """Draw bars while the block runs; log lines appear above them."""
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(bar_width=None),
        _Amounts(Column(no_wrap=True)),  # the bar gives way, not the numbers
        TimeRemainingColumn(compact=True),
    )
    paper = console or Console(stderr=True)
    with _Bars(*columns, console=paper, expand=True, auto_refresh=False, redirect_stdout=False) as bars:
        yield ProgressBars(bars)
