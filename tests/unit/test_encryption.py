import threading
from collections.abc import Iterator
from pathlib import Path

import pyrage
import pytest

from opskit.backup.encryption import Identities, opened, read_identities, read_recipients
from opskit.errors import ConfigurationError, CorruptError, DeniedError

IDENTITY = pyrage.x25519.Identity.generate()
PUBLIC = str(IDENTITY.to_public())
MEGABYTE = b"0123456789abcdef" * 65536


def encrypted(content: bytes, *names: str) -> bytes:
    recipients = read_recipients(names or (PUBLIC,))
    assert recipients is not None
    return b"".join(recipients.encrypted([content]))


def identities(*keys: object) -> Identities:
    return Identities("identity.txt", keys or (IDENTITY,))


def decrypted(stored: bytes, *keys: object) -> bytes:
    return b"".join(opened([stored], [PUBLIC], identities(*keys)))


@pytest.mark.parametrize("size", [0, 1, 65_535, 65_536, 65_537, 5_000_000])
def test_what_was_encrypted_comes_back(size: int) -> None:
    content = (MEGABYTE * 5)[:size]
    assert decrypted(encrypted(content)) == content


def test_each_recipient_opens_it_alone() -> None:
    other = pyrage.x25519.Identity.generate()
    stored = encrypted(b"content", PUBLIC, str(other.to_public()))
    assert decrypted(stored, IDENTITY) == decrypted(stored, other) == b"content"


def test_stream_is_not_gathered_in_memory() -> None:
    """The source is asked for little more than what was taken."""
    asked = 0

    def endless() -> Iterator[bytes]:
        nonlocal asked
        while True:
            asked += 1
            yield MEGABYTE

    recipients = read_recipients([PUBLIC])
    assert recipients is not None
    stored = recipients.encrypted(endless())
    next(stored)
    del stored
    assert asked < 10


def test_failure_of_the_source_is_raised_as_it_is() -> None:
    class PulledPlugError(BaseException):
        """Not an Exception: nothing on the way may swallow it."""

    def failing() -> Iterator[bytes]:
        yield MEGABYTE
        raise PulledPlugError

    recipients = read_recipients([PUBLIC])
    assert recipients is not None
    with pytest.raises(PulledPlugError):
        list(recipients.encrypted(failing()))


def test_abandoned_stream_leaves_no_thread_behind() -> None:
    before = set(threading.enumerate())
    recipients = read_recipients([PUBLIC])
    assert recipients is not None
    stored = recipients.encrypted([MEGABYTE] * 50)
    next(stored)
    (worker,) = set(threading.enumerate()) - before
    del stored
    worker.join(30)
    assert not worker.is_alive()


@pytest.mark.parametrize("damage", ["cut", "cut in the header", "changed", "goes on", "empty", "no age at all"])
def test_damaged_file_is_corrupt(damage: str) -> None:
    stored = encrypted(MEGABYTE)
    stored = {
        "cut": stored[:-1],
        "cut in the header": stored[:60],
        "changed": stored[:-100] + bytes([stored[-100] ^ 1]) + stored[-99:],
        "goes on": stored + b"x",
        "empty": b"",
        "no age at all": MEGABYTE,
    }[damage]
    with pytest.raises(CorruptError):
        decrypted(stored)


def test_wrong_identity_is_denied_and_told_who_could() -> None:
    with pytest.raises(DeniedError) as caught:
        decrypted(encrypted(b"content"), pyrage.x25519.Identity.generate())
    assert caught.value.hint is not None
    assert PUBLIC in caught.value.hint
    assert "identity.txt" in caught.value.message


def test_missing_identity_tells_who_could() -> None:
    with pytest.raises(ConfigurationError, match=PUBLIC):
        list(opened([encrypted(b"content")], [PUBLIC], None))


def test_plain_file_needs_no_identity() -> None:
    assert list(opened([b"as", b"it is"], [], None)) == [b"as", b"it is"]


def test_identity_file_may_hold_comments_and_several_keys(tmp_path: Path) -> None:
    other = pyrage.x25519.Identity.generate()
    (tmp_path / "keys").write_text(f"# created: today\n# public key: …\n{other}\n\n{IDENTITY}\n")
    found = read_identities(tmp_path / "keys")
    assert found is not None
    assert b"".join(found.decrypted([encrypted(b"content")], [PUBLIC])) == b"content"


NO_KEYS = [b"", b"# nothing\n", b"AGE-SECRET-KEY-1NOTAKEY\n", b"\xff\xfe", b"-----BEGIN X-----"]


@pytest.mark.parametrize("content", NO_KEYS)
def test_file_without_a_key_is_refused_and_not_quoted(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "keys").write_bytes(content)
    with pytest.raises(ConfigurationError) as caught:
        read_identities(tmp_path / "keys")
    assert "NOTAKEY" not in str(caught.value)


def test_unreadable_identity_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="missing"):
        read_identities(tmp_path / "missing")


def test_key_does_not_show_in_a_repr() -> None:
    assert repr(identities()) == "Identities('identity.txt')"


@pytest.mark.parametrize("name", ["age1", "AGE-SECRET-KEY-1X", "ssh-ed25519 x", "somebody", ""])
def test_what_is_no_public_key_is_refused(name: str) -> None:
    with pytest.raises(ConfigurationError, match=r"encryption\.recipients"):
        read_recipients([name])


def test_no_recipients_means_no_encryption() -> None:
    assert read_recipients([]) is None
