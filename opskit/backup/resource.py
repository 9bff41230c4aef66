"""What a lost namespace is rebuilt from: `resource.json` beside the manifest, signed as that is.

It is hostile input like all that is stored: what it becomes is handed to `kubectl apply`.
"""

import json
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError
from pydantic_core import from_json

from opskit.backup import layout
from opskit.backup.manifest import Manifest, Several, backup_key, described
from opskit.backup.stages import gathered
from opskit.errors import ConfigurationError, CorruptError, NotFoundError
from opskit.registry.custom_resource import ModelRegistry
from opskit.settings.kinds import ObjectName
from opskit.storage import Storage


def _binding_name(value: str) -> str:
    # Of RBAC Kubernetes takes any segment of a path, line breaks included; nobody who means well has these.
    if not value.isprintable() or value in ("", ".", "..") or "/" in value or "%" in value:
        raise ValueError("must be a name as Kubernetes has them, on one line")
    return value


BindingName = Annotated[str, AfterValidator(_binding_name)]


class KeptResource(BaseModel):
    """A registry's resource, and the names of what it refers to, never values.

    It names its backup: a signature is good for that one alone.
    """

    model_config = ConfigDict(frozen=True, extra="ignore", hide_input_in_errors=True)

    format: Literal[1]
    registry: str
    backup: str
    resource: ModelRegistry
    secrets: Several[ObjectName]
    config_maps: Several[ObjectName]
    role_bindings: Several[BindingName]

    def document(self) -> dict[str, Any]:
        """Return it as JSON has it, without what is not set."""
        return self.model_dump(mode="json", by_alias=True, exclude_unset=True)


def keep(storage: Storage, manifest: Manifest, parts: Mapping[str, object]) -> None:
    """Store a resource, and the names that it refers to, beside its backup; `ConfigurationError` if it is none."""
    identity = {"format": 1, "registry": manifest.registry, "backup": manifest.id}
    try:
        kept = KeptResource.model_validate(identity | dict(parts))
    except ValidationError as error:
        problems = described(error, "resource")
        raise ConfigurationError(f"backup {manifest.id} is complete, but keeps no resource: {problems}") from error
    content = json.dumps(kept.document(), indent=2).encode()
    storage.put(backup_key(manifest.registry, manifest.id, layout.RESOURCE), [content], if_absent=True)


def read_kept(storage: Storage, manifest: Manifest) -> KeptResource:
    """Return what is kept beside a backup.

    `NotFoundError` if nothing is, `CorruptError` for whatever is no ModelRegistry of this registry, kept with this
    backup.
    """
    what = f"the resource of {manifest.id}"
    try:
        stored = storage.get(backup_key(manifest.registry, manifest.id, layout.RESOURCE))
        content = gathered(stored, layout.RESOURCE_MAXIMUM_BYTES, what)
    except NotFoundError as error:
        raise NotFoundError(
            f"backup {manifest.id} holds no resource", hint="it holds one where `discover:` found the registry"
        ) from error
    try:
        # Not model_validate_json, which takes ten times the memory: see `load_manifest`.
        kept = KeptResource.model_validate(from_json(content))
    except ValidationError as error:
        raise CorruptError(f"{what} is not valid: {described(error, 'resource')}") from error
    except ValueError as error:
        raise CorruptError(f"{what} is not JSON") from error
    if (kept.registry, kept.backup, kept.resource.metadata.name) != (manifest.registry, manifest.id, manifest.registry):
        raise CorruptError(f"{what} is that of another backup or registry")
    return kept
