"""The stages between rows and storage: each takes an iterable of bytes and yields bytes."""

import hashlib
from collections.abc import Generator, Iterable, Iterator

import zstandard

from opskit.errors import CorruptError
from opskit.memory import Oversized

# What zstd's highest ordinary level uses; a frame that wants more memory was not written by opskit.
_MAXIMUM_WINDOW = 2**27
# Four bytes can stand for a block of 128 KiB (RFC 8878, 3.1.1.2), so what is fed bounds what comes back: 8 MiB here.
_FED_BYTES = 256


class Digest:
    """Counts the bytes that pass through, and their SHA-256."""

    def __init__(self) -> None:
        self.size = 0
        self._sha256 = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """The digest of what has passed so far, in hexadecimal."""
        return self._sha256.hexdigest()

    def observe(self, source: Iterable[bytes]) -> Iterator[bytes]:
        """Yield what comes, unchanged."""
        for piece in source:
            self.size += len(piece)
            self._sha256.update(piece)
            yield piece


def compressed(source: Iterable[bytes], level: int) -> Iterator[bytes]:
    """Yield one zstd frame, with a checksum of its content."""
    compressor = zstandard.ZstdCompressor(level=level, write_checksum=True).compressobj()
    for piece in source:
        if out := compressor.compress(piece):
            yield out
    yield compressor.flush()


def decompressed(source: Iterable[bytes]) -> Iterator[bytes]:
    """Yield the content of one zstd frame; `CorruptError` if it is cut short, damaged or not one."""
    decompressor = zstandard.ZstdDecompressor(max_window_size=_MAXIMUM_WINDOW).decompressobj()
    for piece in source:
        for start in range(0, len(piece), _FED_BYTES):
            if decompressor.eof:
                raise CorruptError("bytes follow the end of a compressed file")
            try:
                out = decompressor.decompress(piece[start : start + _FED_BYTES])
            except zstandard.ZstdError as error:
                raise CorruptError(f"a file cannot be decompressed: {error}") from error
            if out:
                yield out
    if not decompressor.eof or decompressor.unused_data:
        raise CorruptError("a compressed file ends too early, or too late")


def lines(source: Iterable[bytes], maximum: int) -> Generator[bytes]:
    r"""Yield line by line, without the `\n`; `CorruptError` for one longer than `maximum` or without an end.

    What a piece adds to the line that it ends is not counted: it is in memory already.
    Close it where it may not be read to its end: see `Oversized`.
    """
    rest: list[bytes] = []
    length = 0
    with Oversized() as oversized:
        for piece in source:
            *complete, tail = piece.split(b"\n")
            if complete:
                rest.append(complete.pop(0))
                line = b"".join(rest)
                rest.clear()  # it would be held beside the line
                yield line
                del line
                yield from complete
                length = 0
            rest.append(tail)
            length += len(tail)
            if length > maximum:
                raise CorruptError(f"a line is longer than {maximum:,} bytes")
            oversized.holds(length)
    if length:
        raise CorruptError("a file ends in the middle of a line")


def gathered(source: Iterable[bytes], maximum: int, what: str) -> bytes:
    """Return all of it; `CorruptError` if `what` is larger than `maximum`, in bytes."""
    content = bytearray()
    for piece in source:
        content += piece
        if len(content) > maximum:
            raise CorruptError(f"{what} is too large to be one")
    return bytes(content)
