"""What a diff says of an entity, whatever stands in the rows."""

from collections.abc import Iterator, Sequence

import pytest

from opskit.errors import CorruptError
from opskit.registry.contents import Key, Rows, describe, fingerprints

ARTIFACT = {"id": b"1", "type_id": b"1", "name": b"1:weights", "uri": b"s3://models/a", "state": b"2"}


def rows(**artifact: bytes) -> Rows:
    """A registry of one artifact."""
    tables = {"Artifact": [ARTIFACT | artifact], "Type": [{"id": b"1", "name": b"kf.ModelArtifact"}]}

    def read(table: str, columns: Sequence[str]) -> Iterator[tuple[bytes | None, ...]]:
        for row in tables.get(table, []):
            yield tuple(row.get(column) for column in columns)

    return read


@pytest.mark.parametrize(
    ("number", "shown"), [(b"0", "UNKNOWN"), (b"2", "LIVE"), (b"6", "REFERENCE"), (b"7", "7"), (b"-1", "-1")]
)
def test_state_is_shown_by_its_name_or_else_by_its_number(number: bytes, shown: str) -> None:
    key = Key("Artifact", 1)
    assert describe(rows(state=number), {key})[key].values["state"] == shown


@pytest.mark.parametrize("column", ["id", "state"])
@pytest.mark.parametrize("value", [b"one", b"1.5", b"9" * 5000])
def test_text_where_a_number_belongs_is_damage(column: str, value: bytes) -> None:
    with pytest.raises(CorruptError, match="number"):
        describe(rows(**{column: value}), fingerprints(rows()))
