import fcntl
import json
import os
import pty
import re
import struct
import subprocess
import termios
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone
from enum import Enum
from pathlib import Path

import pytest
from pydantic import BaseModel, SecretStr

from opskit.amounts import human_age, human_seconds, human_size
from opskit.cli.output import Table, as_json, as_text
from tests.unit.command_line import environment, opskit_command, run, stand_in_command

BACKUP = "20261123T021500Z-3f9a1c"


@dataclass(frozen=True)
class Found:
    at: datetime
    where: Path
    inner: tuple["Found", ...] = ()


class Colour(Enum):
    RED = "red"


class Model(BaseModel):
    password: SecretStr


def test_json_tells_times_in_utc_paths_as_text_and_dataclasses_as_objects() -> None:
    at = datetime(2026, 11, 23, 3, 15, tzinfo=timezone(timedelta(hours=1)))
    document = {
        "found": Found(at, Path("/x"), (Found(at, Path("/y")),)),
        "lasted": timedelta(minutes=1),
        "colour": Colour.RED,
        "names": frozenset({"b", "a"}),
        "model": Model(password=SecretStr("swordfish")),
        "name": "\u0085é\x1b",
    }
    text = as_json(document)
    assert text.isascii()
    assert json.loads(text) == {
        "found": {
            "at": "2026-11-23T02:15:00Z",
            "where": "/x",
            "inner": [{"at": "2026-11-23T02:15:00Z", "where": "/y", "inner": []}],
        },
        "lasted": 60.0,
        "colour": "red",
        "names": ["a", "b"],
        "model": {"password": "**********"},
        "name": "\u0085é\x1b",
    }


@pytest.mark.parametrize("value", [datetime(2026, 1, 1), b"x", float("nan"), object()])  # noqa: DTZ001 - must be refused
def test_json_refuses_what_it_could_only_guess(value: object) -> None:
    with pytest.raises((ValueError, TypeError)):
        as_json({"value": value})


def test_piped_table_has_every_character_and_no_colour() -> None:
    text = as_text(
        "2 backups", Table(("backup", "where", "size"), [(BACKUP, "x" * 300, 1), ("b", None, 22)], ("size",))
    )
    assert text.splitlines() == [
        "2 backups",
        f"backup                  where{' ' * 296}size",
        f"{BACKUP} {'x' * 300}    1",
        f"b{' ' * 326}22",
    ]


def test_names_from_elsewhere_are_neither_markup_nor_orders_to_the_terminal() -> None:
    text = as_text("model \x1b]0;title\x07", Table(("name",), [("[red]x[/nothing]",), ("\x1b[2J\n\tx",)]))
    assert text.splitlines() == [
        r"model \x1b]0;title\x07",
        "name",
        "[red]x[/nothing]",
        r"\x1b[2J\n\x09x",
    ]


def on_terminal(command: list[str], columns: int, cwd: Path, **variables: str) -> tuple[int, str]:
    """Run a command on a terminal of its own and return its exit code and what the terminal showed."""
    controller, terminal = pty.openpty()
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))
    environ = environment(TERM="xterm", **variables)
    with subprocess.Popen(command, cwd=cwd, env=environ, stdin=terminal, stdout=terminal, stderr=terminal) as process:
        os.close(terminal)
        shown = b""
        while True:
            try:
                read = os.read(controller, 65_536)
            except OSError:  # Linux tells so that the other side is closed
                break
            shown += read
        os.close(controller)
        return process.wait(timeout=60), shown.decode()


def plain(shown: str) -> list[str]:
    """What was drawn, line by line: a bar that was redrawn is several lines."""
    return re.split(r"[\r\n]+", re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown))


TABLE = """
from opskit.cli.output import Table
invocation.show({}, Table(("backup", "registry", "rows"), [("20261123T021500Z-3f9a1c", "r" * 90, 1200000)], ("rows",)))
"""


