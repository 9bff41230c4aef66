"""What each privilege is good for: little suffices, and what is missing is named with the statement that grants it."""

import re
from collections.abc import Callable

import pytest

from opskit.backup.create import Options, create_backup
from opskit.backup.manifest import Manifest
from opskit.errors import ConfigurationError, DeniedError, OpskitError
from opskit.mysql.connection import Endpoint
from opskit.mysql.snapshot_steps import LEVELS, Level
from opskit.restore.run import Options as RestoreOptions
from opskit.restore.run import restore
from opskit.storage import Storage
from sandbox.server import Account, OwnServer, Server
from tests.conftest import accounts
from tests.endpoints import endpoint
from tests.integration.resilience.running import REGISTRY

pytestmark = pytest.mark.mysql

Grant = Callable[..., Account]

# The least that each level needs, and what it then is; a level that is not allowed falls to the next.
ENOUGH_FOR: dict[str, tuple[Level, tuple[str, ...]]] = {
    "reload": ("instance", ("SELECT ON `{}`.*", "RELOAD ON *.*")),
    "flush_tables": ("instance", ("SELECT ON `{}`.*", "FLUSH_TABLES ON *.*")),
    "registry": ("tables", ("ALL ON `{}`.*",)),
    "lock_tables": ("tables", ("SELECT, LOCK TABLES ON `{}`.*",)),
    "select": ("session", ("SELECT ON `{}`.*",)),
}


@pytest.fixture
def owner(mysql: Server, registry: str, mysql_user: Grant) -> Endpoint:
    """The registry's own user: everything on its database and nothing else."""
    return endpoint(mysql, mysql_user(f"ALL ON `{registry}`.*"))


@pytest.mark.parametrize("grants", ENOUGH_FOR)
def test_level_is_the_strongest_that_the_grants_allow(
    mysql: Server, registry: str, storage: Storage, mysql_user: Grant, grants: str
) -> None:
    level, privileges = ENOUGH_FOR[grants]
    user = mysql_user(*(each.format(registry) for each in privileges))
    manifest = create_backup(endpoint(mysql, user), registry, storage, REGISTRY)
    assert (manifest.snapshot.consistency, manifest.snapshot.consistency_wanted) == (level, "instance")
    refused = LEVELS[: LEVELS.index(level)]
    said = [each for each in manifest.warnings if "is not allowed to this user" in each]
    assert said == [f"consistency level {each!r} is not allowed to this user" for each in refused]
    assert manifest.snapshot.gtid  # which needs no privilege
    assert manifest.snapshot.position_approximate == (level == "session")
    assert manifest.snapshot.binlog_file is None  # which needs REPLICATION CLIENT


def test_privileges_of_a_role_count(mysql: Server, registry: str, storage: Storage, mysql_user: Grant) -> None:
    role, user = mysql_user(f"ALL ON `{registry}`.*"), mysql_user()
    mysql.execute(f"GRANT '{role.user}'@'%' TO '{user.user}'@'%'", f"SET DEFAULT ROLE ALL TO '{user.user}'@'%'")
    manifest = create_backup(endpoint(mysql, user), registry, storage, REGISTRY)
    assert manifest.snapshot.consistency == "tables"
    assert not [each for each in manifest.warnings if "may not see" in each]


def test_programs_that_the_user_could_not_see_are_warned_of(
    mysql: Server, registry: str, storage: Storage, mysql_user: Grant
) -> None:
    user = mysql_user(f"SELECT, TRIGGER ON `{registry}`.*")
    manifest = create_backup(endpoint(mysql, user), registry, storage, REGISTRY)
    assert "this user may not see events, routines, views: if there are any, they are not in the backup" in (
        manifest.warnings
    )


def test_privileges_that_were_revoked_in_part_do_not_count(
    own_mysql: Callable[..., OwnServer], storage: Storage
) -> None:
    server = own_mysql("--partial-revokes=ON")
    server.execute("CREATE DATABASE registry")
    with accounts(server) as user:
        account = user("SELECT, LOCK TABLES, TRIGGER, EVENT, SHOW_ROUTINE, SHOW VIEW ON *.*")
        server.execute(f"REVOKE EVENT ON registry.* FROM '{account.user}'@'%'")
        manifest = create_backup(endpoint(server, account), "registry", storage, REGISTRY)
    assert "this user may not see events: if there are any, they are not in the backup" in manifest.warnings


