"""`opskit backup list` and `show`: which backups there are, and what is in one."""

from datetime import UTC, datetime

import click

from opskit.amounts import human_age, human_seconds, human_size
from opskit.backup.catalog import Backup, find, list_backups
from opskit.backup.holds import Hold
from opskit.backup.manifest import Manifest
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Command
from opskit.cli.output import Table
from opskit.cli.pointers import pointers_with_bytes
from opskit.wiring import configured_storage


def summary(manifest: Manifest) -> dict[str, object]:
    """Return what `create` and `list` say of a backup in JSON."""
    return {
        "id": manifest.id,
        "registry": manifest.registry,
        "time": manifest.snapshot.time,
        "consistency": manifest.snapshot.consistency,
        "consistency_wanted": manifest.snapshot.consistency_wanted,
        "tables": len(manifest.tables),
        "rows": manifest.rows,
        "bytes": manifest.stored_bytes,
        "registry_problems": list(manifest.database.problems),
        "warnings": list(manifest.warnings),
    }


@click.command(cls=Command, name="list")
@pass_invocation
def list_(invocation: Invocation) -> None:
    """List backups, the oldest first; what is damaged, unfinished or on hold is marked."""
    storage = configured_storage(invocation.settings)
    now = datetime.now(UTC)
    found = [
        (registry.name, each) for registry in invocation.registries for each in list_backups(storage, registry.name)
    ]
    several = len(invocation.registries) > 1
    columns = ("BACKUP", *(["REGISTRY"] if several else []), "AGE", "ROWS", "STORED", "LEVEL", "REHEARSED", "STATE")
    invocation.show(
        {"storage": storage.url, "backups": [_listed(registry, each, now) for registry, each in found]},
        Table(
            columns,
            [(each.id, *([registry] if several else []), *_row(each, now)) for registry, each in found],
            right=("AGE", "ROWS", "STORED"),
        ),
        *(f"{each.id}: {remark}" for _, each in found for remark in _remarks(each, now)),
        "" if found else f"no backups in {storage.url}",
    )


def _listed(registry: str, each: Backup, now: datetime) -> dict[str, object]:
    known = (
        summary(each.manifest) if each.manifest else {"id": each.id, "registry": registry, "bytes": each.stored_bytes}
    )
    return known | {
        "state": each.state,
        "rehearsal": each.rehearsal,
        "holds": _holds(each, now),
        "problems": list(each.problems),
    }


def _holds(each: Backup, now: datetime) -> list[Hold]:
    """Return the holds in force, as far as this machine's clock tells: the store's would have to be asked for."""
    return [hold for hold in each.holds if not hold.has_ended(now)]


def _row(each: Backup, now: datetime) -> tuple[object, ...]:
    manifest = each.manifest
    taken = manifest.snapshot.time if manifest else each.modified
    return (
        human_seconds((now - taken).total_seconds()),
        f"{manifest.rows:,}" if manifest else "",
        human_size(manifest.stored_bytes if manifest else each.stored_bytes),
        manifest.snapshot.consistency if manifest else "",
        each.rehearsal or "never",
        ", ".join(word for word in (each.state, _unsound(each), "held" if _holds(each, now) else "") if word),
    )


def _unsound(each: Backup) -> str:
    """Say in a word what would keep the registry from starting on it."""
    database = each.manifest and each.manifest.database
    return "" if not database or not database.problems else "dirty" if database.dirty else "unsound"


def _remarks(each: Backup, now: datetime) -> list[str]:
    unsound = each.manifest.database.problems if each.manifest else ()
    return [*each.problems, *unsound, *map(str, _holds(each, now))]


@click.command(cls=Command)
@click.argument("backup_reference", metavar="[BACKUP]", default="latest")
@pass_invocation
def show(invocation: Invocation, backup_reference: str) -> None:
    """Show what a backup holds; BACKUP is an id, a prefix of one, or latest."""
    storage = configured_storage(invocation.settings)
    manifest = find(storage, invocation.registry.name, backup_reference)
    database, snapshot = manifest.database, manifest.snapshot
    position = snapshot.gtid or (f"{snapshot.binlog_file}:{snapshot.binlog_position}" if snapshot.binlog_file else "")
    invocation.show(
        manifest.model_dump(mode="json"),
        f"backup       {manifest.id} of {manifest.registry}, written by opskit {manifest.opskit_version}",
        f"taken        {snapshot.time:%Y-%m-%d %H:%M:%S} UTC, {human_age(snapshot.time, datetime.now(UTC))}",
        f"consistency  {snapshot.consistency}"
        + ("" if snapshot.consistency == snapshot.consistency_wanted else f", not {snapshot.consistency_wanted}"),
        f"database     {database.name} on {database.product} {database.server_version}, {database.collation}",
        f"registry     {_flavour(manifest)}",
        f"position     {position or 'not known'}{' (approximate)' if snapshot.position_approximate else ''}",
        f"stored       {human_size(manifest.stored_bytes)} in {len(manifest.files)} files",
        f"artifacts    {pointers_with_bytes(manifest.artifacts)}",
        f"encrypted    {f'to {recipients}' if (recipients := ', '.join(manifest.recipients)) else 'no'}",
        "",
        Table(
            ("TABLE", "ROWS", "CHUNKS", "DIGEST"),
            [(table.name, f"{table.rows:,}", len(table.chunks), table.digest) for table in manifest.tables],
            right=("ROWS", "CHUNKS"),
        ),
        *(f"{program.kind} {program.name}, {program.definer}" for program in manifest.programs),
        *(f"warning: {warning}" for warning in manifest.warnings),
    )


def _flavour(manifest: Manifest) -> str:
    database = manifest.database
    if database.flavour == "unknown":
        return "the tables are not those of a Model Registry"
    name = {"mlmd": "MLMD (RHOAI up to 2.22)", "embedmd": "EmbedMD (RHOAI from 2.23)"}[database.flavour]
    versions = f"MLMD schema {', '.join(map(str, database.mlmd_versions)) or 'without a version'}"
    migration = f", migration {database.migration_version}" if database.migration_version is not None else ""
    return f"{name}, {versions}{migration}{', DIRTY' if database.dirty else ''}"
