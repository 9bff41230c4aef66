"""What a directory promises beyond the contract: modes, links, killed writers, a full disk."""

import errno
import math
import os
import resource
import signal
import stat
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from opskit.backup.holds import read_holds
from opskit.errors import (
    ConfigurationError,
    DeniedError,
    NoSpaceError,
    NotFoundError,
    ObjectExistsError,
    OpskitError,
    RefusedError,
    UnavailableError,
)
from opskit.storage.directory import DirectoryStorage
from opskit.storage.directory_errors import translated

DAY = 24 * 3600


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tmp_path / "root"


@pytest.fixture
def storage(root: Path) -> DirectoryStorage:
    root.mkdir()
    return DirectoryStorage(root)


def content(storage: DirectoryStorage, key: str) -> bytes:
    return b"".join(storage.get(key))


def keys(storage: DirectoryStorage) -> list[str]:
    return [each.key for each in storage.list()]


def files(folder: Path) -> list[Path]:
    return [each for each in folder.rglob("*") if not each.is_dir()]


def test_root_is_made_by_the_first_put(root: Path, caplog: pytest.LogCaptureFixture) -> None:
    DirectoryStorage(root).put("a/b", [b"x"])
    assert content(DirectoryStorage(root), "a/b") == b"x"
    assert f"made the directory {root}" in caplog.text


def test_root_is_not_made_where_the_folder_above_is_missing(root: Path) -> None:
    with pytest.raises(ConfigurationError, match="to make below in"):
        DirectoryStorage(root / "below").put("key", [b"x"])
    assert not root.exists()


def test_reading_does_not_make_the_root(root: Path) -> None:
    storage = DirectoryStorage(root)
    for read in (
        lambda: storage.stat("key"),
        lambda: content(storage, "key"),
        lambda: storage.delete(["key"]),
    ):
        with pytest.raises(ConfigurationError, match="there is no directory") as caught:
            read()
        assert "mounted" in str(caught.value.hint)
    assert keys(storage) == []
    assert not root.exists()


def test_root_that_the_first_put_will_make_is_empty_and_said_to_be_missing_once(
    root: Path, caplog: pytest.LogCaptureFixture
) -> None:
    storage = DirectoryStorage(root)
    assert keys(storage) == keys(storage) == []
    assert caplog.text.count(f"there is no directory {root} yet") == 1


def test_root_that_no_put_can_make_is_not_taken_for_empty(root: Path, tmp_path: Path) -> None:
    root.symlink_to(tmp_path / "of a volume that is not mounted")
    for storage in (DirectoryStorage(root), DirectoryStorage(tmp_path / "not mounted" / "backups")):
        with pytest.raises(ConfigurationError, match="there is no directory") as caught:
            keys(storage)
        assert "mounted" in str(caught.value.hint)


def test_root_that_is_a_file_is_refused(root: Path) -> None:
    root.write_text("not a folder")
    with pytest.raises(ConfigurationError):
        DirectoryStorage(root).put("key", [b"x"])
    assert root.read_text() == "not a folder"


