"""`opskit artifacts`: look for the bytes that a registry points to."""

import logging
import os
from collections.abc import Iterable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import click

from opskit.artifacts.report import Record, Summary, unused_time
from opskit.artifacts.search import Options
from opskit.artifacts.shards import Shard, parse_shard, verify_shard
from opskit.artifacts.shards import merge as merge_run
from opskit.artifacts.verify import verify as verify_artifacts
from opskit.cli.artifact_files import record_files
from opskit.cli.artifact_source import inventory_from
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Group
from opskit.cli.orphans import orphans
from opskit.cli.outcomes import Outcome, for_each_registry
from opskit.cli.output import Table
from opskit.errors import ConfigurationError, UnavailableError, UsageError
from opskit.registry.inventory import Pointer
from opskit.settings import Registry
from opskit.wiring import artifact_places, configured_storage

logger = logging.getLogger(__name__)


class ShardType(click.ParamType[Shard]):
    """Part I of N."""

    name = "shard"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> Shard:
        """Return the shard; anything else is a usage error."""
        try:
            return value if isinstance(value, Shard) else parse_shard(str(value))
        except ValueError as error:
            self.fail(str(error), param, ctx)


@click.group(cls=Group)
def artifacts() -> None:
    """Look for the bytes that a registry points to."""


artifacts.add_command(orphans)


@artifacts.command()
@click.option("--backup", "backup_reference", metavar="BACKUP", help="What a backup points to; no MySQL is needed.")
@click.option("--live-only", is_flag=True, help="Leave archived models and versions out.")
@click.option("--layout", is_flag=True, help="Also judge whether what is there can be served.")
@click.option(
    "--deep", is_flag=True, help="Ask for each object (a folder's first): versions, and tiers that no listing tells."
)
@click.option("--workers", type=click.IntRange(1, 64), help="Requests side by side [artifacts.workers].")
@click.option(
    "--jsonl", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Every artifact as JSON."
)
@click.option(
    "--csv", "csv_file", type=click.Path(dir_okay=False, path_type=Path), metavar="FILE", help="Every artifact as CSV."
)
@click.option("--exit-zero-on-findings", is_flag=True, help="Exit with 0 whatever is found, if everything was asked.")
@click.option(
    "--shard", type=ShardType(), metavar="I/N", help="Only part I of N; [artifacts.shards] in an Indexed Job."
)
@click.option("--run-id", envvar="OPSKIT_JOB_NAME", metavar="ID", help="What all shards share [OPSKIT_JOB_NAME].")
@pass_invocation
def verify(
    invocation: Invocation,
    *,
    backup_reference: str | None,
    live_only: bool,
    layout: bool,
    deep: bool,
    workers: int | None,
    jsonl: Path | None,
    csv_file: Path | None,
    exit_zero_on_findings: bool,
    shard: Shard | None,
    run_id: str | None,
) -> None:
    """Look for the bytes of every registered artifact, name what is not there, and store the report.

    Only stores, hosts and mounts of the configuration are asked (docs/artifacts.md).
    """
    settings = invocation.settings
    storage = configured_storage(settings)
    options = Options(layout=layout, deep=deep, workers=workers or settings.artifacts.workers)
    if not (settings.artifacts.stores or settings.artifacts.hosts or settings.artifacts.mounts):
        logger.warning("artifacts.stores, .hosts and .mounts are empty: no artifact can be looked for")
    shard = shard or _shard_of_job(settings.artifacts.shards)
    if shard is not None:
        if not run_id or jsonl or csv_file:
            raise UsageError("--shard needs --run-id, and goes without --jsonl and --csv: no shard has every artifact")
        _verify_shard(invocation, shard, run_id, backup_reference, options, live_only=live_only)
        return

    with record_files(jsonl, csv_file) as tellers:

        def look(registry: Registry) -> Summary:
            with invocation.progress() as progress:
                source, pointers = inventory_from(invocation, registry, backup_reference)
                return verify_artifacts(
                    pointers,
                    artifact_places(settings),
                    storage,
                    Summary(registry.name, unused_time(storage, registry.name), source, layout, live_only),
                    options,
                    listeners=[partial(tell, registry.name) for tell in tellers],
                    progress=progress,
                )

        outcomes = for_each_registry(invocation, look)
    show(invocation, outcomes, exit_zero=exit_zero_on_findings)


