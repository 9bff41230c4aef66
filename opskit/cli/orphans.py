"""`opskit artifacts orphans`: what lies in a bucket and nobody has registered."""

from itertools import chain

import click

from opskit.amounts import human_size
from opskit.artifacts.orphans import find_orphans
from opskit.artifacts.stores import NotAllowed
from opskit.artifacts.uri import S3Location, parse
from opskit.cli.artifact_source import inventory_from
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Command
from opskit.cli.output import Table
from opskit.errors import ConfigurationError, UsageError
from opskit.wiring import artifact_places


@click.command(cls=Command)
@click.option("--prefix", required=True, metavar="URI", help="Where to look: s3://bucket/models/, say.")
@click.option("--backup", "backup_reference", metavar="BACKUP", help="What is registered, as a backup says it.")
@pass_invocation
def orphans(invocation: Invocation, prefix: str, backup_reference: str | None) -> None:
    """List the folders of a bucket to which no artifact of any registry points; nothing is changed."""
    path, mark, query = prefix.partition("?")
    location = parse(f"{path.rstrip('/')}/{mark}{query}")
    if not isinstance(location, S3Location):
        raise UsageError(f"--prefix {prefix}: not of the form s3://bucket/folder/")
    stores = artifact_places(invocation.settings).stores
    bucket = stores.find(location)
    if isinstance(bucket, NotAllowed):
        raise ConfigurationError(f"--prefix {prefix}: {bucket.reason}", hint="add the store to artifacts.stores")
    inventories = [inventory_from(invocation, registry, backup_reference)[1] for registry in invocation.registries]
    found = list(find_orphans(chain.from_iterable(inventories), stores, bucket, location.folder))
    size = sum(each.bytes for each in found)
    invocation.show(
        {"prefix": prefix, "orphans": found, "bytes": size},
        Table(
            ("FOLDER", "OBJECTS", "SIZE", "NEWEST"),
            [
                (f"s3://{bucket.name}/{each.path}", f"{each.objects:,}", human_size(each.bytes), each.modified[:10])
                for each in found
            ],
            right=("OBJECTS", "SIZE"),
        ),
        f"{len(found):,} folders and objects, {human_size(size)}, to which nothing points",
    )
