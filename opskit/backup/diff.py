"""Which models, versions and artifacts came, went or changed between two backups, or since one."""

from dataclasses import dataclass
from typing import Literal

from opskit.errors import ConfigurationError
from opskit.registry.contents import Entity, Key, Rows, describe, fingerprints

ChangeKind = Literal["added", "removed", "changed"]
_ORDER = {"model": 0, "version": 1, "artifact": 2}


@dataclass(frozen=True, slots=True)
class ValueChange:
    """One value of an entity; None on the side where it is not there."""

    name: str
    before: str | None
    after: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """One entity that differs: its kind, its names from the model down, and for a changed one what changed."""

    change: ChangeKind
    kind: str
    id: int
    path: tuple[str, ...]
    values: tuple[ValueChange, ...]


def diff(before: Rows, after: Rows) -> list[Change]:
    """Compare two registries entity by entity, by id; models come first, then versions, artifacts and the rest.

    An entity whose times alone differ is not among the changes.
    """
    former, present = fingerprints(before), fingerprints(after)
    different = {key for key in former.keys() | present.keys() if former.get(key) != present.get(key)}
    if not different:
        return []
    olds, news = describe(before, different & former.keys()), describe(after, different & present.keys())
    changes = [_change(key, olds.get(key), news.get(key)) for key in different]
    return sorted(changes, key=lambda each: (_ORDER.get(each.kind, len(_ORDER)), each.kind, each.path, each.id))


def _change(key: Key, old: Entity | None, new: Entity | None) -> Change:
    shown = new or old or Entity("unknown", ())
    change: ChangeKind = "added" if old is None else "removed" if new is None else "changed"
    before, after = old.values if old else {}, new.values if new else {}
    values = tuple(
        ValueChange(name, before.get(name), after.get(name))
        for name in dict.fromkeys([*before, *after])
        if before.get(name) != after.get(name)
    )
    return Change(change, shown.kind, key.id, shown.path, values)


def require_registry(flavour: str, what: str) -> None:
    """Raise `ConfigurationError` for what holds no Model Registry."""
    if flavour == "unknown":
        raise ConfigurationError(f"{what} is not of a Model Registry: there are no models to compare")
