"""Every artifact that a registry points to, as its rows say (registry logical model of kubeflow/model-registry)."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from opskit.mysql.connection import Connection
from opskit.mysql.query import stream_rows
from opskit.registry.text import readable

# The types that have bytes somewhere; metrics and parameters have none.
ARTIFACT_TYPES: Final = ("kf.ModelArtifact", "kf.DocArtifact", "kf.DataSet")
ARTIFACT_PROPERTIES: Final = ("model_format_name", "storage_key", "storage_path")
# A column of properties holds 16 MiB. Of what is read of them nothing that means anything is longer: a key of S3 has
# 1,024 bytes, the name of a Secret 253.
_LONGEST_PROPERTY: Final = 4_096
# Of MLMD's metadata_store.proto; NULL is what the API's clients leave when they say nothing.
ARTIFACT_STATES: Final = (
    "UNKNOWN",
    "PENDING",
    "LIVE",
    "MARKED_FOR_DELETION",
    "DELETED",
    "ABANDONED",
    "REFERENCE",
)


@dataclass(frozen=True, slots=True)
class Pointer:
    """One artifact: where the registry says that its bytes are, and whose they are.

    Text is as people wrote it, whatever MLMD made of it. `updated` is the row's last update in milliseconds since
    1970; a version or a model that the artifact does not belong to is empty.
    """

    artifact_id: int
    type: str
    name: str
    uri: str
    storage_key: str
    storage_path: str
    format: str
    state: str
    updated: int
    version: str
    version_state: str
    model: str
    model_state: str

    @property
    def archived(self) -> bool:
        """Whether its model or its version is archived: its files may be gone for a reason."""
        return "ARCHIVED" in (self.version_state, self.model_state)


def read_inventory(connection: Connection) -> Iterator[Pointer]:
    """Yield every artifact that should have bytes, ordered by the URI up to its query: one consistent snapshot.

    One without a URI is among them: the API demands none.
    """
    types = ", ".join(f"'{name}'" for name in ARTIFACT_TYPES)
    properties = "".join(
        f" LEFT JOIN ArtifactProperty p{number} ON p{number}.artifact_id = a.id"
        f" AND p{number}.name = '{name}' AND p{number}.is_custom_property = 0"
        for number, name in enumerate(ARTIFACT_PROPERTIES)
    )
    states = "".join(
        f" LEFT JOIN ContextProperty {alias}_state ON {alias}_state.context_id = {alias}.id"
        f" AND {alias}_state.name = 'state' AND {alias}_state.is_custom_property = 0"
        for alias in ("version", "model")
    )
    statement = (
        "SELECT a.id, t.name, a.name, a.uri, p1.string_value, p2.string_value, p0.string_value, a.state,"
        " a.last_update_time_since_epoch, version.name, version_state.string_value,"
        " model.name, model_state.string_value"
        " FROM Artifact a JOIN Type t ON t.id = a.type_id"
        f"{properties}"
        " LEFT JOIN Attribution owner ON owner.artifact_id = a.id"
        " LEFT JOIN Context version ON version.id = owner.context_id"
        " LEFT JOIN ParentContext parent ON parent.context_id = version.id"
        " LEFT JOIN Context model ON model.id = parent.parent_context_id"
        f"{states}"
        f" WHERE t.name IN ({types})"
        " ORDER BY CAST(SUBSTRING_INDEX(COALESCE(a.uri, ''), '?', 1) AS BINARY), a.id"
    )
    return (pointer(*row) for row in stream_rows(connection, statement))


def pointer(  # noqa: PLR0913, PLR0917 - the columns of one row
    artifact_id: int,
    type_name: str,
    name: str | None,
    uri: str | None,
    storage_key: str | None,
    storage_path: str | None,
    format_name: str | None,
    state: int | None,
    updated: int,
    version: str | None,
    version_state: str | None,
    model: str | None,
    model_state: str | None,
) -> Pointer:
    """Return what one row means: text decoded, names without their owner's id, states by name."""
    return Pointer(
        artifact_id=artifact_id,
        type=type_name,
        name=_own_name(name),
        uri=readable(uri or ""),
        storage_key=_property(storage_key),
        storage_path=_property(storage_path),
        format=_property(format_name),
        state=ARTIFACT_STATES[state] if state is not None and 0 <= state < len(ARTIFACT_STATES) else "UNKNOWN",
        updated=updated,
        version=_own_name(version),
        version_state=_property(version_state) or "LIVE",
        model=readable(model or ""),
        model_state=_property(model_state) or "LIVE",
    )


def _property(text: str | None) -> str:
    return readable(text or "")[:_LONGEST_PROPERTY]


def _own_name(name: str | None) -> str:
    """Return what follows the owner's id and a colon, as the API shows it; names may hold colons themselves."""
    return readable((name or "").partition(":")[2] or name or "")