def statement_in(error: OpskitError) -> str:
    """Return the statement that the hint tells an administrator to run."""
    found = re.search(r"run as an administrator: (GRANT .*?);", str(error.hint))
    assert found, error.hint
    return found[1]


def test_owner_restores_into_staging_after_the_one_grant_that_is_printed(
    mysql: Server, registry: str, storage: Storage, owner: Endpoint
) -> None:
    manifest = create_backup(owner, registry, storage, REGISTRY)
    with pytest.raises(DeniedError) as caught:
        restore(owner, storage, manifest)
    assert caught.value.exit_code == 77
    mysql.execute(statement_in(caught.value))
    report = restore(owner, storage, manifest)
    assert report.database.startswith(f"{registry}_opskit_restore_")
    assert report.rows == manifest.rows


def test_grant_for_staging_covers_no_other_database(
    mysql: Server, registry: str, storage: Storage, owner: Endpoint
) -> None:
    """In a GRANT `_` stands for any character unless it is escaped."""
    manifest = create_backup(owner, registry, storage, REGISTRY)
    with pytest.raises(DeniedError) as caught:
        restore(owner, storage, manifest)
    mysql.execute(statement_in(caught.value))
    for other in (
        f"{registry}xopskit_restore_1",
        f"{registry}_opskitxrestore",
        registry.replace("_", "x") + "_opskit_1",
    ):
        with pytest.raises(DeniedError):
            restore(owner, storage, manifest, RestoreOptions(into=other))


def test_owner_restores_into_a_named_database_after_the_grant_that_is_printed(
    mysql: Server, registry: str, storage: Storage, owner: Endpoint
) -> None:
    manifest = create_backup(owner, registry, storage, REGISTRY)
    into = RestoreOptions(into=f"{registry}_opskit_named")
    with pytest.raises(DeniedError) as caught:
        restore(owner, storage, manifest, into)
    mysql.execute(statement_in(caught.value))
    assert restore(owner, storage, manifest, into).rows == manifest.rows


def test_restore_stays_out_of_the_binary_log_after_the_grant_that_is_printed(
    mysql: Server, registry: str, storage: Storage, owner: Endpoint
) -> None:
    manifest = create_backup(owner, registry, storage, REGISTRY)
    into = RestoreOptions(into=f"{registry}_opskit_unlogged", binary_log=False)
    with pytest.raises(DeniedError) as caught:
        restore(owner, storage, manifest, into)
    mysql.execute(statement_in(caught.value), rf"GRANT ALL ON `{registry}\_opskit\_unlogged`.* TO {owner.user}")
    before = mysql.execute("SELECT @@gtid_executed")
    report = restore(owner, storage, manifest, into)
    assert (report.rows, report.added.binlog_bytes) == (manifest.rows, 0)
    assert mysql.execute("SELECT @@gtid_executed") == before


PROGRAMS = (
    "CREATE PROCEDURE first_routine() SELECT 1",
    "CREATE FUNCTION second_routine() RETURNS INT DETERMINISTIC RETURN 1",
    "CREATE TRIGGER first_trigger BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id",
    "CREATE TRIGGER second_trigger BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id",
)


@pytest.fixture
def programs(mysql: Server, database: str) -> str:
    """A database with programs that the administrator has made."""
    mysql.execute(f"USE `{database}`", "CREATE TABLE t (id INT PRIMARY KEY)", *PROGRAMS)
    return database


def test_every_routine_whose_body_is_hidden_is_named(
    mysql: Server, programs: str, storage: Storage, mysql_user: Grant
) -> None:
    user = mysql_user(f"ALL ON `{programs}`.*")
    with pytest.raises(ConfigurationError, match=r"function 'second_routine', procedure 'first_routine'") as caught:
        create_backup(endpoint(mysql, user), programs, storage, REGISTRY)
    assert caught.value.exit_code == 78
    assert "SHOW_ROUTINE" in str(caught.value.hint)
    assert not [each for each in storage.list() if each.key.endswith("manifest.json")]
    mysql.execute(f"GRANT SHOW_ROUTINE ON *.* TO '{user.user}'@'%'")
    manifest = create_backup(endpoint(mysql, user), programs, storage, REGISTRY, Options(lease_wait_seconds=30))
    assert {each.name for each in manifest.programs} == {
        "first_routine",
        "second_routine",
        "first_trigger",
        "second_trigger",
    }


