"""`opskit cluster`: install opskit's CronJobs, run one now, see how they stand."""

import logging
from datetime import UTC, datetime

import click

from opskit.amounts import human_age
from opskit.cli.invocation import Invocation, pass_invocation
from opskit.cli.options import Group
from opskit.cli.output import Table, write
from opskit.cli.text import one_line
from opskit.cluster import install as installation
from opskit.cluster import run as running
from opskit.cluster import status as standing
from opskit.cluster.objects import Values
from opskit.errors import UsageError
from opskit.jobs import JOBS
from opskit.kubernetes_api import KubernetesApi, connect
from opskit.registry.platform import registries_namespace

logger = logging.getLogger(__name__)
NAMESPACE = "rhoai-model-registries"

_namespace = click.option(
    "-n",
    "--namespace",
    metavar="NAME",
    help=f"Namespace of the registries [the one that the platform names, else {NAMESPACE}].",
)
_context = click.option("--context", metavar="NAME", help="Context of the kubeconfig [the current one].")


def _reach(context: str | None, namespace: str | None) -> tuple[KubernetesApi, str]:
    api = connect(context)
    return api, namespace or registries_namespace(api) or NAMESPACE


@click.group(cls=Group)
def cluster() -> None:
    """Install opskit in a cluster, run its jobs by hand, see how they stand."""


@cluster.command()
@click.option("--image", required=True, metavar="IMAGE", help="opskit's image, with a tag or a digest.")
@click.option("--endpoint-url", metavar="URL", help="S3 endpoint, where it is not Amazon's [storage.endpoint_url].")
@click.option(
    "--restore-user", metavar="USER", help="Database user that restores; its password: Secret opskit-restore."
)
@click.option("--runbooks", metavar="URL", help="Where the folder runbooks/ can be read: alerts link to it.")
@click.option("--dry-run", is_flag=True, help="Only let the server say what it would do; this is the default.")
@click.option("--apply", is_flag=True, help="Carry it out.")
@_namespace
@_context
@pass_invocation
def install(
    invocation: Invocation,
    *,
    image: str,
    endpoint_url: str | None,
    restore_user: str | None,
    runbooks: str | None,
    dry_run: bool,
    apply: bool,
    namespace: str | None,
    context: str | None,
) -> None:
    """Apply every job as a CronJob, for all registries of the namespace; backups go to --storage-url.

    Fields that somebody else has set are a conflict, and objects that Argo CD owns are refused.
    """
    if dry_run and apply:
        raise UsageError("give --dry-run or --apply, not both")
    if not invocation.storage_url:
        raise UsageError("say where backups go", hint="--storage-url s3://bucket/prefix")
    if "@" not in image and ":" not in image.rpartition("/")[2]:
        raise UsageError(f"the image {image} has no tag", hint="a tag or a digest: what runs must be known")
    api, namespace = _reach(context, namespace)
    registries = installation.referred(api, namespace)
    values = Values(
        namespace=namespace,
        image=image,
        storage={"url": invocation.storage_url} | ({"endpoint_url": endpoint_url} if endpoint_url else {}),
        secrets=registries.secrets,
        config_maps=registries.config_maps,
        registries=registries.registries,
        runbooks=runbooks,
        restore_user=restore_user,
    )
    applied = installation.install(api, values, dry_run=not apply)
    needed = [*registries.secrets, "opskit-storage", *(["opskit-restore"] if restore_user else [])]
    absent = installation.absent_secrets(api, namespace, needed)
    invocation.show(
        {"applied": apply, "namespace": namespace, "registries": registries, "objects": applied, "absent": absent},
        f"registries in {namespace}: {', '.join(registries.registries) or 'none yet'}",
        Table(("KIND", "NAME", "OUTCOME"), [(each.kind, each.name, each.outcome) for each in applied]),
        *(f"absent: Secret {name}" for name in absent),
        "a first backup: opskit cluster run backup" if apply else "nothing was changed; to carry it out: --apply",
    )


@cluster.command()
@click.argument("job", type=click.Choice([each.name for each in JOBS]))
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="[-- ARGUMENTS]")
@click.option("--backup", "backup_id", metavar="BACKUP", help="What to restore: an id, a prefix of one, or latest.")
@click.option("--no-follow", is_flag=True, help="Start it, and do not wait.")
@_namespace
@_context
@pass_invocation
def run(
    invocation: Invocation,
    job: str,
    arguments: tuple[str, ...],
    *,
    backup_id: str | None,
    no_follow: bool,
    namespace: str | None,
    context: str | None,
) -> None:
    """Make a Job from the CronJob of JOB, show its log, and exit with its code.

    ARGUMENTS are added to the job's own: `opskit cluster run restore --backup ID -- --swap --yes`.
    """
    if (job == "restore") != (backup_id is not None):
        raise UsageError("restore, and no other job, wants --backup BACKUP")
    api, namespace = _reach(context, namespace)
    made = running.start(api, namespace, job, [*([backup_id] if backup_id else []), *arguments])
    name = made["metadata"]["name"]
    logger.info("Job %s in %s; it goes on when this command is interrupted", name, namespace)
    code = None
    if not no_follow:
        # With --json standard output belongs to the document.
        line = logger.info if invocation.json else write
        code = running.follow(api, made, lambda text: line(one_line(text)), logger.warning)
        invocation.codes.append(code)
    invocation.show(
        {"job": name, "namespace": namespace, "exit_code": code},
        f"Job {name} " + ("was started" if code is None else f"ended with {code}"),
    )


@cluster.command()
@_namespace
@_context
@pass_invocation
def status(invocation: Invocation, namespace: str | None, context: str | None) -> None:
    """Show the last run, the last success and the next run of every job; exit 1 where one needs a look."""
    now = datetime.now(UTC)
    api, namespace = _reach(context, namespace)
    found = standing.status(api, namespace, now)

    def moment(then: datetime | None) -> str:
        return human_age(then, now) if then else "never"

    if any(each.problem for each in found.cronjobs):
        invocation.found_problems()
    invocation.show(
        {"namespace": namespace, "cronjobs": found.cronjobs, "absent_secrets": found.absent_secrets},
        Table(
            ("JOB", "SCHEDULE", "LAST RUN", "LAST SUCCESS", "NEXT RUN", "ACTIVE", "STATE"),
            [
                (
                    each.job,
                    each.schedule or "by hand",
                    moment(each.last_schedule),
                    moment(each.last_success),
                    human_age(each.next_run, now) if each.next_run else "",
                    each.active,
                    each.problem or "ok",
                )
                for each in found.cronjobs
            ],
            right=("ACTIVE",),
        ),
        *(f"absent: Secret {name}" for name in found.absent_secrets),
    )


@cluster.command()
@click.option("--apply", is_flag=True, help="Delete them.")
@_namespace
@_context
@pass_invocation
def uninstall(invocation: Invocation, *, apply: bool, namespace: str | None, context: str | None) -> None:
    """List what `cluster install` has made, and delete it with --apply; backups and Secrets stay."""
    api, namespace = _reach(context, namespace)
    found = installation.uninstall(api, namespace, dry_run=not apply)
    invocation.show(
        {"deleted": apply, "namespace": namespace, "objects": found},
        *found,
        ("deleted; backups are where they were" if apply else "nothing was changed; to delete them: --apply")
        if found
        else f"nothing of opskit is in {namespace}",
    )
