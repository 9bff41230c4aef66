"""The same inventory from a backup, without a server."""

from collections.abc import Iterator
from sys import intern

from opskit.backup.encryption import Identities
from opskit.backup.manifest import Manifest
from opskit.backup.reading import read_rows
from opskit.registry.inventory import ARTIFACT_PROPERTIES, ARTIFACT_TYPES, Pointer, pointer
from opskit.storage import Storage


def inventory_of_backup(
    storage: Storage, manifest: Manifest, identities: Identities | None = None
) -> Iterator[Pointer]:
    """Yield what `read_inventory` would have yielded at the moment of the backup; memory holds the joined tables."""

    def rows(table: str, *columns: str) -> Iterator[tuple[str | None, ...]]:
        for values in read_rows(storage, manifest, table, columns, identities):
            yield tuple(None if value is None else value.decode(errors="replace") for value in values)

    types = {number: name for number, name in rows("Type", "id", "name") if name in ARTIFACT_TYPES}
    artifacts = sorted(
        (
            row
            for row in rows("Artifact", "id", "type_id", "name", "uri", "state", "last_update_time_since_epoch")
            if row[1] in types
        ),
        key=lambda row: ((row[3] or "").partition("?")[0].encode(), int(row[0] or 0)),
    )
    known = {row[0] for row in artifacts}
    properties = {
        (artifact, name): intern(value)
        for artifact, name, custom, value in rows(
            "ArtifactProperty", "artifact_id", "name", "is_custom_property", "string_value"
        )
        if name in ARTIFACT_PROPERTIES and custom == "0" and artifact in known and value
    }
    names = {context: name for context, name in rows("Context", "id", "name")}  # noqa: C416 - mypy sees no pairs in it
    states = {
        context: value
        for context, name, custom, value in rows(
            "ContextProperty", "context_id", "name", "is_custom_property", "string_value"
        )
        if name == "state" and custom == "0"
    }
    versions: dict[str | None, list[str | None]] = {}
    for artifact, context in rows("Attribution", "artifact_id", "context_id"):
        versions.setdefault(artifact, []).append(context)
    models: dict[str | None, list[str | None]] = {}
    for version, model in rows("ParentContext", "context_id", "parent_context_id"):
        models.setdefault(version, []).append(model)

    for number, type_id, name, uri, state, updated in artifacts:
        format_name, key, path = (properties.get((number, each)) for each in ARTIFACT_PROPERTIES)
        for version in versions.get(number, [None]):
            for model in models.get(version, [None]):
                yield pointer(
                    int(number or 0),
                    types[type_id] or "",
                    name,
                    uri,
                    key,
                    path,
                    format_name,
                    None if state is None else int(state),
                    int(updated or 0),
                    names.get(version),
                    states.get(version),
                    names.get(model),
                    states.get(model),
                )