def test_routines_left_out_when_told_are_warned_of(
    mysql: Server, programs: str, storage: Storage, mysql_user: Grant
) -> None:
    user = mysql_user(f"ALL ON `{programs}`.*")
    manifest = create_backup(endpoint(mysql, user), programs, storage, REGISTRY, Options(skip_routines=True))
    assert {each.kind for each in manifest.programs} == {"trigger"}
    assert "routines were left out (--skip-routines)" in manifest.warnings


def saved_by_administrator(mysql: Server, database: str, storage: Storage) -> Manifest:
    return create_backup(endpoint(mysql), database, storage, REGISTRY)


def test_every_program_that_the_binary_log_forbids_is_named(
    mysql: Server, programs: str, storage: Storage, mysql_user: Grant
) -> None:
    """Error 1419: without SUPER a trigger needs log_bin_trust_function_creators."""
    manifest = saved_by_administrator(mysql, programs, storage)
    user = endpoint(mysql, mysql_user(rf"ALL ON `{programs}\_opskit\_%`.*".replace("test_", r"test\_")))
    with pytest.raises(DeniedError, match=r"trigger first_trigger: .*\(1419\).*trigger second_trigger: ") as caught:
        restore(user, storage, manifest, RestoreOptions(beside=programs))
    assert caught.value.exit_code == 77
    assert "SET GLOBAL log_bin_trust_function_creators = 1" in str(caught.value.hint)
    assert not mysql.execute(f"SHOW DATABASES LIKE '{programs}\\_opskit%'")


def test_refused_programs_leave_a_named_database_as_empty_as_it_was(
    mysql: Server, programs: str, storage: Storage, mysql_user: Grant
) -> None:
    """The procedure could be created, the triggers could not; a second try must not be told of what the first left."""
    manifest = saved_by_administrator(mysql, programs, storage)
    into = f"{programs}_opskit_named"
    mysql.execute(f"CREATE DATABASE `{into}`")
    user = endpoint(mysql, mysql_user(f"ALL ON `{into}`.*"))
    for _ in range(2):
        with pytest.raises(DeniedError, match=r"\(1419\)"):
            restore(user, storage, manifest, RestoreOptions(into=into, lease_wait_seconds=30))
    for view, column in (("tables", "table_schema"), ("routines", "routine_schema")):
        assert mysql.execute(f"SELECT * FROM information_schema.{view} WHERE {column} = '{into}'") == ()
    assert mysql.execute(f"SHOW DATABASES LIKE '{into}'")


def test_every_definer_that_the_user_may_not_set_is_named(
    mysql: Server, programs: str, storage: Storage, mysql_user: Grant
) -> None:
    """Error 1227: only SET_ANY_DEFINER lets a program run as somebody else."""
    manifest = saved_by_administrator(mysql, programs, storage)
    user = endpoint(mysql, mysql_user(rf"ALL ON `{programs}\_opskit\_%`.*".replace("test_", r"test\_")))
    with pytest.raises(DeniedError, match=r"first_routine: .*\(1227\)") as caught:
        restore(user, storage, manifest, RestoreOptions(beside=programs, keep_definer=True))
    for name in ("first_routine", "second_routine", "first_trigger", "second_trigger"):
        assert name in caught.value.message
    assert "SET_ANY_DEFINER" in str(caught.value.hint)


def test_owner_without_programs_needs_nothing_beyond_its_database(
    mysql: Server, registry: str, storage: Storage, owner: Endpoint
) -> None:
    granted = mysql.execute(f"SHOW GRANTS FOR '{owner.user}'@'%'")
    assert [row[0] for row in granted] == [
        f"GRANT USAGE ON *.* TO `{owner.user}`@`%`",
        f"GRANT ALL PRIVILEGES ON `{registry}`.* TO `{owner.user}`@`%`",
    ]
    manifest = create_backup(owner, registry, storage, REGISTRY)
    assert manifest.rows > 0
    assert [each for each in manifest.warnings if "instance" not in each] == []
