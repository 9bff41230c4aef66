"""Text as a terminal may be given it."""

import re

# C0 and C1 controls but for the newline: names come from databases and buckets, and a terminal obeys them.
_CONTROL = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")


def printable(text: str) -> str:
    r"""Return the text with control characters, other than newlines, written as `\x1b`."""
    return _CONTROL.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def one_line(text: str) -> str:
    r"""Return the text as one printable line: its newlines become `\n`."""
    return printable(text).replace("\n", "\\n")
