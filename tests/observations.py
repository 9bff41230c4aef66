"""Registries as `opskit serve` may see them: a month of one that is well, of one that is not, and of a hostile one.

The first two are the pictures in docs/: what they say must fit together.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from opskit.backup.catalog import Backup
from opskit.backup.manifest import File, Manifest, Snapshot, TableEntry
from opskit.probe.evidence import ArtifactReport, Rehearsal
from opskit.probe.result import LAYERS, CheckResult, Finding, State
from opskit.serve.observation import Observation, RegistryObservation
from opskit.serve.runs import Run
from opskit.serve.schedule import planned_jobs
from opskit.settings.serve import Serve

NOW = datetime(2026, 11, 25, 9, 30, tzinfo=UTC)
HOSTILE_NAME = "<script>alert(1)</script>"
LONG_NAME = "a-registry-with-a-name-that-is-as-long-as-kubernetes-allows-it-1"
DAY = timedelta(days=1)
ZONE = ZoneInfo("Etc/UTC")
PLANNED = planned_jobs(Serve())
# How long each layer takes where all is well.
SECONDS = {
    "mysql": 0.011,
    "rest": 0.034,
    "grpc": 0.004,
    "proxy": 0.058,
    "operator": 0.041,
    "storage": 0.023,
    "backup": 0.087,
    "rehearsal": 0.064,
    "artifacts": 0.052,
}


def backup_at(moment: datetime, rows: int, *, state: str = "complete", rehearsal: str | None = None) -> Backup:
    """A backup as the catalog lists it; only what is shown of its manifest is there."""
    backup_id = f"{moment:%Y%m%dT%H%M%SZ}-3f9a1c"
    manifest = Manifest.model_construct(
        id=backup_id,
        registry="distance-prediction",
        finished=moment + timedelta(seconds=41),
        snapshot=Snapshot.model_construct(time=moment),
        tables=(TableEntry.model_construct(rows=rows),),
        files=(File.model_construct(name="x", bytes=900_000 + rows * 17),),
    )
    if state == "unfinished":
        return Backup(backup_id, None, (), 10, moment, None)
    problems = ("model_registry.Artifact.00001.sql.zst is missing",) if state == "damaged" else ()
    return Backup(backup_id, manifest, problems, rows * 37, moment, rehearsal)


def daily_backups(
    days: range, *, missing: frozenset[int] = frozenset(), rehearsals: tuple[Rehearsal, ...] = ()
) -> tuple[Backup, ...]:
    """One backup on each of so many days ago, the newest first, at 02:17, with what these rehearsals said of it."""
    nights = NOW.replace(hour=2, minute=17)
    verdicts = {each.backup_id: each.verdict for each in rehearsals}
    return tuple(
        backup_at(
            moment := nights - age * DAY,
            48_000 - age * 900 + (age % 7) * 120,
            rehearsal=verdicts.get(f"{moment:%Y%m%dT%H%M%SZ}-3f9a1c"),
        )
        for age in days
        if age not in missing
    )


def checks(registry: str = "distance-prediction", **findings: Finding) -> tuple[CheckResult, ...]:
    """One result a layer: these findings, else that all is well."""
    return tuple(
        CheckResult(
            registry,
            layer,
            (finding := findings.get(layer, Finding(State.OK, f"{layer} is well")),),
            5.0 if finding.detail == "no answer within 5 s" else SECONDS[layer],
        )
        for layer in LAYERS
    )


def rehearsed(age: int, verdict: str = "passed", *, of: int | None = None) -> Rehearsal:
    """A rehearsal so many days ago, of the backup of that night unless told."""
    moment = NOW.replace(hour=4, minute=43) - age * DAY
    night = NOW - (age if of is None else of) * DAY
    problems = ("table Artifact: 41,000 rows instead of 41,007",) if verdict == "failed" else ()
    return Rehearsal(f"{night:%Y%m%d}T021700Z-3f9a1c", moment, verdict, 95.0, problems, 41_007)


def report_at(age: int, missing: int = 0) -> ArtifactReport:
    begun = NOW.replace(hour=5, minute=24) - age * DAY
    return ArtifactReport(begun, {"present": 1204 - missing, "missing": missing}, seconds=31.0)


def healthy() -> Observation:
    rehearsals = tuple(rehearsed(age) for age in (3, 10, 17, 24))
    results = checks(
        mysql=Finding(
            State.OK,
            "MySQL 8.4.6, TLSv1.3, SELECT 1 in 0.3 ms; writable; 14 of 151 connections used; EmbedMD (RHOAI from 2.23),"
            " MLMD schema 10, migration 21",
            values={
                "schema_dirty": 0,
                "mysql_query_seconds": 0.0003,
                "mysql_read_only": 0,
                "mysql_connections": 14,
                "mysql_connections_limit": 151,
                "mysql_replication_lag_seconds": 0,
            },
        ),
        rest=Finding(State.OK, "ready and healthy; RHOAI from 2.24 on, v1alpha3: models can be read"),
        grpc=Finding(State.NOT_APPLICABLE, "the registry is EmbedMD: from RHOAI 2.23 on there is no gRPC"),
        proxy=Finding(
            State.OK,
            "the certificate is valid for 212 days; kube-rbac-proxy refuses strangers (401)",
            values={"certificate_expiry_timestamp_seconds": (NOW + 212 * DAY).timestamp()},
        ),
        operator=Finding(State.OK, "Available is True; Degraded is False; 0 restarts", values={"pod_restarts": 0}),
        storage=Finding(State.OK, "s3://registry-backups/opskit lists in 21 ms"),
        backup=Finding(
            State.OK,
            "backup 20261125T021700Z-3f9a1c, 7 h ago: 48,000 rows in 1.6 MiB",
            values={"backup_timestamp_seconds": NOW.timestamp(), "backup_rows": 48000, "backup_bytes": 1716000},
        ),
        rehearsal=Finding(
            State.OK,
            "rehearsal of 20261122T021700Z-3f9a1c, 3 d ago, passed",
            values={"rehearsal_timestamp_seconds": NOW.timestamp(), "rehearsal_passed": 1},
        ),
        artifacts=Finding(
            State.OK, "1204 artifacts looked at 4 h ago", values={"artifacts_timestamp_seconds": NOW.timestamp()}
        ),
    )
    return Observation(
        NOW,
        "s3://registry-backups/opskit",
        (
            RegistryObservation(
                "distance-prediction",
                results,
                daily_backups(range(40), rehearsals=rehearsals),
                rehearsals,
                tuple(report_at(age) for age in range(30)),
                well={"probe": NOW, "freshness": NOW},
            ),
        ),
        tuple(
            Run(job, NOW - age * DAY, NOW - age * DAY + timedelta(seconds=2), "success", 0)
            for age in range(12, -1, -1)
            for job in ("probe", "freshness", "prune")
        ),
    )


def broken() -> Observation:
    rehearsals = (rehearsed(3, "failed", of=4), rehearsed(10, of=11), rehearsed(17))
    results = checks(
        mysql=Finding(State.CRITICAL, "no answer within 5 s"),
        rest=Finding(
            State.CRITICAL,
            "not ready (503: Datastore service is down or unavailable. Please check that the database is reachable)",
            "the registry has lost its database",
        ),
        grpc=Finding(State.NOT_APPLICABLE, "not configured"),
        proxy=Finding(
            State.WARNING, "the certificate is valid for 9 days", "renew it before it expires", "certificate-expiring"
        ),
        operator=Finding(State.UNKNOWN, "the custom resource may not be read (403)", "bind the ClusterRole"),
        storage=Finding(State.OK, "s3://registry-backups/opskit lists in 21 ms"),
        backup=Finding(
            State.CRITICAL,
            "backup 20261123T021700Z-3f9a1c is damaged: model_registry.Artifact.00001.sql.zst is missing;"
            " backup 20261121T021700Z-3f9a1c, 4 d ago: 44,880 rows in 1.6 MiB",
            "the promise is probe.backup_max_age: take one with opskit backup create, and look why the job did not",
        ),
        rehearsal=Finding(
            State.CRITICAL,
            "rehearsal of 20261121T021700Z-3f9a1c, 3 d ago, failed: table Artifact: 41,000 rows instead of 41,007",
            "opskit backup rehearse latest",
            "rehearsal-failing",
        ),
        artifacts=Finding(State.CRITICAL, "of 1204 artifacts, 3 missing", "models cannot be deployed"),
    )
    return Observation(
        NOW,
        "s3://registry-backups/opskit",
        (
            RegistryObservation(
                "distance-prediction",
                results,
                (
                    backup_at(NOW - DAY, 0, state="unfinished"),
                    backup_at(NOW.replace(hour=2, minute=17) - 2 * DAY, 46_000, state="damaged"),
                    *daily_backups(range(4, 35), missing=frozenset({9, 10}), rehearsals=rehearsals),
                ),
                rehearsals,
                (report_at(0, missing=3), *(report_at(age) for age in range(1, 20))),
                well={"probe": NOW - DAY},
            ),
        ),
        (
            Run("backup", NOW - DAY, NOW - DAY, "failure", 69),
            Run("probe", NOW, NOW, "findings", 1),
            Run("prune", NOW - DAY, NOW - DAY, "missed"),
        ),
    )


def several() -> Observation:
    """One that is well, one with a long name that is not, and one that nobody has backed up yet."""
    well, ill = healthy(), broken().registries[0]
    new = RegistryObservation(
        "new",
        checks(
            "new",
            backup=Finding(State.CRITICAL, "there is no complete backup", "take one: opskit backup create"),
            rehearsal=Finding(State.CRITICAL, "no backup was ever rehearsed", "opskit backup rehearse latest"),
            artifacts=Finding(State.NOT_APPLICABLE, "never verified, and no store is configured (artifacts.stores)"),
        ),
    )
    return replace(well, registries=(*well.registries, replace(ill, name=LONG_NAME), new))


def hostile() -> Observation:
    """A name that is markup, and a storage that cannot be read."""
    return Observation(
        NOW,
        "s3://registry-backups/opskit",
        (
            RegistryObservation(
                HOSTILE_NAME,
                checks(HOSTILE_NAME),
                problem=f"the bucket {HOSTILE_NAME!r} does not exist",
            ),
        ),
    )
