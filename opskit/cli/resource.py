"""`opskit backup resource`: what a lost namespace is rebuilt from."""

import json
from typing import TYPE_CHECKING

import click
import yaml

from opskit.backup import layout
from opskit.backup.catalog import find
from opskit.backup.manifest import Manifest, backup_key
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Command
from opskit.errors import NotFoundError
from opskit.storage import Storage
from opskit.wiring import configured_storage

if TYPE_CHECKING:
    from opskit.registry.discovery import Discovery


def keep_resource(storage: Storage, manifest: Manifest, discovery: "Discovery") -> None:
    """Store a discovered registry's resource beside its backup, with the names of what it refers to, never values."""
    for found in discovery.found:
        if found.registry.name == manifest.registry:
            document = {
                "format": 1,
                "resource": found.resource,
                "secrets": found.secrets,
                "config_maps": found.config_maps,
                "role_bindings": found.role_bindings,
            }
            key = backup_key(manifest.registry, manifest.id, layout.RESOURCE)
            storage.put(key, [json.dumps(document, indent=2).encode()], if_absent=True)


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
    try:
        text = b"".join(storage.get(backup_key(name, manifest.id, layout.RESOURCE)))
    except NotFoundError as error:
        raise NotFoundError(
            f"backup {manifest.id} holds no resource", hint="it holds one where `discover:` found the registry"
        ) from error
    document = json.loads(text)
    needed = [
        f"# needs {kind} {each}"
        for kind, key in (("Secret", "secrets"), ("ConfigMap", "config_maps"), ("RoleBinding", "role_bindings"))
        for each in document[key]
    ]
    invocation.show(document, *needed, yaml.safe_dump(document["resource"], sort_keys=False).rstrip())
