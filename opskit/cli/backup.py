"""`opskit backup`: create, list, show, check and rehearse backups."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

import click

from opskit.backup.catalog import Backup, find, list_backups, newest_complete
from opskit.backup.check import CheckReport, check_all, check_backup, require_intact
from opskit.backup.copies import CopyReport, complete_copies
from opskit.backup.create import create_backup
from opskit.backup.encryption import read_identities
from opskit.backup.manifest import Manifest, backup_key
from opskit.cli.diff import diff
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Group
from opskit.cli.outcomes import for_each_registry
from opskit.cli.output import Table
from opskit.cli.parameters import DurationType
from opskit.cli.pointers import pointers_with_bytes
from opskit.cli.rehearse import rehearse
from opskit.cli.resource import keep_resource, resource
from opskit.cli.retention import hold, prune, release
from opskit.cli.text import human_age, human_seconds, human_size
from opskit.errors import UsageError
from opskit.mysql.snapshot_steps import LEVELS, Level
from opskit.settings import Registry
from opskit.wiring import (
    backup_options,
    configured_storage,
    database_endpoint,
    every_storage,
    with_signatures,
)

logger = logging.getLogger(__name__)


@click.group(cls=Group)
def backup() -> None:
    """Create, list and check backups."""


backup.add_command(diff)
backup.add_command(rehearse)
backup.add_command(prune)
backup.add_command(hold)
backup.add_command(release)
backup.add_command(resource)


@backup.command()
@click.option("--workers", type=click.IntRange(1, 64), help="Sessions that read side by side [backup.workers].")
@click.option("--consistency", type=click.Choice(LEVELS), default="instance", help="The strongest level to try.")
@click.option(
    "--lease-wait",
    type=DurationType(),
    default="0s",
    metavar="DURATION",
    help="Wait this long for another run to end.",
)
@click.option("--allow-non-transactional", is_flag=True, help="Save tables outside InnoDB, read under the lock.")
@click.option("--skip-routines", is_flag=True, help="Leave procedures and functions out.")
@click.option("--skip-recent", is_flag=True, help="Make none where the newest is younger than backup.min_interval.")
@pass_invocation
def create(
    invocation: Invocation,
    workers: int | None,
    consistency: Level,
    lease_wait: timedelta,
    allow_non_transactional: bool,
    skip_routines: bool,
    skip_recent: bool,
) -> None:
    """Save each registry's database; a backup exists once its manifest does, and is never half there."""
    settings = invocation.settings
    options = replace(
        backup_options(settings, workers=workers),
        consistency=consistency,
        lease_wait_seconds=lease_wait.total_seconds(),
        allow_non_transactional=allow_non_transactional,
        skip_routines=skip_routines,
    )
    first, *copies = every_storage(settings)
    storage = with_signatures(settings, first)

    def save(registry: Registry) -> Saved:
        with invocation.progress() as progress:
            recent = newest_complete(storage, registry.name) if skip_recent else None
            if recent and datetime.now(UTC) - recent.snapshot.time < settings.backup.min_interval:
                made, new = recent, False
            else:
                source, new = database_endpoint(registry), True
                made = create_backup(source, registry.mysql.database, storage, registry.name, options, progress)
            if settings.discover and new:
                keep_resource(storage, made, invocation.discovery)
            return Saved(
                made,
                new,
                [
                    complete_copies(
                        first, copy, registry.name, manifests=storage, workers=options.workers, progress=progress
                    )
                    for copy in copies
                ],
            )

    outcomes = for_each_registry(invocation, save)
    saved = [outcome.result for outcome in outcomes if outcome.result]
    for problem in [problem for each in saved for report in each.copies for problem in report.problems]:
        logger.error("not copied: %s", problem)
        invocation.found_problems()
    invocation.show(
        {
            "storage": storage.url,
            "backups": [
                outcome.result.document() if outcome.result else {"registry": outcome.registry, "error": outcome.error}
                for outcome in outcomes
            ],
        },
        *(_created(each, storage.url) for each in saved),
    )


@dataclass(frozen=True, slots=True)
class Saved:
    """The newest backup, whether it was made now, and what became of its copies."""

    manifest: Manifest
    new: bool
    copies: Sequence[CopyReport]

    def document(self) -> dict[str, object]:
        """Return what `create` says of it in JSON."""
        return summary(self.manifest) | {"new": self.new, "copies": self.copies}


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