def _shard_of_job(count: int) -> Shard | None:
    """Return the part that Kubernetes gave to this pod of an Indexed Job."""
    index = os.environ.get("JOB_COMPLETION_INDEX")
    if count == 1 or index is None:
        return None
    try:
        return parse_shard(f"{index}/{count}")
    except ValueError as error:
        raise ConfigurationError(f"artifacts.shards is {count}, and JOB_COMPLETION_INDEX {index!r}: {error}") from error


def _verify_shard(
    invocation: Invocation,
    shard: Shard,
    run_id: str,
    backup_reference: str | None,
    options: Options,
    *,
    live_only: bool,
) -> None:
    storage = configured_storage(invocation.settings)

    def look(registry: Registry) -> Summary | None:
        now = unused_time(storage, registry.name)
        summary = Summary(registry.name, now, "", options.layout, live_only, run_id=run_id)

        def pointers() -> Iterable[Pointer]:
            summary.source, found = inventory_from(invocation, registry, backup_reference)
            return found

        with invocation.progress() as progress:
            places = artifact_places(invocation.settings)
            return verify_shard(pointers, places, storage, summary, shard, options, progress=progress)

    outcomes = for_each_registry(invocation, look)
    merged = [outcome.result for outcome in outcomes if outcome.result]
    invocation.show(
        {"run_id": run_id, "shard": shard, "registries": [_document(outcome) for outcome in outcomes]},
        f"shard {shard.index} of {shard.count} of run {run_id} is stored",
        *(text for summary in merged for text in _told(summary)),
    )


@artifacts.command()
@click.argument("run_id", metavar="RUN")
@click.option("--exit-zero-on-findings", is_flag=True, help="Exit with 0 whatever was found.")
@pass_invocation
def merge(invocation: Invocation, run_id: str, *, exit_zero_on_findings: bool) -> None:
    """Put the parts of a sharded run together; the last shard does it by itself, and doing it again is harmless."""
    storage = configured_storage(invocation.settings)
    outcomes = for_each_registry(invocation, lambda registry: merge_run(storage, registry.name, run_id))
    show(invocation, outcomes, exit_zero=exit_zero_on_findings)


def show(invocation: Invocation, outcomes: Sequence[Outcome[Summary]], *, exit_zero: bool = False) -> None:
    """Show what was found of each registry, and choose the exit code: findings first, then what nobody knows."""
    done = [outcome.result for outcome in outcomes if outcome.result]
    invocation.show(
        {"registries": [_document(each) for each in outcomes]}, *(text for summary in done for text in _told(summary))
    )
    for summary in done:
        if summary.found_problems and not exit_zero:
            invocation.found_problems()
        elif summary.unknown > invocation.settings.artifacts.max_unknown:
            invocation.codes.append(UnavailableError.exit_code)


def _document(outcome: Outcome[Any]) -> object:
    return outcome.result or {"registry": outcome.registry, "error": outcome.error}


def _told(summary: Summary) -> list[str | Table]:
    rows = [_row(record) for record in summary.findings]
    counts = ", ".join(f"{count:,} {verdict}" for verdict, count in summary.verdicts.items() if count)
    since = f" since the report of {summary.compared_with}" if summary.compared_with else ""
    changes = f"{summary.newly_missing:,} newly missing, {summary.recovered:,} recovered{since}"
    layout = (
        f"; layout: {summary.layout_failures:,} cannot be served, {summary.layout_warnings:,} warnings"
        if summary.layout
        else ""
    )
    more = f"… and {summary.findings_left_out:,} more: --jsonl or --csv has them all"
    return [
        *([Table(("MODEL", "VERSION", "URI", "VERDICT", "SINCE", "WHY"), rows)] if rows else []),
        *([more] if summary.findings_left_out else []),
        f"{summary.registry}: {summary.artifacts:,} artifacts ({summary.archived:,} archived): {counts or 'none'}",
        f"  {changes}, {summary.changed:,} replaced{layout}",
    ]


def _row(record: Record) -> tuple[str, ...]:
    verdicts = [record["verdict"]] if record["verdict"] != "present" else []
    verdicts += ["changed"] * record["changed"] + ["layout"] * bool(record["failures"])
    verdicts = verdicts or ["warning"]
    reasons = [record["detail"], *record["failures"], *record["warnings"]]
    if record["changed"]:
        reasons.append("the bytes are not those that were registered")
    return (
        f"{record['model']}{' (archived)' if record['archived'] else ''}",
        record["version"],
        record["uri"].partition("?")[0]
        or ":".join(part for part in (record["storage_key"], record["storage_path"]) if part)
        or "(none)",
        ", ".join(verdicts),
        record["since"][:10],
        "; ".join(reason for reason in reasons if reason),
    )
