"""What a Model Registry's database says of itself."""

from dataclasses import dataclass
from typing import Literal

from opskit.mysql.connection import Connection, execute

Flavour = Literal["mlmd", "embedmd", "unknown"]

# The tables of MLMD's schema version 10, the same in both flavours (ml-metadata and kubeflow/model-registry).
MLMD_TABLES = frozenset(
    {
        "Type",
        "ParentType",
        "TypeProperty",
        "Artifact",
        "ArtifactProperty",
        "Execution",
        "ExecutionProperty",
        "Context",
        "ContextProperty",
        "ParentContext",
        "Association",
        "Attribution",
        "Event",
        "EventPath",
        "MLMDEnv",
    }
)
MIGRATIONS_TABLE = "schema_migrations"
# The types of what every registry is there for; its server adds them when it first starts.
REGISTRY_TYPES = frozenset({"kf.RegisteredModel", "kf.ModelVersion", "kf.ModelArtifact"})


@dataclass(frozen=True, slots=True)
class RegistryFacts:
    """Flavour and versions: MLMD up to RHOAI 2.22, EmbedMD with `schema_migrations` from 2.23 on."""

    flavour: Flavour
    mlmd_versions: tuple[int, ...] = ()
    migration_version: int | None = None
    dirty: bool = False
    problems: tuple[str, ...] = ()


def read_facts(connection: Connection, tables: frozenset[str]) -> RegistryFacts:
    """Read flavour and versions from a database that holds `tables`.

    `problems` says what would stop the registry from starting: a dirty or half-done migration, missing tables,
    an MLMDEnv without exactly one row, types that are not there. An empty database is
    reported too: it was a registry's, or will be.
    """
    if not tables & (MLMD_TABLES | {MIGRATIONS_TABLE}):
        return RegistryFacts("unknown", problems=() if tables else ("there are no tables",))
    flavour: Flavour = "embedmd" if MIGRATIONS_TABLE in tables else "mlmd"
    problems = []
    versions: tuple[int, ...] = ()
    migration, dirty = None, False
    if missing := sorted(MLMD_TABLES - tables):
        problems.append(f"tables are missing: {', '.join(missing)}")
    if "MLMDEnv" in tables:
        versions = tuple(int(row[0]) for row in execute(connection, "SELECT schema_version FROM MLMDEnv"))
        if len(versions) != 1:
            problems.append(f"MLMDEnv has {len(versions)} rows instead of one")
    if "Type" in tables:
        types = {str(row[0]) for row in execute(connection, "SELECT name FROM Type")}
        if absent := sorted(REGISTRY_TYPES - types):
            problems.append(f"types are missing: {', '.join(absent)}")
    if flavour == "embedmd":
        rows = execute(connection, "SELECT version, dirty FROM schema_migrations")
        if len(rows) != 1:
            problems.append(f"schema_migrations has {len(rows)} rows instead of one")
        migration = int(rows[0][0]) if rows else None
        dirty = any(bool(row[1]) for row in rows)
        if dirty:
            problems.append(f"the schema is dirty: migration {migration} was not completed")
    return RegistryFacts(flavour, versions, migration, dirty, tuple(problems))
