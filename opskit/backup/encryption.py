"""age around the bytes of each file: whoever writes backups cannot read them, and the `age` program can.

The format is age's version 1 (https://age-encryption.org/v1). Recipients are age's own public keys (`age1…`) and
SSH public keys; identities are the files that `age -i` takes.
"""

import contextlib
import importlib
import queue
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from opskit.errors import ConfigurationError, CorruptError, DeniedError

SUFFIX = ".age"
# Pieces that wait between the thread that encrypts and the one that stores: age's own are of 64 KiB.
_PIECES = 8
_LOOK_AGAIN_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Recipients:
    """Whom a backup is encrypted to; `names` are public keys, and stand in the manifest."""

    names: tuple[str, ...]
    keys: tuple[Any, ...]

    def encrypted(self, source: Iterable[bytes]) -> Iterator[bytes]:
        """Yield the bytes as one age file that each of the recipients can open."""
        pyrage = _library()
        return _piped(lambda reader, writer: pyrage.encrypt_io(reader, writer, list(self.keys)), source)


@dataclass(frozen=True, slots=True)
class Identities:
    """The private keys at hand, which never show in a repr."""

    origin: str
    keys: tuple[Any, ...]

    def __repr__(self) -> str:
        return f"Identities({self.origin!r})"

    def decrypted(self, source: Iterable[bytes], recipients: Sequence[str]) -> Iterator[bytes]:
        """Yield the content of one age file; `recipients` are named when none of the keys opens it.

        `DeniedError` for the wrong keys, `CorruptError` for a file that is damaged, cut short or goes on.
        """
        pyrage = _library()
        try:
            yield from _piped(lambda reader, writer: pyrage.decrypt_io(reader, writer, list(self.keys)), source)
        except pyrage.DecryptError as error:
            if "matching keys" not in str(error):
                raise CorruptError(f"a file is not one of age's: {error}") from error
            raise DeniedError(
                f"no key in {self.origin} opens this backup", hint=f"it is encrypted to {', '.join(recipients)}"
            ) from error
        except _NotAuthenticError as error:
            raise CorruptError("an encrypted file is damaged") from error


class _NotAuthenticError(Exception):
    """What pyrage says of a damaged file, which is an OSError like any other."""


def read_recipients(names: Iterable[str]) -> Recipients | None:
    """Return the recipients, or None where there are none; `ConfigurationError` for what is no public key."""
    listed = tuple(name.strip() for name in names)
    keys = tuple(_recipient(position, name) for position, name in enumerate(listed))
    return Recipients(listed, keys) if listed else None


def _recipient(position: int, name: str) -> Any:  # noqa: ANN401 - a type of a library that may not be there
    pyrage = _library()
    kind = pyrage.ssh if name.startswith("ssh-") else pyrage.x25519
    try:
        return kind.Recipient.from_str(name)
    except pyrage.RecipientError as error:
        # The name is not quoted: somebody may have given the private key.
        raise ConfigurationError(
            f"encryption.recipients[{position}] is no public key of age",
            hint="`age-keygen -y identity.txt` shows the public key of an identity",
        ) from error


def read_identities(path: Path | None) -> Identities | None:
    """Return the keys of an identity file, or None without a file; `ConfigurationError` if it cannot be used."""
    if path is None:
        return None
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ConfigurationError(f"the identity file {path} cannot be read: {error.strerror}") from error
    pyrage = _library()
    keys: tuple[Any, ...] = ()
    try:
        if text.startswith(b"-----BEGIN"):
            keys = (pyrage.ssh.Identity.from_buffer(text),)
        else:
            lines = (line.strip() for line in text.decode().splitlines())
            keys = tuple(pyrage.x25519.Identity.from_str(line) for line in lines if line and not line.startswith("#"))
    except (pyrage.IdentityError, UnicodeDecodeError):
        pass  # said below, in other words: the library's own may quote the key
    if not keys:
        raise ConfigurationError(f"the identity file {path} holds no key of age", hint="`age-keygen` makes one")
    return Identities(str(path), keys)


def opened(stored: Iterable[bytes], recipients: Sequence[str], identities: Identities | None) -> Iterator[bytes]:
    """Yield what is in a stored file: its bytes as they are, or decrypted where there are recipients.

    `ConfigurationError` that names them if no identity is at hand.
    """
    if not recipients:
        yield from stored
    elif identities is None:
        raise ConfigurationError(
            f"this backup is encrypted to {', '.join(recipients)}, and no identity is configured",
            hint="set encryption.identity_file to the identity of one of them",
        )
    else:
        yield from identities.decrypted(stored, recipients)


def _library() -> Any:  # noqa: ANN401 - pyrage has no type information
    try:
        return importlib.import_module("pyrage")
    except ImportError as error:
        raise ConfigurationError(
            "encryption needs the pyrage library", hint="install opskit with its extra: opskit[encryption]"
        ) from error


class _Reader:
    """An iterator of bytes as a file; what the iterator raises is kept, since a foreign library hides it."""

    def __init__(self, source: Iterable[bytes]) -> None:
        self._pieces = iter(source)
        self._piece = memoryview(b"")
        self.error: BaseException | None = None

    def read(self, size: int) -> bytes:
        try:
            while not self._piece:
                piece = next(self._pieces, None)
                if piece is None:
                    return b""
                self._piece = memoryview(piece)
        except BaseException as error:
            self.error = error
            raise
        taken, self._piece = self._piece[:size], self._piece[size:]
        return bytes(taken)


class _Writer:
    """A file whose bytes go into a queue; raises once nobody takes them any more."""

    def __init__(self) -> None:
        self.pieces: queue.Queue[bytes | None] = queue.Queue(_PIECES)
        self.abandoned = threading.Event()

    def write(self, piece: bytes) -> int:
        self._put(bytes(piece))
        return len(piece)

    def flush(self) -> None:
        """Do nothing: every piece is on its way already."""

    def end(self) -> None:
        with contextlib.suppress(BrokenPipeError):
            self._put(None)

    def _put(self, piece: bytes | None) -> None:
        while not self.abandoned.is_set():
            try:
                return self.pieces.put(piece, timeout=_LOOK_AGAIN_SECONDS)
            except queue.Full:
                continue
        raise BrokenPipeError("nobody takes these bytes any more")


def _piped(transform: Callable[[_Reader, _Writer], None], source: Iterable[bytes]) -> Iterator[bytes]:
    """Yield what `transform`, which reads one file and writes another, makes of the source.

    It runs in a thread of its own, since it pushes its output and a stage is pulled. What the source raises is
    raised here as it is.
    """
    reader, writer = _Reader(source), _Writer()
    failures: list[BaseException] = []

    def work() -> None:
        try:
            transform(reader, writer)
        except BaseException as error:  # noqa: BLE001 - carried over to the thread that pulls
            failures.append(reader.error or (_NotAuthenticError(str(error)) if isinstance(error, OSError) else error))
        finally:
            writer.end()

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    try:
        while (piece := writer.pieces.get()) is not None:
            yield piece
        if failures:
            raise failures[0]
    finally:
        writer.abandoned.set()