def test_terminal_table_is_folded_to_80_columns_and_loses_nothing(tmp_path: Path) -> None:
    code, shown = on_terminal(stand_in_command(TABLE), 80, tmp_path)
    lines = plain(shown)
    assert code == 0
    assert "\x1b[1m" in shown
    assert max(map(len, lines)) <= 80
    assert "".join(lines).count("r") == 90 + "registry rows".count("r")
    assert "1200000" in shown
    assert BACKUP in shown


LISTED = f"""
from opskit.cli.output import Table
columns = ("BACKUP", "AGE", "ROWS", "STORED", "LEVEL", "REHEARSED", "STATE")
row = ("{BACKUP}", "47 min", "2,750,000", "96.2 MiB", "instance", "passed", "complete")
invocation.show({{}}, Table(columns, [row], ("AGE", "ROWS", "STORED")))
"""


def test_backup_is_listed_on_one_line_of_80_columns(tmp_path: Path) -> None:
    _, shown = on_terminal(stand_in_command(LISTED), 80, tmp_path)
    assert f"{BACKUP} 47 min 2,750,000 96.2 MiB instance passed    complete" in plain(shown)


VERIFIED = """
from opskit.cli.output import Table
columns = ("MODEL", "VERSION", "URI", "VERDICT", "SINCE", "WHY")
row = ("distance-prediction-of-the-north-east", "3.1", "s3://models/" + "u" * 48, "missing", "2026-11-25", "gone")
invocation.show({}, Table(columns, [row]))
"""


@pytest.mark.parametrize(("columns", "lines"), [(80, 5), (160, 3)])
def test_long_name_leaves_room_for_the_other_columns(columns: int, lines: int, tmp_path: Path) -> None:
    _, shown = on_terminal(stand_in_command(VERIFIED), columns, tmp_path)
    assert len([line for line in plain(shown) if line.strip()]) <= lines


def test_table_without_rows_is_not_shown() -> None:
    assert as_text(Table(("name",), []), "none") == "none"


def test_terminal_of_20_columns_is_survived(tmp_path: Path) -> None:
    code, shown = on_terminal(stand_in_command(TABLE), 20, tmp_path)
    assert code == 0
    assert max(map(len, plain(shown))) <= 20
    assert "".join(plain(shown)).count("r") >= 90


def test_no_color_is_heeded(tmp_path: Path) -> None:
    _, shown = on_terminal(stand_in_command(TABLE), 80, tmp_path, NO_COLOR="1")
    assert not re.search(r"\x1b\[[0-9;]*3[0-7]m", shown)


def test_a_message_on_a_terminal_needs_no_timestamp(tmp_path: Path) -> None:
    _, shown = on_terminal(opskit_command("config", "check"), 80, tmp_path)
    assert plain(shown)[0].startswith("warning: no storage is configured: backups are in file://")


def test_output_that_the_locale_cannot_write_is_escaped(tmp_path: Path) -> None:
    environ = environment(PYTHONIOENCODING="latin-1")
    ended = run(stand_in_command("invocation.show({}, 'mod\\u6f22le')"), tmp_path, environ)
    assert (ended.returncode, ended.stdout) == (0, "mod\\u6f22le\n")


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1.0 KiB"),
        (1_258_291, "1.2 MiB"),
        (200 << 30, "200 GiB"),
        (5000 << 40, "5000 TiB"),
    ],
)
def test_sizes_are_in_the_unit_that_fits(size: int, text: str) -> None:
    assert human_size(size) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.4, "0 s"), (119, "119 s"), (120, "2 min"), (3 * 3600, "3 h"), (47 * 3600, "47 h"), (48 * 3600, "2 d")],
)
def test_spans_are_in_the_largest_unit_with_two_or_more(seconds: float, text: str) -> None:
    assert human_seconds(seconds) == text


def test_ages_look_both_ways() -> None:
    now = datetime(2026, 11, 23, tzinfo=UTC)
    assert human_age(now - timedelta(hours=3), now) == "3 h ago"
    assert human_age(now + timedelta(days=2), now) == "in 2 d"
