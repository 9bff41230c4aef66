"""Storage that fails when told to: the nth call raises, an answer gets lost, a stream breaks off."""

import threading
from collections import Counter
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Literal

from opskit.errors import OpskitError, UnavailableError
from opskit.storage import Storage, StoredObject, UnfinishedUpload

Verb = Literal["put", "get", "stat", "list", "delete", "erase", "unfinished", "abort", "now"]


class FaultyStorage:
    """Another storage with faults; calls are counted from 1 for each verb, and `calls` has the counts.

    `fail`: these calls raise `error` before anything is done. `lose_answer`: these calls are done, and then
    raise it all the same (put and delete). `cut_after`: every stream of `get` raises after that many bytes.
    `later`: the store's clock is ahead of the times of its objects by that much, as if they had aged.
    """

    def __init__(
        self,
        inner: Storage,
        *,
        fail: Mapping[Verb, Container[int]] | None = None,
        lose_answer: Mapping[Verb, Container[int]] | None = None,
        cut_after: int | None = None,
        error: OpskitError | None = None,
        later: timedelta = timedelta(0),
    ) -> None:
        self.inner = inner
        self.calls: Counter[Verb] = Counter()
        self._fail = fail or {}
        self._lose_answer = lose_answer or {}
        self._cut_after = cut_after
        self._later = later
        self._error = error or UnavailableError("a fault that a test asked for")
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return self.inner.url

    def put(self, key: str, body: Iterable[bytes], *, if_absent: bool = False) -> int:
        call = self._count("put")
        size = self.inner.put(key, body, if_absent=if_absent)
        self._answer("put", call)
        return size

    def get(self, key: str) -> Iterator[bytes]:
        self._count("get")
        pieces = self.inner.get(key)
        if self._cut_after is None:
            yield from pieces
            return
        left = self._cut_after
        for piece in pieces:
            yield piece[:left]
            left -= len(piece)
            if left < 0:
                raise self._error

    def stat(self, key: str) -> StoredObject:
        self._count("stat")
        return self.inner.stat(key)

    def list(self, prefix: str = "") -> Iterator[StoredObject]:
        self._count("list")
        yield from self.inner.list(prefix)

    def delete(self, keys: Iterable[str]) -> None:
        call = self._count("delete")
        self.inner.delete(keys)
        self._answer("delete", call)

    def erase(self, prefix: str, wanted: Callable[[str], bool]) -> Sequence[str]:
        self._count("erase")
        return self.inner.erase(prefix, wanted)

    def unfinished(self, prefix: str) -> Iterator[UnfinishedUpload]:
        self._count("unfinished")
        return self.inner.unfinished(prefix)

    def abort(self, upload: UnfinishedUpload) -> None:
        self._count("abort")
        self.inner.abort(upload)

    def now(self) -> datetime:
        self._count("now")
        return self.inner.now() + self._later

    def _count(self, verb: Verb) -> int:
        with self._lock:
            self.calls[verb] += 1
            call = self.calls[verb]
        if call in self._fail.get(verb, ()):
            raise self._error
        return call

    def _answer(self, verb: Verb, call: int) -> None:
        if call in self._lose_answer.get(verb, ()):
            raise self._error
