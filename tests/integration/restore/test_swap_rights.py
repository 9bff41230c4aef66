"""Which rights a swap needs, and that it asks for them before anything is staged."""

import re
from collections.abc import Callable
from dataclasses import replace

import pytest

from opskit.backup.catalog import find
from opskit.backup.create import create_backup
from opskit.backup.manifest import Manifest
from opskit.errors import DeniedError, RefusedError
from opskit.mysql.connection import Endpoint
from opskit.restore.exchange import UNTOUCHED
from opskit.restore.rollback import rollback
from opskit.restore.run import Options, restore
from opskit.restore.swap import plan_swap, restore_and_swap
from opskit.storage.directory import DirectoryStorage
from sandbox.registry import Shape, generate
from sandbox.server import Account, OwnServer, Server
from tests.conftest import accounts, like
from tests.endpoints import endpoint
from tests.integration.restore.conftest import REGISTRY
from tests.integration.restore.databases import beside, content, damage


def test_staging_user_is_told_the_grant_that_a_rename_needs_and_succeeds_with_it(
    mysql: Server,
    source: Endpoint,
    database: str,
    storage: DirectoryStorage,
    manifest: Manifest,
    mysql_user: Callable[..., Account],
) -> None:
    account = mysql_user(rf"ALL ON `{like(database)}\_opskit\_%`.*")
    staging = endpoint(mysql, account)
    saved = content(mysql, database)
    restore(staging, storage, manifest, Options(beside=database))
    damage(mysql, database)
    damaged = content(mysql, database)
    for attempt in (
        lambda: restore_and_swap(staging, source, database, storage, manifest),
        lambda: plan_swap(staging, database, manifest),
        lambda: rollback(staging, database),
    ):
        with pytest.raises(DeniedError) as caught:
            attempt()
    hint = str(caught.value.hint)
    assert hint.startswith("run as an administrator: GRANT SELECT, INSERT, CREATE, ALTER, DROP ON")
    assert content(mysql, database) == damaged
    mysql.execute(hint.removeprefix("run as an administrator: ").partition(";")[0])
    restore_and_swap(staging, source, database, storage, manifest)
    assert content(mysql, database) == saved
    rollback(staging, database)
    assert content(mysql, database) == damaged


def test_safety_backup_that_lacks_a_table_keeps_the_swap_from_beginning(
    mysql: Server,
    source: Endpoint,
    database: str,
    storage: DirectoryStorage,
    manifest: Manifest,
    mysql_user: Callable[..., Account],
) -> None:
    tables = content(mysql, database)
    registry = endpoint(mysql, mysql_user(*(f"SELECT ON `{database}`.`{table}`" for table in tables)))
    mysql.execute(f"CREATE TABLE `{database}`.hidden (id INT PRIMARY KEY)")
    live = content(mysql, database)
    with pytest.raises(RefusedError, match="lacks tables of the live database: hidden") as caught:
        restore_and_swap(source, registry, database, storage, manifest)
    assert str(caught.value.hint).endswith(UNTOUCHED)
    assert (content(mysql, database), beside(mysql, database)) == (live, [])
    safety = find(storage, REGISTRY, "latest")
    assert [each for each in safety.warnings if "this user may not see other tables" in each]


def test_trigger_that_the_user_may_not_see_is_refused_by_the_rename_itself(
    mysql: Server,
    source: Endpoint,
    database: str,
    storage: DirectoryStorage,
    manifest: Manifest,
    mysql_user: Callable[..., Account],
) -> None:
    pattern = like(database)
    account = mysql_user(rf"ALL ON `{pattern}\_opskit\_%`.*", f"SELECT, INSERT, CREATE, ALTER, DROP ON `{pattern}`.*")
    mysql.execute(f"CREATE TRIGGER `{database}`.fires BEFORE INSERT ON `{database}`.Artifact FOR EACH ROW SET @x = 1")
    live = content(mysql, database)
    with pytest.raises(RefusedError) as caught:
        restore_and_swap(endpoint(mysql, account), source, database, storage, manifest, safety_backup=None)
    assert str(caught.value.hint).endswith(UNTOUCHED)
    assert (content(mysql, database), beside(mysql, database, "before%")) == (live, [])


def test_lower_privilege_than_told_is_refused_before_anything_is_staged(
    mysql: Server, source: Endpoint, database: str, storage: DirectoryStorage, manifest: Manifest
) -> None:
    with pytest.raises(DeniedError):
        restore_and_swap(replace(source, password="wrong"), source, database, storage, manifest)
    assert beside(mysql, database) == []


def test_server_without_wildcards_in_grants_is_served_by_exact_names(
    own_mysql: Callable[..., OwnServer], storage: DirectoryStorage
) -> None:
    server = own_mysql("--partial-revokes=ON")
    server.execute("CREATE DATABASE model_registry")
    with server.connect(database="model_registry") as connection:
        generate(connection, Shape("mlmd", models=1))
    manifest = create_backup(endpoint(server), "model_registry", storage, REGISTRY)
    saved = content(server, "model_registry")
    with accounts(server) as account:
        staging = endpoint(server, account("ALL ON model_registry.*"))
        with pytest.raises(DeniedError) as caught:
            restore_and_swap(staging, staging, "model_registry", storage, manifest)
        hint = str(caught.value.hint)
        server.execute(*re.findall(r"GRANT [^;]+", hint))
        run_id = re.findall(r"--run-id (\w+)", hint)[0]
        report = restore_and_swap(staging, staging, "model_registry", storage, manifest, Options(run_id=run_id))
        assert report.settled.exchange.outgoing == f"model_registry_opskit_before_{run_id}"
        rollback(staging, "model_registry", run_id=run_id)
        assert content(server, "model_registry") == saved
