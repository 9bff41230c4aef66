"""Backups that whoever wrote them cannot read, on a real server, opened by the `age` program as well."""

import hashlib
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyrage
import pytest
import zstandard

from opskit.backup.check import check_backup
from opskit.backup.create import Options, create_backup
from opskit.backup.encryption import read_identities, read_recipients
from opskit.backup.manifest import Manifest
from opskit.backup.reading import read_rows
from opskit.errors import ConfigurationError, CorruptError, DeniedError
from opskit.mysql.connection import Endpoint
from opskit.progress import NoProgress
from opskit.restore.run import Options as RestoreOptions
from opskit.restore.run import judge, restore
from opskit.storage.directory import DirectoryStorage
from opskit.workers import Stop
from sandbox.archive import unpacked
from sandbox.server import Server
from tests.integration.restore.databases import beside
from tests.unit.command_line import environment, opskit_command, run

NIGHTLY = pyrage.x25519.Identity.generate()
SAFE = pyrage.x25519.Identity.generate()


@pytest.fixture
def backup(source: Endpoint, database: str, storage: DirectoryStorage) -> Manifest:
    recipients = read_recipients([str(NIGHTLY.to_public()), str(SAFE.to_public())])
    return create_backup(source, database, storage, "registry", Options(recipients=recipients))


@pytest.fixture
def identity_file(tmp_path: Path) -> Callable[[pyrage.x25519.Identity], Path]:
    def write(identity: pyrage.x25519.Identity) -> Path:
        path = tmp_path / "identity.txt"
        path.write_text(f"{identity}\n")
        return path

    return write


IdentityFile = Callable[[pyrage.x25519.Identity], Path]


@pytest.mark.parametrize("identity", [NIGHTLY, SAFE], ids=["first", "second"])
def test_encrypted_backup_is_restored_with_any_of_its_identities(
    identity: pyrage.x25519.Identity,
    backup: Manifest,
    source: Endpoint,
    storage: DirectoryStorage,
    identity_file: IdentityFile,
) -> None:
    options = RestoreOptions(identities=read_identities(identity_file(identity)))
    report = restore(source, storage, backup, options)
    assert report.rows == backup.rows > 0
    assert all(table.equal and table.digest for table in report.tables)


def test_only_the_manifest_and_no_row_can_be_read_in_the_storage(backup: Manifest, tmp_path: Path) -> None:
    stored = {path.name: path.read_bytes() for path in (tmp_path / "backups" / "registry" / backup.id).iterdir()}
    assert {name for name, content in stored.items() if not content.startswith(b"age-encryption.org/v1\n")} == {
        "manifest.json"
    }
    assert all(name.endswith(".sql.zst.age") for name in stored if name != "manifest.json")
    assert all(chunk.first is chunk.before is None for table in backup.tables for chunk in table.chunks)


def test_age_program_opens_every_file(backup: Manifest, identity_file: IdentityFile, tmp_path: Path) -> None:
    found = unpacked("age", ["age"])
    program = found.file("usr/bin/age")
    assert program is not None
    for path in sorted((tmp_path / "backups" / "registry" / backup.id).glob("*.age")):
        command = [str(program), "--decrypt", "--identity", str(identity_file(SAFE)), str(path)]
        opened = subprocess.run(command, capture_output=True, check=True).stdout
        assert zstandard.decompress(opened, max_output_size=2**24).startswith(
            (b"SET NAMES utf8mb4;\n", b"CREATE DATABASE")
        )


def test_restore_without_an_identity_changes_nothing_and_tells_who_could(
    backup: Manifest, source: Endpoint, storage: DirectoryStorage, mysql: Server, database: str
) -> None:
    with pytest.raises(ConfigurationError, match=str(NIGHTLY.to_public())):
        restore(source, storage, backup)
    assert beside(mysql, database) == []


def test_restore_with_a_strange_identity_changes_nothing_and_tells_who_could(
    backup: Manifest,
    source: Endpoint,
    storage: DirectoryStorage,
    identity_file: IdentityFile,
    mysql: Server,
    database: str,
) -> None:
    strange = read_identities(identity_file(pyrage.x25519.Identity.generate()))
    with pytest.raises(DeniedError) as caught:
        restore(source, storage, backup, RestoreOptions(identities=strange))
    assert str(SAFE.to_public()) in str(caught.value.hint)
    assert beside(mysql, database) == []


@pytest.fixture
def environ(mysql: Server, database: str, storage: DirectoryStorage) -> dict[str, str]:
    mysql_section = "OPSKIT_REGISTRIES__0__MYSQL__"
    return environment(
        **{
            "OPSKIT_STORAGE_URL": storage.url,
            "OPSKIT_REGISTRIES__0__NAME": "registry",
            f"{mysql_section}HOST": mysql.host,
            f"{mysql_section}PORT": str(mysql.port),
            f"{mysql_section}USER": mysql.user,
            f"{mysql_section}PASSWORD": mysql.password,
            f"{mysql_section}DATABASE": database,
        }
    )


