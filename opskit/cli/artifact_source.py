"""Where the inventory of a registry comes from."""

from collections.abc import Iterable

from opskit.artifacts.inventory import inventory_of_backup
from opskit.backup.catalog import find
from opskit.backup.encryption import read_identities
from opskit.cli.invocation import Invocation
from opskit.mysql.connection import connect
from opskit.registry.inventory import Pointer, read_inventory
from opskit.settings import Registry
from opskit.wiring import configured_storage, database_endpoint


class Source:
    """Where the inventory of one registry comes from: its database, or a backup."""

    def __init__(self, invocation: Invocation, registry: Registry, backup_reference: str | None) -> None:
        self.pointers: Iterable[Pointer]
        self._connection = None
        if backup_reference is None:
            self.name = "database"
            self._connection = connect(database_endpoint(registry), registry.mysql.database)
            self.pointers = read_inventory(self._connection)
        else:
            storage = configured_storage(invocation.settings)
            manifest = find(storage, registry.name, backup_reference)
            identities = read_identities(invocation.settings.encryption.identity_file)
            self.name = f"backup {manifest.id}"
            self.pointers = inventory_of_backup(storage, manifest, identities)

    def close(self) -> None:
        """Let the server go, whether everything was read or not."""
        if self._connection is not None:
            self._connection.close()
