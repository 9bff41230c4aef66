"""What a restored database must be to serve as a registry."""

from collections.abc import Sequence

from opskit.backup.manifest import Manifest
from opskit.mysql.connection import Connection
from opskit.registry.facts import read_facts
from opskit.registry.integrity import count_dangling
from opskit.workers import Stop


def registry_problems(connections: Sequence[Connection], manifest: Manifest, stop: Stop) -> list[str]:
    """Return what is wrong with the restored database as a registry: its facts, and more dangling references.

    What the manifest itself tells (a backup of a dirty registry is taken, and marked) is a problem all the same: the
    registry would not start on it.
    """
    database = manifest.database
    tables = frozenset(table.name for table in manifest.tables)
    facts = read_facts(connections[0], tables)
    problems = list(facts.problems)
    if (facts.flavour, facts.mlmd_versions) != (database.flavour, database.mlmd_versions):
        problems.append(f"flavour {facts.flavour} {facts.mlmd_versions} is not that of the manifest")
    for name, count in count_dangling(connections, tables, stop).items():
        if count > database.dangling.get(name, 0):
            problems.append(
                f"{name}: {count} dangling references, the manifest counted {database.dangling.get(name, 0)}"
            )
    return problems
