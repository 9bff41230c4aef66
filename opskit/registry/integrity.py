"""References that no foreign key enforces: the registry's schema has none, so rows can point nowhere."""

from dataclasses import dataclass

from opskit.mysql.connection import Connection, quote, scalar


@dataclass(frozen=True, slots=True)
class Reference:
    """A column whose values are ids of another table."""

    table: str
    column: str
    parent: str

    @property
    def name(self) -> str:
        """How the reference is called in manifests and reports."""
        return f"{self.table}.{self.column}"


# As ml-metadata's schema version 10 means them (metadata_source_query_config.cc).
REFERENCES = (
    Reference("ArtifactProperty", "artifact_id", "Artifact"),
    Reference("ContextProperty", "context_id", "Context"),
    Reference("ExecutionProperty", "execution_id", "Execution"),
    Reference("Attribution", "context_id", "Context"),
    Reference("Attribution", "artifact_id", "Artifact"),
    Reference("Association", "context_id", "Context"),
    Reference("Association", "execution_id", "Execution"),
    Reference("ParentContext", "context_id", "Context"),
    Reference("ParentContext", "parent_context_id", "Context"),
    Reference("Artifact", "type_id", "Type"),
    Reference("Context", "type_id", "Type"),
    Reference("Execution", "type_id", "Type"),
    Reference("TypeProperty", "type_id", "Type"),
    Reference("Event", "artifact_id", "Artifact"),
    Reference("Event", "execution_id", "Execution"),
    Reference("EventPath", "event_id", "Event"),
)


def count_dangling(connection: Connection, tables: frozenset[str]) -> dict[str, int]:
    """Return reference → ids that are missing in the parent table, for the references that have any.

    Distinct ids are counted, not rows: an index gives them without reading the rows.
    """
    counted = {}
    for reference in REFERENCES:
        if reference.table in tables and reference.parent in tables:
            ids = f"SELECT DISTINCT {quote(reference.column)} AS id FROM {quote(reference.table)}"
            missing = scalar(
                connection,
                f"SELECT COUNT(*) FROM ({ids}) c"
                f" LEFT JOIN {quote(reference.parent)} p ON p.id = c.id WHERE p.id IS NULL AND c.id IS NOT NULL",
            )
            if missing:
                counted[reference.name] = int(missing)
    return counted
