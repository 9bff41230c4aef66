"""An inventory, taken at once and gone through later: a server must not wait for the slowest store."""

import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import fields
from itertools import islice
from operator import attrgetter

import zstandard

from opskit.registry.inventory import Pointer

# Enough for zstd to find what they have in common.
_POINTERS = 5_000
_VALUES = attrgetter(*(field.name for field in fields(Pointer)))


def spooled(pointers: Iterable[Pointer]) -> Iterator[Pointer]:
    """Read all pointers now, and return them for later; memory holds them compressed, some forty bytes each.

    While rows are read, the metadata locks of their tables are held: a migration of the registry would wait for them,
    and everybody else for the migration.
    """
    source = iter(pointers)
    chunks: deque[bytes] = deque()
    while part := list(islice(source, _POINTERS)):
        text = json.dumps([_VALUES(each) for each in part]).encode()
        # Copied: what zstandard returns keeps the memory that the text might have needed (measured).
        chunks.append(bytes(memoryview(zstandard.compress(text))))
    return _read(chunks)


def _read(chunks: deque[bytes]) -> Iterator[Pointer]:
    while chunks:
        for values in json.loads(zstandard.decompress(chunks.popleft())):
            yield Pointer(*values)
