"""Which locations in a bucket are there, by merging two sorted sequences: what is wanted, and what is listed.

A location is two wanted points, the exact key and the first key that its folder could hold. The points are sorted
as the store sorts its keys, by UTF-8 bytes, which is the order of Python's strings. A listing starts just before
the next point that is not settled, settles every point on its page, and leaps to the next. So there are no more
LISTs than twice the locations, and no more than pages between the first and the last point, plus one; pages of
objects that do not count (empty ones) come on top.

The merge proves presence and nothing else. What it has not proved is asked for by itself (`asking.look`): absence
never follows from a listing alone, and an answer that was cut, out of order or wrong costs requests, not truth.
"""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import NamedTuple

from opskit.artifacts.bucket import Bucket, Page, Stored
from opskit.artifacts.folder import Folder
from opskit.artifacts.uri import S3Location

Proof = Stored | Folder

# A page that settles no more points than one location has is not worth its price: a LIST costs as much as 12.5 HEADs.
_FEW = 2
_FIRST_LEAP = 4
_LONGEST_LEAP = 256
# Keys, and what may follow StartAfter, are limited to 1,024 bytes; the predecessor of a key is up to 4 longer.
_LONGEST_PREDECESSOR = 1000
_LAST_CHARACTER = chr(sys.maxunicode)
_FIRST_PRINTABLE = 0x20
_AFTER_SURROGATES, _BEFORE_SURROGATES = 0xE000, 0xD7FF


class UnorderedError(Exception):
    """The store lists its keys in another order than that of their UTF-8 bytes."""


@dataclass(slots=True, eq=False)
class _Wanted:
    location: S3Location
    folder: Folder | None = None
    exact: Stored | None = None
    skipped: bool = False
    open: bool = False

    @property
    def proof(self) -> Proof | None:
        """The object, else the folder unless it is being read yet."""
        if self.exact is not None:
            return self.exact
        return self.folder if self.folder and self.folder.first and not self.open else None

    @property
    def asked_no_more(self) -> bool:
        """Whether its points say nothing new: the object was found, or it is asked for by itself."""
        return self.exact is not None or self.skipped


class _Point(NamedTuple):
    text: str
    is_folder: bool
    wanted: _Wanted


def before(key: str) -> str:
    """Return a string to start after so that the key comes first, or after very few others.

    That is the key without its last character c, then the character before c, then the last character there is.
    """
    if not key:
        return ""
    head, last = key[:-1], ord(key[-1])
    previous = _BEFORE_SURROGATES if last == _AFTER_SURROGATES else last - 1
    # XML cannot carry control characters, and some stores echo what they were asked for.
    if previous < _FIRST_PRINTABLE or 0x7F <= previous <= 0x9F or len(key.encode()) > _LONGEST_PREDECESSOR:  # noqa: PLR2004 - DEL and the C1 controls
        return head
    return head + chr(previous) + _LAST_CHARACTER


class Merge:
    """One walk through a bucket, over locations that are all in it.

    `proofs` maps each location that was found to the object, or to the folder as far as it was read. Errors of the
    store are raised, and what was proved before stays proved; `UnorderedError` takes the proofs back.
    """

    def __init__(self, bucket: Bucket, locations: Sequence[S3Location], *, whole: bool = False) -> None:
        self._bucket = bucket
        self._whole = whole
        self._wanted = [_Wanted(each) for each in locations]
        points = [_Point(each.location.folder, is_folder=True, wanted=each) for each in self._wanted]
        points += [
            _Point(each.location.key, is_folder=False, wanted=each)
            for each in self._wanted
            if each.location.key is not None
        ]
        self._points = sorted(points, key=lambda point: point.text)
        # All points begin with what the first and the last have in common: a key may be allowed to list no more.
        self._prefix = _shared_start(self._points[0].text, self._points[-1].text) if self._points else ""
        self._next = 0
        self._open: list[_Wanted] = []
        self._reached = ""
        self._leap = _FIRST_LEAP

    @property
    def proofs(self) -> dict[S3Location, Proof]:
        """What was found so far."""
        return {each.location: each.proof for each in self._wanted if each.proof is not None}

    def run(self) -> None:
        """Walk from the first point to the last."""
        while (start := self._start()) is not None:
            page = self._bucket.page(after=start, prefix=self._prefix)
            passed = self._next
            self._settle(page, start)
            if page.complete:
                return
            if not self._open and self._next - passed <= _FEW:
                self._skip()
            else:
                self._leap = _FIRST_LEAP

    def _start(self) -> str | None:
        """Return what to list after, None at the end: on within an open folder, else just before the next point."""
        if self._open:
            return self._reached
        while self._next < len(self._points) and self._points[self._next].wanted.asked_no_more:
            self._next += 1
        if self._next == len(self._points):
            return None
        return max(self._reached, before(self._points[self._next].text))

    def _settle(self, page: Page, start: str) -> None:
        last = start
        for stored in page.objects:
            if stored.key <= last and last:
                self._take_back()
            last = stored.key
            self._pass_points(stored)
            for wanted in self._open:
                if wanted.folder is not None:
                    wanted.folder.add(stored)
            self._close(lambda each: each.folder is not None and each.folder.settled)
        if page.complete:
            self._close(lambda _: True)
        self._reached = last

    def _pass_points(self, stored: Stored) -> None:
        """Settle the points up to this key; open folders are nested, since each is a prefix of the key."""
        self._close(lambda each: not stored.key.startswith(each.location.folder))
        while self._next < len(self._points) and self._points[self._next].text <= stored.key:
            text, is_folder, wanted = self._points[self._next]
            self._next += 1
            if wanted.asked_no_more:
                continue
            if not is_folder:
                if text == stored.key and stored.live:
                    wanted.exact = stored
            elif stored.key.startswith(text):
                wanted.folder, wanted.open = Folder(text, self._whole), True
                self._open.append(wanted)

    def _close(self, ended: Callable[[_Wanted], bool]) -> None:
        # The innermost folder is the last one, and the first to end.
        while self._open and ended(self._open[-1]):
            self._open.pop().open = False

    def _skip(self) -> None:
        """Leave the next locations to be asked for one by one: between points this far apart pages are waste."""
        skipped, position = 0, self._next
        while skipped < self._leap and position < len(self._points):
            wanted = self._points[position].wanted
            skipped += not wanted.asked_no_more
            wanted.skipped = wanted.skipped or wanted.exact is None
            position += 1
        self._leap = min(2 * self._leap, _LONGEST_LEAP)

    def _take_back(self) -> None:
        for wanted in self._wanted:
            wanted.exact = wanted.folder = None
        raise UnorderedError


def _shared_start(one: str, other: str) -> str:
    return "".join(pair[0] for pair in takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False)))


def ranges(locations: Sequence[S3Location], size: int) -> Iterator[Sequence[S3Location]]:
    """Cut the locations of one bucket into runs of neighbours, each for one walk."""
    ordered = sorted(locations, key=lambda each: each.folder)
    for start in range(0, len(ordered), size):
        yield ordered[start : start + size]
