"""Storage, backup, rehearsal and artifacts, judged by what really lies in a storage."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from opskit.artifacts.report import Summary, put_summary, time_name
from opskit.backup.create import create_backup
from opskit.backup.manifest import Manifest
from opskit.backup.signing import SignedStorage
from opskit.errors import DeniedError
from opskit.probe import artifacts, backup, rehearsal, storage
from opskit.probe.evidence import newest_artifact_reports, newest_rehearsals
from opskit.probe.result import CheckResult, State
from opskit.restore.rehearse import Rehearsal, record
from opskit.serve.metrics import exposition
from opskit.serve.observation import Observation, RegistryObservation
from opskit.storage import Storage
from opskit.storage.opening import open_storage
from sandbox.s3 import S3Server
from sandbox.server import OwnServer
from tests.backups import write_backup
from tests.faulty import FaultyStorage
from tests.integration.probe.conftest import fill, result_of

pytestmark = pytest.mark.mysql
NAME = "distance-prediction"
DAY = timedelta(days=1)
WEEK = timedelta(days=8)


@pytest.fixture(scope="module")
def taken(breakable: OwnServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, Manifest]]:
    """A real backup in a directory, which no test may change."""
    root = tmp_path_factory.mktemp("taken")
    database = fill(breakable, "backed_up")
    yield root, create_backup(database.endpoint(), database.name, open_storage(str(root)), NAME)
    breakable.execute("DROP DATABASE backed_up")


@pytest.fixture
def manifest(taken: tuple[Path, Manifest]) -> Manifest:
    return taken[1]


@pytest.fixture
def root(taken: tuple[Path, Manifest], tmp_path: Path) -> Path:
    return Path(shutil.copytree(taken[0], tmp_path / "storage"))


@pytest.fixture
def store(root: Path) -> Storage:
    return open_storage(str(root))


def rehearsed(store: Storage, manifest: Manifest, verdict: str = "passed", *, ago: timedelta = timedelta()) -> None:
    now = datetime.now(UTC) - ago
    problems = () if verdict == "passed" else ("table Artifact: 3 rows instead of 4",)
    record(store, manifest, Rehearsal(manifest.id, verdict, now, now, "MySQL", manifest.rows, problems, ()))


def probed_backup(store: Storage, *, later: timedelta = timedelta()) -> CheckResult:
    return result_of(lambda: backup.check(store, NAME, DAY, datetime.now(UTC) + later), layer="backup")


def probed_rehearsal(store: Storage, *, later: timedelta = timedelta()) -> CheckResult:
    return result_of(lambda: rehearsal.check(store, NAME, WEEK, datetime.now(UTC) + later), layer="rehearsal")


def test_fresh_backup_is_ok(store: Storage, manifest: Manifest) -> None:
    result = probed_backup(store)
    assert result.state is State.OK
    assert re.search(rf"backup {manifest.id}, \d+ s ago: {manifest.rows:,} rows in \d", result.detail)
    assert result.values["backup_timestamp_seconds"] == manifest.snapshot.time.timestamp()
    assert result.values["backup_bytes"] == manifest.stored_bytes


def test_old_backup_is_critical(store: Storage) -> None:
    result = probed_backup(store, later=2 * DAY)
    assert result.state is State.CRITICAL
    assert ", 2 d ago: " in result.detail
    assert result.runbook == "backup-stale"


def test_what_comes_from_the_future_is_critical_not_fresh_for_ever(store: Storage, manifest: Manifest) -> None:
    rehearsed(store, manifest)
    now = datetime.now(UTC)
    store.put(f"{NAME}/artifacts/{now:%Y%m%dT%H%M%SZ}.json", [b'{"verdicts": {"present": 1}}'])
    results = [
        probed_backup(store, later=-DAY),
        probed_rehearsal(store, later=-DAY),
        result_of(lambda: artifacts.check(store, NAME, DAY, now - DAY, configured=True), layer="artifacts"),
    ]
    assert [result.state for result in results] == [State.CRITICAL] * 3
    assert f"backup {manifest.id} is from the future" in results[0].detail


def test_backup_from_the_future_is_critical_and_named_beside_the_newest(store: Storage, manifest: Manifest) -> None:
    future = write_backup(store, NAME, datetime(2999, 1, 1, tzinfo=UTC))
    result = probed_backup(store)
    assert result.state is State.CRITICAL
    assert f"backup {future} is from the future" in result.detail
    assert result.values["backup_timestamp_seconds"] == manifest.snapshot.time.timestamp()


def test_time_from_the_future_in_a_manifest_is_critical(store: Storage, manifest: Manifest) -> None:
    key = f"{NAME}/{manifest.id}/manifest.json"
    document = json.loads(b"".join(store.get(key)))
    document["snapshot"]["time"] = f"{datetime.now(UTC) + DAY:%Y-%m-%dT%H:%M:%SZ}"
    store.put(key, [json.dumps(document).encode()])
    result = probed_backup(store)
    assert result.state is State.CRITICAL
    assert ", in 23 h: " in result.detail


def test_no_backup_is_critical(tmp_path: Path) -> None:
    result = probed_backup(open_storage(str(tmp_path)))
    assert (result.state, result.detail) == (State.CRITICAL, "there is no complete backup")


def test_damaged_backup_is_critical_and_named_beside_the_last_good_one(root: Path, manifest: Manifest) -> None:
    newer = "29991231T235959Z-ffffff"
    shutil.copytree(root / NAME / manifest.id, root / NAME / newer)
    (root / NAME / newer / "manifest.json").write_text("{}")
    result = probed_backup(open_storage(str(root)))
    assert result.state is State.CRITICAL
    assert f"backup {newer} is damaged" in result.detail
    assert f"backup {manifest.id}, " in result.findings[-1].detail


def test_newer_backup_that_cannot_be_read_is_unknown(root: Path, manifest: Manifest) -> None:
    newer = "29991231T235959Z-ffffff"
    shutil.copytree(root / NAME / manifest.id, root / NAME / newer)
    (root / NAME / newer / "manifest.json").write_text('{"format": 99}')
    result = probed_backup(open_storage(str(root)))
    assert result.state is State.UNKNOWN
    assert f"backup {newer} cannot be read" in result.detail
    assert f"backup {manifest.id}, " in result.findings[-1].detail


def test_backup_that_is_being_written_is_passed_over(root: Path, manifest: Manifest) -> None:
    newer = root / NAME / "29991231T235959Z-ffffff"
    newer.mkdir()
    (newer / "x.sql.zst").write_bytes(b"x")
    assert probed_backup(open_storage(str(root))).state is State.OK
    assert manifest.id


def test_passed_rehearsal_is_ok_until_it_is_too_old(store: Storage, manifest: Manifest) -> None:
    rehearsed(store, manifest)
    result = probed_rehearsal(store)
    assert result.state is State.OK
    assert result.values["rehearsal_passed"] == 1
    late = probed_rehearsal(store, later=9 * DAY)
    assert (late.state, late.runbook) == (State.CRITICAL, "rehearsal-stale")


def test_the_newest_rehearsal_counts(store: Storage, manifest: Manifest) -> None:
    rehearsed(store, manifest, "passed", ago=timedelta(hours=2))
    rehearsed(store, manifest, "failed", ago=timedelta(hours=1))
    result = probed_rehearsal(store)
    assert (result.state, result.runbook) == (State.CRITICAL, "rehearsal-failing")
    assert "failed: table Artifact: 3 rows instead of 4" in result.detail
    assert result.values["rehearsal_passed"] == 0


def test_unreadable_rehearsal_is_unknown(root: Path, manifest: Manifest) -> None:
    folder = root / NAME / manifest.id / "rehearsals"
    folder.mkdir()
    (folder / "20261124T010203000000Z.json").write_text("[")
    assert probed_rehearsal(open_storage(str(root))).state is State.UNKNOWN


def test_verdict_that_fills_the_memory_is_not_read_to_its_end(root: Path, manifest: Manifest) -> None:
    folder = root / NAME / manifest.id / "rehearsals"
    folder.mkdir()
    padded = json.dumps({"verdict": "passed", "padding": "x" * 64 * 2**20})
    (folder / "20261124T010203000000Z.json").write_text(padded)
    assert probed_rehearsal(open_storage(str(root))).state is State.UNKNOWN


def test_rehearsal_beside_no_manifest_is_none(root: Path, store: Storage, manifest: Manifest) -> None:
    rehearsed(store, manifest)
    (root / NAME / manifest.id / "manifest.json").unlink()
    assert list(newest_rehearsals(store, NAME)) == []


def test_rehearsal_beside_a_manifest_that_nobody_trusted_signed_is_none(store: Storage, manifest: Manifest) -> None:
    rehearsed(store, manifest)
    key = Ed25519PrivateKey.generate()
    signed = SignedStorage(store, key, (key.public_key(),))
    assert probed_rehearsal(signed).detail == "no backup was ever rehearsed"
    stored = f"{NAME}/{manifest.id}/manifest.json"
    signed.put(stored, store.get(stored))
    assert probed_rehearsal(signed).state is State.OK


def test_missing_rehearsal_is_a_warning_while_the_backups_are_young(store: Storage) -> None:
    assert probed_rehearsal(store).state is State.WARNING
    assert probed_rehearsal(store, later=9 * DAY).state is State.CRITICAL


@pytest.mark.parametrize(
    ("summary", "state", "words", "runbook"),
    [
        ({"verdicts": {"present": 10}}, State.OK, "10 artifacts looked at 0 s ago", None),
        ({"verdicts": {"present": 9, "missing": 1}}, State.CRITICAL, "of 10 artifacts, 1 missing", "artifacts-missing"),
        (
            {"verdicts": {"present": 9, "unreachable": 1}},
            State.WARNING,
            "1 of 10 artifacts could not",
            "artifacts-missing",
        ),
        ({"verdicts": {"present": 9}, "changed": 2}, State.WARNING, "2 artifacts were replaced", "artifacts-changed"),
        (
            {"verdicts": {"present": 9}, "layout_failures": 2},
            State.WARNING,
            "2 of 9 artifacts cannot",
            "artifacts-missing",
        ),
        ({"verdicts": {"present": 9, "sibling-only": 1}}, State.CRITICAL, "1 sibling-only", "artifacts-missing"),
        ({"what": "ever"}, State.UNKNOWN, "cannot be read", "artifacts-missing"),
        *(
            ({"verdicts": {"missing": count}}, State.UNKNOWN, "cannot be read", "artifacts-missing")
            for count in (float("nan"), float("inf"), 10**400, -1, "3")
        ),
        ({"verdicts": {"present": 9, "\ud800": 1}}, State.UNKNOWN, "cannot be read", "artifacts-missing"),
        ({"verdicts": {"present": 9, "vanished": 1}}, State.UNKNOWN, "cannot be read", "artifacts-missing"),
        ({"verdicts": ["present"]}, State.UNKNOWN, "cannot be read", "artifacts-missing"),
        ({"verdicts": {"present": 9}, "changed": "2"}, State.UNKNOWN, "cannot be read", "artifacts-missing"),
    ],
)
def test_report_on_artifacts_is_judged(
    store: Storage, summary: object, state: State, words: str, runbook: str | None
) -> None:
    now = datetime.now(UTC)
    store.put(f"{NAME}/artifacts/{now:%Y%m%dT%H%M%SZ}.json", [json.dumps(summary).encode()])
    store.put(f"{NAME}/artifacts/{now:%Y%m%dT%H%M%SZ}.json.zst", [b"the whole report"])
    result = result_of(lambda: artifacts.check(store, NAME, DAY, now, configured=True), layer="artifacts")
    assert (result.state, result.runbook) == (state, runbook)
    assert words in result.detail
    late = result_of(lambda: artifacts.check(store, NAME, DAY, now + 2 * DAY, configured=True), layer="artifacts")
    assert late.state is State.UNKNOWN if state is State.UNKNOWN else late.state is State.CRITICAL


def test_artifacts_that_were_never_verified_matter_where_a_store_is_configured(store: Storage) -> None:
    now = datetime.now(UTC)
    looked = [
        result_of(partial(artifacts.check, store, NAME, DAY, now, configured=configured)).state
        for configured in (True, False)
    ]
    assert looked == [State.WARNING, State.NOT_APPLICABLE]


def test_storage_is_listed_and_on_demand_written(store: Storage) -> None:
    before = [each.key for each in store.list()]
    assert result_of(lambda: storage.check(store, write=False)).state is State.OK
    written = result_of(lambda: storage.check(store, write=True))
    assert written.state is State.OK
    assert "an object was written, read and deleted" in written.detail
    assert [each.key for each in store.list()] == before


def test_storage_that_is_not_there_is_critical(tmp_path: Path) -> None:
    absent = open_storage(str(tmp_path / "not mounted" / "backups"))
    assert result_of(lambda: storage.check(absent, write=False)).state is State.CRITICAL


@pytest.mark.s3
def test_bucket_is_probed_and_a_stopped_server_is_critical(moto: S3Server, bucket_name: str) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in moto.environment.items():
            patch.setenv(name, value)
        there, absent = (
            open_storage(f"s3://{name}/opskit", endpoint_url=moto.endpoint, path_style=True, max_attempts=1)
            for name in (moto.make_bucket(bucket_name), f"{bucket_name}-absent")
        )
        dead = open_storage("s3://any/x", endpoint_url="http://127.0.0.1:1", path_style=True, max_attempts=1)
    assert result_of(lambda: storage.check(there, write=True)).state is State.OK
    for broken in (absent, dead):
        assert result_of(partial(storage.check, broken, write=False)).state is State.CRITICAL


def test_storage_that_refuses_writes_is_critical(store: Storage) -> None:
    faulty = FaultyStorage(store, fail={"put": {1}}, error=DeniedError("no right to put"))
    result = result_of(lambda: storage.check(faulty, write=True))
    assert (result.state, result.detail) == (State.CRITICAL, "no right to put")


def test_summary_that_a_verification_writes_is_understood(store: Storage) -> None:
    now = datetime.now(UTC)
    summary = Summary(NAME, time_name(now), "live", layout=True, live_only=False, changed=1)
    summary.verdicts |= {"present": 7, "missing": 2}
    put_summary(store, summary)
    result = result_of(lambda: artifacts.check(store, NAME, DAY, now, configured=True), layer="artifacts")
    assert result.detail == "of 9 artifacts, 2 missing"
    assert [finding.state for finding in result.findings] == [State.CRITICAL, State.WARNING, State.OK]


@pytest.mark.parametrize(("source", "live_only"), [("database", True), ("former backup of yesterday", False)])
def test_report_on_something_else_than_today_hides_nothing_that_is_missing(
    store: Storage, source: str, *, live_only: bool
) -> None:
    now = datetime.now(UTC)
    today = Summary(NAME, time_name(now - timedelta(hours=1)), "database", layout=False, live_only=False)
    today.verdicts |= {"present": 7, "missing": 2}
    put_summary(store, today)
    aside = Summary(NAME, time_name(now), source, layout=False, live_only=live_only)
    aside.verdicts |= {"present": 9}
    put_summary(store, aside)
    result = result_of(lambda: artifacts.check(store, NAME, DAY, now, configured=True), layer="artifacts")
    assert (result.state, result.detail) == (State.CRITICAL, "of 9 artifacts, 2 missing")
    assert "looked at 60 min ago" in result.findings[-1].detail
    seen = RegistryObservation(NAME, (result,), artifact_reports=tuple(newest_artifact_reports(store, NAME)))
    told = exposition(Observation(now, store.url, (seen,)), {}).decode()
    assert f'opskit_artifacts{{registry="{NAME}",verdict="missing"}} 2.0' in told


def test_summary_of_no_moment_is_passed_over(store: Storage) -> None:
    store.put(f"{NAME}/artifacts/99999999T999999Z.json", [b'{"verdicts": {"present": 9}}'])
    assert list(newest_artifact_reports(store, NAME)) == []


@pytest.mark.parametrize(("took", "seconds"), [(31, 31.0), (-31, None)])
def test_report_tells_how_long_it_took_unless_it_ended_before_it_began(
    store: Storage, took: int, seconds: float | None
) -> None:
    begun = datetime.now(UTC).replace(microsecond=0)
    summary = Summary(NAME, time_name(begun), "live", layout=True, live_only=False)
    summary.finished = (begun + timedelta(seconds=took)).isoformat(timespec="seconds")
    put_summary(store, summary)
    (report,) = newest_artifact_reports(store, NAME)
    assert (report.finished, report.seconds) == (begun, seconds)


def test_rehearsal_tells_its_rows(store: Storage, manifest: Manifest) -> None:
    rehearsed(store, manifest)
    (found,) = newest_rehearsals(store, NAME)
    assert (found.rows, found.seconds) == (manifest.rows, 0)
