"""The storage of the backups: whether it can be listed and, on demand, written."""

import secrets
import time
from collections.abc import Iterator

from opskit.errors import ConfigurationError
from opskit.probe.result import Finding, State
from opskit.storage import Storage

# A folder that is no registry's: names of registries hold no such object, and no backup lies here.
FOLDER = "opskit-probe"


def check(storage: Storage, *, write: bool) -> Iterator[Finding]:
    """List, and with `write` put an object of our own, read it, delete it."""
    started = time.monotonic()
    try:
        first = next(iter(storage.list()), None)
    except ConfigurationError as error:  # no such bucket, or TLS: the backups are out of reach
        yield Finding(State.CRITICAL, error.message, error.hint)
        return
    milliseconds = (time.monotonic() - started) * 1000
    yield Finding(State.OK, f"{storage.url} lists in {milliseconds:.0f} ms{'' if first else ', and is empty'}")
    if write:
        yield _written(storage)


def _written(storage: Storage) -> Finding:
    key, content = f"{FOLDER}/{secrets.token_hex(8)}", secrets.token_bytes(64)
    storage.put(key, [content])
    try:
        same = b"".join(storage.get(key)) == content
    finally:
        storage.delete([key])
    if not same:
        return Finding(State.CRITICAL, "what is read is not what was written", "no backup here can be trusted")
    return Finding(State.OK, "an object was written, read and deleted")
