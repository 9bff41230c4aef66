"""Where the inventory of a registry comes from."""

from collections.abc import Iterator
from contextlib import closing

from opskit.artifacts.inventory import inventory_of_backup
from opskit.artifacts.report import FORMER
from opskit.artifacts.spool import spooled
from opskit.backup.catalog import find
from opskit.backup.encryption import read_identities
from opskit.cli.invocation import Invocation
from opskit.mysql.connection import connect
from opskit.registry.inventory import Pointer, read_inventory
from opskit.settings import Registry
from opskit.wiring import configured_storage, database_endpoint


def inventory_from(
    invocation: Invocation, registry: Registry, backup_reference: str | None
) -> tuple[str, Iterator[Pointer]]:
    """Return where the inventory is from, and the inventory: of a backup, or as the database has it now."""
    if backup_reference is None:
        with closing(connect(database_endpoint(registry), registry.mysql.database)) as connection:
            return "database", spooled(read_inventory(connection))
    storage = configured_storage(invocation.settings)
    manifest = find(storage, registry.name, backup_reference)
    identities = read_identities(invocation.settings.encryption.identity_file)
    newest = find(storage, registry.name, "latest").id == manifest.id
    return f"{'' if newest else FORMER}backup {manifest.id}", inventory_of_backup(storage, manifest, identities)