def _created(saved: Saved, storage_url: str) -> str:
    manifest = saved.manifest
    lines = [
        f"backup {manifest.id} of {manifest.registry} is complete"
        + ("" if saved.new else ", and so recent that none was made now (backup.min_interval)"),
        f"  {manifest.rows:,} rows in {len(manifest.tables)} tables, {human_size(manifest.stored_bytes)} stored",
        f"  consistency {manifest.snapshot.consistency}",
        f"  {storage_url.rstrip('/')}/{backup_key(manifest.registry, manifest.id, '')}",
        *(f"  copied to {each.storage}: {', '.join(each.copied)}" for each in saved.copies if each.copied),
        *(f"  not copied to {each.storage}" for each in saved.copies if each.problems),
        *(f"  warning: {warning}" for warning in manifest.warnings),
    ]
    return "\n".join(lines)


@backup.command(name="list")
@pass_invocation
def list_(invocation: Invocation) -> None:
    """List backups, the oldest first; what is damaged or unfinished is marked."""
    storage = configured_storage(invocation.settings)
    now = datetime.now(UTC)
    found = [
        (registry.name, each) for registry in invocation.registries for each in list_backups(storage, registry.name)
    ]
    several = len(invocation.registries) > 1
    columns = ("BACKUP", *(["REGISTRY"] if several else []), "AGE", "ROWS", "STORED", "LEVEL", "REHEARSED", "STATE")
    invocation.show(
        {"storage": storage.url, "backups": [_listed(registry, each) for registry, each in found]},
        Table(
            columns,
            [(each.id, *([registry] if several else []), *_row(each, now)) for registry, each in found],
            right=("AGE", "ROWS", "STORED"),
        ),
        *(f"{each.id}: {problem}" for _, each in found for problem in _problems(each)),
        "" if found else f"no backups in {storage.url}",
    )


def _listed(registry: str, each: Backup) -> dict[str, object]:
    known = (
        summary(each.manifest) if each.manifest else {"id": each.id, "registry": registry, "bytes": each.stored_bytes}
    )
    return known | {"state": each.state, "rehearsal": each.rehearsal, "problems": list(each.problems)}


def _row(each: Backup, now: datetime) -> tuple[object, ...]:
    manifest = each.manifest
    taken = manifest.snapshot.time if manifest else each.modified
    return (
        human_seconds((now - taken).total_seconds()),
        f"{manifest.rows:,}" if manifest else "",
        human_size(each.stored_bytes),
        manifest.snapshot.consistency if manifest else "",
        each.rehearsal or "never",
        f"{each.state}, {unsound}" if (unsound := _unsound(each)) else each.state,
    )


def _unsound(each: Backup) -> str:
    """Say in a word what would keep the registry from starting on it."""
    database = each.manifest and each.manifest.database
    return "" if not database or not database.problems else "dirty" if database.dirty else "unsound"


def _problems(each: Backup) -> tuple[str, ...]:
    return each.problems + (each.manifest.database.problems if each.manifest else ())


@backup.command()
@click.argument("backup_reference", metavar="BACKUP", default="latest")
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


@backup.command()
@click.argument("backup_reference", metavar="BACKUP", required=False)
@click.option("--all", "every", is_flag=True, help="Check every backup of the registry.")
@pass_invocation
def check(invocation: Invocation, backup_reference: str | None, every: bool) -> None:
    """Read every object of a backup again, compare its size and SHA-256 with the manifest, and unpack it.

    Without BACKUP the newest one of each registry. What is encrypted is only unpacked with encryption.identity_file.
    """
    if every and backup_reference:
        raise UsageError("give a backup or --all, not both")
    if backup_reference not in (None, "latest") and len(invocation.registries) > 1:
        raise UsageError("a backup is of one registry", hint="choose it with --registry")
    storage = configured_storage(invocation.settings)
    identities = read_identities(invocation.settings.encryption.identity_file)

    def look(registry: Registry) -> list[CheckReport]:
        with invocation.progress() as progress:
            if every:
                return check_all(storage, registry.name, identities=identities, progress=progress)
            manifest = find(storage, registry.name, backup_reference or "latest")
            reports = [check_backup(storage, manifest, identities=identities, progress=progress)]
        require_intact(reports)
        return reports

    outcomes = for_each_registry(invocation, look)
    reports = [report for outcome in outcomes for report in outcome.result or ()]
    failed = [{"registry": each.registry, "error": each.error} for each in outcomes if each.error]
    invocation.show(
        {"storage": storage.url, "checked": [*reports, *failed]},
        *(
            f"backup {report.backup_id}: {report.files} files, {human_size(report.bytes)} read again, all as written"
            + ("" if report.looked_inside else "; encrypted, and not opened: no identity is configured")
            for report in reports
        ),
        "" if reports or failed else f"no backups in {storage.url}",
    )
