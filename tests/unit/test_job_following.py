"""A Job that is followed while its API server comes and goes, over a true socket."""

import json
from collections.abc import Iterator
from typing import Any

import kubernetes
import pytest

from opskit.cluster.run import follow
from opskit.errors import UnavailableError
from opskit.kubernetes_api import KubernetesApi
from tests.wire import Answer, Request, Upstream, Wire, answer, recorded

JOB: dict[str, Any] = {"metadata": {"namespace": "registries", "name": "opskit-restore-manual-1"}}
ENDED = JOB | {"status": {"conditions": [{"type": "Complete", "status": "True"}]}}
NO_PODS = {"apiVersion": "v1", "kind": "PodList", "metadata": {}, "items": []}


@pytest.fixture
def server() -> Iterator[Wire]:
    with recorded(0) as wire:
        yield wire


def api(server: Wire) -> KubernetesApi:
    configuration = kubernetes.client.Configuration(host=server.endpoint)
    return KubernetesApi(kubernetes.client.ApiClient(configuration), "registries")


def said(status: int, document: object) -> Answer:
    return answer(status, json.dumps(document), **{"Content-Type": "application/json"})


def test_api_server_that_is_away_for_a_while_ends_nothing(server: Wire) -> None:
    answers = [said(503, {}), said(200, JOB), said(200, NO_PODS), None, said(200, ENDED)]

    def respond(request: Request, upstream: Upstream) -> Answer | None:
        del request, upstream
        return answers.pop(0) if answers else said(200, NO_PODS)

    server.answering = respond
    told: list[str] = []
    assert follow(api(server), JOB, told.append, told.append) == 0
    assert len(told) == 2
    assert all("the Job opskit-restore-manual-1 goes on" in each for each in told)


def test_api_server_that_stays_away_leaves_a_job_that_may_go_on(server: Wire) -> None:
    server.answering = lambda _request, _upstream: said(503, {})
    with pytest.raises(UnavailableError) as caught:
        follow(api(server), JOB, print, print, patience_seconds=0)
    assert "may go on: look at it before you start another" in (caught.value.hint or "")