@pytest.mark.parametrize(
    ("identity", "code", "said"),
    [(None, 78, "no identity is configured"), (pyrage.x25519.Identity.generate(), 77, "no key in")],
    ids=["missing", "strange"],
)
def test_commands_end_with_the_code_of_who_must_act(
    identity: pyrage.x25519.Identity | None,
    code: int,
    said: str,
    backup: Manifest,
    environ: dict[str, str],
    identity_file: IdentityFile,
    tmp_path: Path,
) -> None:
    if identity is not None:
        environ["OPSKIT_ENCRYPTION__IDENTITY_FILE"] = str(identity_file(identity))
    for command in (
        ["restore", "run", "latest"],
        ["backup", "rehearse", "latest"],
        ["backup", "diff", backup.id, "live"],
    ):
        ended = run(opskit_command(*command), tmp_path, environ)
        assert ended.returncode == code, command
        assert said in ended.stderr
        assert str(SAFE.to_public()) in ended.stderr


def test_check_without_an_identity_proves_digests_and_says_that_it_did_not_look_inside(
    backup: Manifest, storage: DirectoryStorage
) -> None:
    report = check_backup(storage, backup)
    assert (report.problems, report.looked_inside) == ((), False)


def test_check_without_an_identity_finds_a_changed_byte(
    backup: Manifest, storage: DirectoryStorage, tmp_path: Path
) -> None:
    victim = max((tmp_path / "backups").rglob("*.Artifact.00001.sql.zst.age"))
    content = victim.read_bytes()
    victim.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    (problem,) = check_backup(storage, backup).problems
    assert victim.name in problem


def test_rows_are_read_with_an_identity(
    backup: Manifest, storage: DirectoryStorage, identity_file: IdentityFile, mysql: Server, database: str
) -> None:
    rows = read_rows(storage, backup, "Artifact", ["uri"], read_identities(identity_file(NIGHTLY)))
    expected = mysql.execute(f"SELECT uri FROM `{database}`.Artifact")
    assert sorted(uri.decode() if uri else "" for (uri,) in rows) == sorted(uri or "" for (uri,) in expected)


def test_check_with_an_identity_looks_inside(
    backup: Manifest, storage: DirectoryStorage, identity_file: IdentityFile
) -> None:
    report = check_backup(storage, backup, identities=read_identities(identity_file(NIGHTLY)))
    assert (report.problems, report.looked_inside) == ((), True)


def test_check_with_an_identity_finds_what_digests_cannot_tell(
    backup: Manifest, storage: DirectoryStorage, identity_file: IdentityFile
) -> None:
    """Whoever can write the bucket can encrypt to public keys, and put the digests right."""
    victim = max(backup.files, key=lambda file: file.bytes)
    recipients = read_recipients(backup.recipients)
    assert recipients is not None
    forged = b"".join(recipients.encrypted([b"not compressed"]))
    storage.put(f"registry/{backup.id}/{victim.name}", [forged])
    entry = replace_digest(backup, victim.name, forged)
    assert check_backup(storage, entry).problems == ()
    identities = read_identities(identity_file(NIGHTLY))
    assert len(check_backup(storage, entry, identities=identities).problems) == 1
    with pytest.raises(CorruptError):
        restore_nothing(storage, entry, identity_file)


def replace_digest(backup: Manifest, name: str, content: bytes) -> Manifest:
    changed = {"bytes": len(content), "sha256": hashlib.sha256(content).hexdigest()}
    files = tuple(file.model_copy(update=changed) if file.name == name else file for file in backup.files)
    return backup.model_copy(update={"files": files})


def restore_nothing(storage: DirectoryStorage, backup: Manifest, identity_file: IdentityFile) -> None:
    options = replace(RestoreOptions(), identities=read_identities(identity_file(NIGHTLY)))
    judge(storage, backup, options, NoProgress(), Stop())


def test_large_table_is_compared_in_parts_although_the_manifest_tells_no_ranges(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, identity_file: IdentityFile
) -> None:
    digits = "(SELECT 0 AS d" + "".join(f" UNION ALL SELECT {digit}" for digit in range(1, 10)) + ")"
    mysql.execute(
        f"USE `{database}`",
        "CREATE TABLE large (id INT PRIMARY KEY, content TEXT)",
        "INSERT INTO large SELECT 10000 * a.d + 1000 * b.d + 100 * c.d + 10 * e.d + f.d, REPEAT('x', 1000)"
        f" FROM {digits} a, {digits} b, {digits} c, {digits} e, {digits} f WHERE a.d < 4",
        "ANALYZE TABLE large",
    )
    options = Options(recipients=read_recipients([str(NIGHTLY.to_public())]))
    manifest = create_backup(source, database, storage, "registry", options)
    identities = read_identities(identity_file(NIGHTLY))
    # It tells of no more statements once it is full, as it is at the end of many tests.
    mysql.execute("TRUNCATE TABLE performance_schema.events_statements_summary_by_digest")
    restored = restore(source, storage, manifest, RestoreOptions(purpose="rehearse", identities=identities))
    parts = mysql.execute(
        "SELECT SUM(count_star) FROM performance_schema.events_statements_summary_by_digest"
        f" WHERE schema_name = '{restored.database}' AND digest_text LIKE 'SELECT % FROM `large` WHERE %'"
    )
    assert parts[0][0] > 1
