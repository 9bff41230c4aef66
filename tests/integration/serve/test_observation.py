"""One look at everything, with a storage that answers, that does not, and that was well before."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from opskit.probe.result import State
from opskit.serve.observation import observe
from opskit.settings import Settings, load_settings
from tests.integration.probe.http_servers import ABSENT, Reply, http_server

NOBODY = "mysql://user@127.0.0.1:1/registry"


@pytest.fixture
def settings(tmp_path: Path) -> Callable[..., Settings]:
    def load(**environment: str) -> Settings:
        told = {"OPSKIT_MYSQL_URL": NOBODY, "OPSKIT_STORAGE_URL": (tmp_path / "backups").as_uri()}
        return load_settings(None, told | environment)

    return load


def test_storage_that_hangs_is_a_problem_of_the_registry_and_not_of_the_observer(
    settings: Callable[..., Settings], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    release_it = threading.Event()

    def hang(_path: str, _token: str | None) -> Reply:
        release_it.wait()
        return ABSENT

    with http_server(hang) as server:
        told = settings(
            OPSKIT_STORAGE_URL="s3://bucket/opskit",
            OPSKIT_STORAGE__ENDPOINT_URL=server.url,
            OPSKIT_PROBE__DEADLINE="1s",
        )
        observation = observe(told, told.registries, storage_seconds=0.5)
        release_it.set()
    (registry,) = observation.registries
    assert registry.problem == "the storage has not answered within 0.5 s"
    assert registry.backups == ()
    storage = registry.check("storage")
    assert storage
    assert storage.detail == "no answer within 1 s"


def test_problem_is_told_in_one_printable_line(settings: Callable[..., Settings], tmp_path: Path) -> None:
    told = settings(OPSKIT_STORAGE_URL=f"{tmp_path.as_uri()}/not-mounted/a%1B%0Ab")
    (registry,) = observe(told, told.registries).registries
    assert registry.problem == f"there is no directory {tmp_path}/not-mounted/a b"


def test_last_time_that_all_was_well_is_remembered_while_it_is_not(settings: Callable[..., Settings]) -> None:
    told = settings()
    first = observe(told, told.registries)
    assert first.registries[0].state is State.CRITICAL
    assert first.registries[0].well == {}
    before = first.moment - timedelta(hours=1)
    former = replace(first, registries=(replace(first.registries[0], well={"probe": before}),))
    assert observe(told, told.registries, former=former).registries[0].well == {"probe": before}
