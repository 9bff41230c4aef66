"""What a registry holds as its users know it: models, versions, artifacts, with their states and properties.

Rows come from wherever `Rows` reads them, a backup or a running database, in one form. Memory holds a number for
each entity, and all of an entity only for those that are asked for.
"""

import base64
import binascii
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Final, NamedTuple

from opskit.errors import CorruptError
from opskit.registry.inventory import ARTIFACT_STATES
from opskit.registry.text import readable

# Yields of the named table the named columns: stored bytes, numbers as decimal text, None for NULL.
Rows = Callable[[str, Sequence[str]], Iterator[tuple[bytes | None, ...]]]


class Key(NamedTuple):
    """An entity: the table it is a row of, and its id, which the registry never uses again."""

    table: str
    id: int


@dataclass(slots=True)
class Entity:
    """One entity; `path` names it below its parents, `values` are what can be told apart by a diff."""

    kind: str
    path: tuple[str, ...]
    values: dict[str, str] = field(default_factory=dict)


class _Table(NamedTuple):
    name: str
    properties: str
    own: str  # the column of `properties` that refers to an entity
    values: tuple[str, ...]


_TABLES: Final = (
    _Table("Context", "ContextProperty", "context_id", ("name", "external_id")),
    _Table("Artifact", "ArtifactProperty", "artifact_id", ("name", "external_id", "uri", "state")),
    _Table("Execution", "ExecutionProperty", "execution_id", ("name", "external_id", "last_known_state")),
)
_PROPERTY_VALUES: Final = ("int_value", "double_value", "string_value", "byte_value", "proto_value", "bool_value")
_PARENTS: Final = (
    ("ParentContext", "Context", "context_id", "parent_context_id"),
    ("Attribution", "Artifact", "artifact_id", "context_id"),
    ("Association", "Execution", "execution_id", "context_id"),
)
# ml-metadata's numbers (metadata_store.proto); NULL and 0 are the same.
_EXECUTION_STATES: Final = ("UNKNOWN", "NEW", "RUNNING", "COMPLETE", "FAILED", "CACHED", "CANCELED")
_STATES: Final = {"state": ARTIFACT_STATES, "last_known_state": _EXECUTION_STATES}
_KINDS: Final = {"kf.RegisteredModel": "model", "kf.ModelVersion": "version", "kf.ModelArtifact": "artifact"}
_STRUCT: Final = b"mlmd-struct::"


def fingerprints(rows: Rows) -> dict[Key, int]:
    """Return entity → a number that changes with anything that `describe` shows of it; times are not among it."""
    found: dict[Key, int] = {}
    for table in _TABLES:
        for id_, type_id, *values in rows(table.name, ("id", "type_id", *table.values)):
            found[Key(table.name, _number(id_))] = _hash(type_id, *values)
        for owner, *values in rows(table.properties, (table.own, "name", "is_custom_property", *_PROPERTY_VALUES)):
            _add(found, Key(table.name, _number(owner)), *values)
    for link, table_name, child, parent in _PARENTS:
        for child_id, parent_id in rows(link, (child, parent)):
            _add(found, Key(table_name, _number(child_id)), parent_id)
    return found


def _add(found: dict[Key, int], key: Key, *values: bytes | None) -> None:
    # A sum does not depend on the order of rows. What belongs to no entity is counted elsewhere, as dangling.
    if key in found:
        found[key] = (found[key] + _hash(*values)) % 2**64


def _hash(*values: bytes | None) -> int:
    digest = blake2b(digest_size=8)
    for value in values:
        digest.update(b"-" if value is None else b"%d:%b" % (len(value), value))
    return int.from_bytes(digest.digest(), "little")


def describe(rows: Rows, keys: Collection[Key]) -> dict[Key, Entity]:
    """Return the entities asked for, as far as they are there."""
    wanted = set(keys)
    parents = _parents(rows, wanted)
    contexts = wanted | set(parents.values())
    parents |= _parents(rows, contexts - wanted)
    contexts |= set(parents.values())
    types = {_number(id_): _text(name) for id_, name in rows("Type", ("id", "name"))}
    entities: dict[Key, Entity] = {}
    for table in _TABLES:
        for id_, type_id, *values in rows(table.name, ("id", "type_id", *table.values)):
            key = Key(table.name, _number(id_))
            if key in contexts:
                entities[key] = _entity(types.get(_number(type_id), "?"), table.values, values)
        for owner, name, custom, *values in rows(
            table.properties, (table.own, "name", "is_custom_property", *_PROPERTY_VALUES)
        ):
            key = Key(table.name, _number(owner))
            if key in wanted and key in entities:
                label = _text(name) + (" (custom)" if custom == b"1" else "")
                entities[key].values[label] = _property(values)
    for key in wanted & entities.keys():
        entities[key].path = path = tuple(reversed(list(_names(key, entities, parents))))
        if len(path) > 1:
            entities[key].values["belongs to"] = " / ".join(path[:-1])
    return {key: entities[key] for key in wanted & entities.keys()}


def _parents(rows: Rows, keys: Collection[Key]) -> dict[Key, Key]:
    """Return child → parent: one where there are several, which only hand-made registries have."""
    found: dict[Key, Key] = {}
    for link, table, child, parent in _PARENTS:
        for child_id, parent_id in rows(link, (child, parent)):
            key = Key(table, _number(child_id))
            if key in keys:
                found[key] = Key("Context", _number(parent_id))
    return found


def _entity(type_name: str, columns: Sequence[str], values: Sequence[bytes | None]) -> Entity:
    named = dict(zip(columns, values, strict=True))
    # Names of what belongs to something begin with the id of that, or a UUID, and a colon.
    name = _text(named.pop("name"))
    own = name if type_name == "kf.RegisteredModel" else name.partition(":")[2] or name
    shown = {
        column: _state(_STATES[column], _number(value)) if column in _STATES else _text(value)
        for column, value in named.items()
        if value is not None
    }
    return Entity(_KINDS.get(type_name, type_name.removeprefix("kf.")), (own,), {"name": name, **shown})


def _state(names: Sequence[str], number: int) -> str:
    # A registry newer than this opskit may know more of them.
    return names[number] if 0 <= number < len(names) else str(number)


def _names(key: Key, entities: dict[Key, Entity], parents: dict[Key, Key]) -> Iterator[str]:
    seen: set[Key] = set()
    current: Key | None = key
    while current is not None and current in entities and current not in seen:
        seen.add(current)
        yield entities[current].path[-1]
        current = parents.get(current)


def _property(values: Sequence[bytes | None]) -> str:
    for column, value in zip(_PROPERTY_VALUES, values, strict=True):
        if value is None:
            continue
        if column == "bool_value":
            return "false" if value == b"0" else "true"
        if column in ("byte_value", "proto_value"):
            return f"{len(value)} bytes, {blake2b(value, digest_size=8).hexdigest()}"
        if value.startswith(_STRUCT):
            return _struct(value)
        return _text(value)
    return "nothing"


def _struct(value: bytes) -> str:
    try:
        content = base64.b64decode(value.removeprefix(_STRUCT), validate=True)
    except binascii.Error:
        return _text(value)
    return f"struct of {len(content)} bytes, {blake2b(content, digest_size=8).hexdigest()}"


def _number(value: bytes | None) -> int:
    try:
        return int(value or b"0")
    except ValueError as error:
        raise CorruptError("where the registry has a number there is none") from error


def _text(value: bytes | None) -> str:
    return readable((value or b"").decode("utf-8", "backslashreplace"))