def test_relative_root_stays_when_the_working_directory_changes(
    root: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    storage = DirectoryStorage(Path("./root"))
    monkeypatch.chdir("/")
    storage.put("key", [b"x"])
    assert (root / "key").read_bytes() == b"x"


def test_only_the_owner_may_read(root: Path) -> None:
    before = os.umask(0)
    try:
        DirectoryStorage(root).put("a/b/key", [b"x"])
    finally:
        os.umask(before)
    modes = {each: stat.S_IMODE(each.stat().st_mode) for each in (root, *root.rglob("*"))}
    assert {mode for each, mode in modes.items() if each.is_dir()} == {0o700}
    assert {mode for each, mode in modes.items() if not each.is_dir()} == {0o600}


def test_empty_folders_go_with_their_last_object(storage: DirectoryStorage, root: Path) -> None:
    for key in ("a/b/c/1", "a/b/c/2", "a/d/3"):
        storage.put(key, [b"x"])
    storage.delete(["a/b/c/1", "a/b/c/2"])
    assert not (root / "a" / "b").exists()
    assert keys(storage) == ["a/d/3"]
    storage.delete(["a/d/3"])
    assert not (root / "a").exists()
    assert root.is_dir()


def test_object_is_not_seen_before_it_is_whole(storage: DirectoryStorage) -> None:
    seen = []

    def body() -> Iterator[bytes]:
        yield b"x" * 100_000
        seen.extend(keys(storage))
        yield b"y"

    storage.put("key", body())
    assert seen == []


@pytest.mark.parametrize("key", ["link/key", "link/below/key"])
def test_link_to_a_folder_is_not_followed(storage: DirectoryStorage, root: Path, tmp_path: Path, key: str) -> None:
    outside = tmp_path / "outside"
    (outside / "below").mkdir(parents=True)
    (outside / "key").write_text("secret")
    (outside / "below" / "key").write_text("secret")
    (root / "link").symlink_to(outside, target_is_directory=True)

    assert keys(storage) == []
    with pytest.raises(NotFoundError):
        content(storage, key)
    with pytest.raises(NotFoundError):
        storage.stat(key)
    for if_absent in (False, True):
        with pytest.raises(RefusedError, match="Not a directory"):
            storage.put(key, [b"x"], if_absent=if_absent)
    storage.delete([key])
    assert [each.read_text() for each in files(outside)] == ["secret", "secret"]


def test_link_to_a_file_is_not_followed(storage: DirectoryStorage, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_text("secret")
    (root / "link").symlink_to(outside)

    assert keys(storage) == []
    with pytest.raises(NotFoundError):
        content(storage, "link")
    with pytest.raises(NotFoundError):
        storage.stat("link")
    storage.put("link", [b"x"])
    assert content(storage, "link") == b"x"
    assert outside.read_text() == "secret"


def test_uploads_are_not_written_through_a_link(storage: DirectoryStorage, root: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (root / ".opskit-uploads").symlink_to(outside, target_is_directory=True)
    with pytest.raises(RefusedError):
        storage.put("key", [b"x"])
    assert files(outside) == []


def test_root_may_be_a_link(storage: DirectoryStorage, root: Path, tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to(root)
    DirectoryStorage(link).put("a/key", [b"x"])
    assert keys(storage) == ["a/key"]


def test_what_is_no_regular_file_is_not_there(storage: DirectoryStorage, root: Path) -> None:
    os.mkfifo(root / "fifo")
    (root / "folder").mkdir()
    assert keys(storage) == []
    for key in ("fifo", "folder"):
        with pytest.raises(NotFoundError):
            content(storage, key)
        with pytest.raises(NotFoundError):
            storage.stat(key)


def test_names_that_are_no_keys_are_not_listed(storage: DirectoryStorage, root: Path) -> None:
    storage.put("key", [b"x"])
    for name in (b"back\\slash", b"new\nline", b"not UTF-8 \xff"):
        Path(os.fsdecode(os.fsencode(root) + b"/" + name)).write_text("x")
        (Path(os.fsdecode(os.fsencode(root) + b"/folder" + name)) / "below").mkdir(parents=True)
    assert keys(storage) == ["key"]


def test_object_and_folder_of_one_name_exclude_each_other(storage: DirectoryStorage) -> None:
    storage.put("a", [b"1"])
    storage.put("b/c", [b"2"])
    for key in ("a/b", "a/b/c", "b"):
        with pytest.raises(RefusedError, match=f"cannot write {key}") as caught:
            storage.put(key, [b"3"])
        assert "in the way" in str(caught.value.hint)
    storage.delete(["a/b", "b"])
    assert keys(storage) == ["a", "b/c"]


def test_one_of_many_wins_if_absent(storage: DirectoryStorage) -> None:
    together = threading.Barrier(8)

    def put(number: int) -> bool:
        together.wait()
        try:
            storage.put("folder/key", [str(number).encode()], if_absent=True)
        except ObjectExistsError:
            return False
        return True

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(put, range(8)))
    assert won.count(True) == 1
    assert content(storage, "folder/key") == str(won.index(True)).encode()


def test_killed_writer_leaves_no_object(storage: DirectoryStorage, root: Path) -> None:
    program = """if True:
        import os, signal, sys
        from pathlib import Path
        from opskit.storage.directory import DirectoryStorage
        def body():
            yield b"x" * 100_000
            os.kill(os.getpid(), signal.SIGKILL)
        DirectoryStorage(Path(sys.argv[1])).put("a/key", body())
    """
    assert subprocess.run([sys.executable, "-c", program, root], check=False).returncode == -signal.SIGKILL
    assert keys(storage) == []
    left = files(root)
    assert [each.stat().st_size for each in left] == [100_000]
    assert [each.parent.name for each in left] == [".opskit-uploads"]


def test_uploads_of_yesterday_are_swept_and_those_of_today_are_not(storage: DirectoryStorage, root: Path) -> None:
    storage.put("key", [b"x"])
    uploads = root / ".opskit-uploads"
    for name, age in (("old", DAY + 60), ("young", DAY - 60)):
        (uploads / name).write_text("x")
        then = (root / "key").stat().st_mtime - age
        os.utime(uploads / name, (then, then))
    storage.put("other", [b"x"])
    assert [each.name for each in uploads.iterdir()] == ["young"]


def test_file_that_shrinks_while_it_is_read_is_an_error(storage: DirectoryStorage, root: Path) -> None:
    storage.put("key", [b"x" * 3_000_000])
    pieces = storage.get("key")
    read = len(next(pieces))
    os.truncate(root / "key", 2_000_000)
    with pytest.raises(UnavailableError, match="ends 1000000 bytes early"):
        read += sum(map(len, pieces))


def test_full_disk_leaves_nothing(storage: DirectoryStorage, root: Path) -> None:
    storage.put("key", [b"first"])
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, limits[1]))
    try:
        with pytest.raises(NoSpaceError, match="cannot write key"):
            storage.put("key", [b"x" * 90_000, b"y" * 90_000])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert content(storage, "key") == b"first"
    assert files(root) == [root / "key"]


@contextmanager
def unprivileged() -> Iterator[Path]:
    """Be a user whom modes hinder, as they do not hinder root, and have an empty folder."""
    user = os.geteuid()
    if user == 0:
        os.seteuid(65534)
    try:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    finally:
        os.seteuid(user)


def test_folder_that_may_not_be_written_is_denied() -> None:
    with unprivileged() as root:
        storage = DirectoryStorage(root)
        storage.put("a/key", [b"x"])
        (root / "a").chmod(0o500)
        with pytest.raises(DeniedError, match="cannot write a/other"):
            storage.put("a/other", [b"x"])
        with pytest.raises(DeniedError):
            storage.delete(["a/key"])
        assert keys(storage) == ["a/key"]
        (root / "a").chmod(0o700)


def test_folder_that_may_not_be_read_makes_the_listing_fail() -> None:
    with unprivileged() as root:
        storage = DirectoryStorage(root)
        storage.put("a/key", [b"x"])
        (root / "a").chmod(0)
        with pytest.raises(DeniedError):
            keys(storage)
        (root / "a").chmod(0o700)


def test_lost_and_found_of_a_volume_does_not_hinder_the_listing() -> None:
    with unprivileged() as root:
        storage = DirectoryStorage(root)
        storage.put("key", [b"x"])
        (root / "lost+found").mkdir(mode=0)
        assert keys(storage) == ["key"]


@pytest.mark.parametrize(
    ("number", "expected"),
    [
        (errno.ENOSPC, NoSpaceError),
        (errno.EDQUOT, NoSpaceError),
        (errno.EACCES, DeniedError),
        (errno.EPERM, DeniedError),
        (errno.EROFS, DeniedError),
        (errno.ENOTDIR, RefusedError),
        (errno.ELOOP, RefusedError),
        (errno.EISDIR, RefusedError),
        (errno.EXDEV, ConfigurationError),
        (errno.ENOTSUP, ConfigurationError),
        (errno.ENAMETOOLONG, ConfigurationError),
        (errno.EIO, UnavailableError),
        (errno.ESTALE, UnavailableError),
        (errno.ETIMEDOUT, UnavailableError),
        (errno.EMFILE, UnavailableError),
    ],
    ids=lambda each: errno.errorcode[each] if isinstance(each, int) else "",
)
def test_errors_of_the_system_are_translated(number: int, expected: type[OpskitError]) -> None:
    with pytest.raises(expected, match="cannot write key: ") as caught, translated("cannot write key"):
        raise OSError(number, os.strerror(number))
    assert type(caught.value) is expected


@pytest.mark.parametrize("seconds", [-(10**12), 10**12])
def test_file_of_a_time_beyond_the_calendar_is_listed_and_its_hold_is_in_force(seconds: int) -> None:
    # A file system in memory keeps any time; others shorten it.
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        storage = DirectoryStorage(Path(folder))
        key = "reg/20261123T021500Z-3f9a1c/holds/1.json"
        storage.put(key, [b'{"purpose": "person", "seconds": 3600}'])
        os.utime(Path(folder) / key, (seconds, seconds))
        (stored,) = storage.list()
        assert storage.stat(key) == stored
        assert stored.modified.astimezone(timezone(timedelta(hours=math.copysign(14, seconds)))).year in (1, 9999)
        (hold,) = read_holds(storage, [stored])
        assert hold.has_ended(storage.now()) == (seconds < 0)


def test_hold_that_would_end_beyond_the_calendar_is_in_force(storage: DirectoryStorage) -> None:
    key = "reg/20261123T021500Z-3f9a1c/holds/1.json"
    storage.put(key, [b'{"purpose": "person", "seconds": 864000}'])
    late = replace(storage.stat(key), modified=datetime(9999, 12, 31, tzinfo=UTC))
    (hold,) = read_holds(storage, [late])
    assert not hold.has_ended(storage.now())
