"""The search for artifacts beside one HEAD for each: requests, wall time, memory. `python -m benchmarks.artifacts`."""

import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.background import listening
from benchmarks.measure import measured
from benchmarks.results import FOLDER
from opskit.artifacts.bucket import Bucket
from opskit.artifacts.report import Summary
from opskit.artifacts.search import Options, Places, find_all
from opskit.artifacts.spool import spooled
from opskit.artifacts.stores import Store, Stores
from opskit.artifacts.uri import S3Location, parse
from opskit.artifacts.verify import verify
from opskit.registry.inventory import Pointer
from opskit.storage.directory import DirectoryStorage

WANTED, OBJECTS = 100_000, 200_000
WORKERS = 8
# HEADs are measured on some of the artifacts, and scaled: all of them would take minutes.
SAMPLE = 3_000
MILLION = 1_000_000
RESIDENT_MEGABYTES = 200
QUICKER = 15


@dataclass(frozen=True, slots=True)
class Timing:
    """What one way of looking took."""

    seconds: float
    requests: int


@contextmanager
def listing_server(objects: int, delay_ms: float) -> Iterator[str]:
    """Run the server of keys in a process of its own and hand over its endpoint."""
    with listening("benchmarks.listing_server", objects, delay_ms) as port:
        yield f"http://127.0.0.1:{port}"


def places(endpoint: str) -> Places:
    """Return the one store as the configuration would."""
    return Places(Stores([Store(endpoint=endpoint, access_key=lambda: ("KEY", "secret"), region="us-east-1")]))


def pointers(count: int) -> Iterator[Pointer]:
    """Artifacts whose folders are all there, as a registry's database streams them."""
    for number in range(count):
        yield Pointer(
            artifact_id=number,
            type="kf.ModelArtifact",
            name=f"model {number}",
            uri=f"s3://models/models/model-{number:07}?endpoint=&defaultRegion=us-east-1",
            storage_key="aws-connection-models",
            storage_path="",
            format="openvino_ir",
            state="LIVE",
            updated=1_750_000_000_000 + number,
            version="v1",
            version_state="LIVE",
            model=f"distance-prediction {number}",
            model_state="LIVE",
        )


def by_merging(endpoint: str) -> Timing:
    """Look for every artifact as opskit does."""
    where = places(endpoint)
    started = time.perf_counter()
    findings = find_all(pointers(WANTED), where, Options(workers=WORKERS))
    assert sum(finding.verdict == "present" for _, finding in findings) == WANTED
    return Timing(time.perf_counter() - started, sum(where.stores.requests.values()))


def by_head(endpoint: str) -> Timing:
    """Ask for some of the objects with a HEAD each, side by side, and scale to all."""
    location = parse("s3://models/")
    bucket = places(endpoint).stores.find(location) if isinstance(location, S3Location) else None
    if not isinstance(bucket, Bucket):
        raise TypeError("the store has no bucket")
    names = [f"models/model-{number:07}/1/model.xml" for number in range(0, WANTED, WANTED // SAMPLE)]
    bucket.head(names[0])
    started = time.perf_counter()
    with ThreadPoolExecutor(WORKERS) as pool:
        list(pool.map(bucket.head, names))
    return Timing((time.perf_counter() - started) * WANTED / len(names), WANTED)


def verify_a_million(endpoint: str, folder: str) -> None:
    """Verify a million artifacts, and then once more, compared with the first report."""
    for time_name in ("20260101T000000Z", "20260102T000000Z"):
        summary = Summary("registry", time_name, "benchmark", layout=False, live_only=False)
        done = verify(spooled(pointers(MILLION)), places(endpoint), DirectoryStorage(Path(folder)), summary)
        assert done.verdicts["present"] == MILLION
        assert not done.changed


def run(results: Path) -> int:
    """Measure everything once, print and keep it, and return 1 where it is less than what was promised."""
    lines = [f"# Artifacts: {WANTED:,} wanted of {OBJECTS:,} objects, {WORKERS} requests side by side", ""]
    lines += [
        f"| delay of a request | by merging | requests | one HEAD each, scaled from {SAMPLE:,} | times as quick |"
    ]
    lines += ["|--:|--:|--:|--:|--:|"]
    ratio = 0.0
    for delay_ms in (0, 10):
        with listing_server(OBJECTS, delay_ms) as endpoint:
            merged, heads = by_merging(endpoint), by_head(endpoint)
        assert merged.requests * 100 <= heads.requests, "more than one request for a hundred artifacts"
        ratio = heads.seconds / merged.seconds
        lines.append(
            f"| {delay_ms} ms | {merged.seconds:.1f} s | {merged.requests:,} | {heads.seconds:.0f} s | {ratio:.1f} |"
        )
    with listing_server(2 * MILLION, 0) as endpoint, tempfile.TemporaryDirectory() as folder:
        program = f"from benchmarks.artifacts import verify_a_million; verify_a_million({endpoint!r}, {folder!r})"
        cost = measured([sys.executable, "-c", program])
    megabytes = cost.peak_bytes / 10**6
    lines += ["", f"{MILLION:,} wanted, twice: {cost.seconds:.0f} s, {megabytes:.0f} MB at most.", ""]
    text = "\n".join(lines)
    print(text, flush=True)
    results.mkdir(parents=True, exist_ok=True)
    (results / "artifacts.md").write_text(text)
    kept = {
        f"{QUICKER} times as quick at 10 ms a request": ratio >= QUICKER,
        f"{RESIDENT_MEGABYTES} MB at most": megabytes <= RESIDENT_MEGABYTES,
    }
    broken = [promise for promise, is_kept in kept.items() if not is_kept]
    for promise in broken:
        print(f"not kept: {promise}", file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(run(FOLDER))
