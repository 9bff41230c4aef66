"""`opskit backup resource`: what a lost namespace is rebuilt from."""

from typing import TYPE_CHECKING

import click
import yaml

from opskit.backup.catalog import find
from opskit.backup.manifest import Manifest
from opskit.backup.resource import keep, read_kept
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Command
from opskit.storage import Storage
from opskit.wiring import configured_storage

if TYPE_CHECKING:
    from opskit.registry.discovery import Discovery


def keep_resource(storage: Storage, manifest: Manifest, discovery: "Discovery") -> None:
    """Store a discovered registry's resource beside its backup, with the names of what it refers to, never values."""
    for found in discovery.found:
        if found.registry.name == manifest.registry:
            parts = ("resource", "secrets", "config_maps", "role_bindings")
            keep(storage, manifest, {part: getattr(found, part) for part in parts})


@click.command(cls=Command)
@click.argument("backup_reference", metavar="[BACKUP]", default="latest")
@pass_invocation
def resource(invocation: Invocation, backup_reference: str) -> None:
    """Show the ModelRegistry resource that a backup holds, as `kubectl apply -f -` takes it.

    Comments name the Secrets, ConfigMaps and RoleBindings that it needs; their values are in no backup. The registry
    named by --registry need not exist any more.
    """
    # A lost namespace is discovered no more: the name alone has to do.
    name = invocation.registry_names[-1] if invocation.registry_names else invocation.registry.name
    storage = configured_storage(invocation.configured)
    manifest = find(storage, name, backup_reference)
    kept = read_kept(storage, manifest)
    needed = [
        *(f"# needs Secret {each}" for each in kept.secrets),
        *(f"# needs ConfigMap {each}" for each in kept.config_maps),
        *(f"# needs RoleBinding {each}" for each in kept.role_bindings),
    ]
    document = kept.document()
    invocation.show(document, *needed, yaml.safe_dump(document["resource"], sort_keys=False).rstrip())
