"""Jobs as child processes of `opskit serve`: their deadlines, their ends, and who is told of them."""

import os
import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from opskit.jobs import Job, job
from opskit.serve.heartbeat import beat
from opskit.serve.runs import Children, Run, RunLog
from opskit.settings.serve import ScheduledJob
from tests.integration.probe.http_servers import ABSENT, FINE, always, http_server
from tests.waiting import eventually

NOBODY = ["--mysql-url", "mysql://user@127.0.0.1:1/database"]
WAIT_SECONDS = 60.0
WATCHING = Job("probe", "A job that never ends.", ("probe", "--watch", "1h"), None, timedelta(hours=1), None)


@pytest.fixture
def ended() -> list[Run]:
    return []


@pytest.fixture
def children(ended: list[Run], tmp_path: Path) -> Children:
    storage = ["--storage-url", (tmp_path / "backups").as_uri()]
    return Children([*NOBODY, *storage], RunLog(), ended.append)


@pytest.mark.parametrize(
    ("arguments", "outcome", "code"),
    [
        (("config", "check"), "success", 0),
        (("probe", "--only", "mysql"), "findings", 1),
        (("backup", "create"), "failure", 69),
        (("no-such-command",), "failure", 2),
    ],
)
def test_exit_code_means_what_it_means_everywhere(
    children: Children, ended: list[Run], arguments: tuple[str, ...], outcome: str, code: int
) -> None:
    run = children.run(replace(job("backup"), arguments=arguments))
    assert (run.outcome, run.exit_code) == (outcome, code)
    assert ended == [run]
    assert run.started < run.ended


def test_job_that_outlasts_its_deadline_is_terminated(children: Children) -> None:
    run = children.run(replace(WATCHING, deadline=timedelta(seconds=2)))
    assert (run.outcome, run.exit_code) == ("terminated", 143)


def test_stop_ends_what_runs_and_starts_nothing_more(children: Children, ended: list[Run]) -> None:
    thread = threading.Thread(target=children.run, args=(WATCHING,))
    thread.start()
    eventually(lambda: children._running, "the child is started")
    assert not children.wait(0)
    children.stop()
    thread.join(WAIT_SECONDS)
    assert children.wait(0)
    assert [run.outcome for run in ended] == ["terminated"]
    assert children.run(WATCHING).exit_code is None


def test_job_that_ends_within_the_limit_is_waited_for(children: Children, ended: list[Run]) -> None:
    thread = threading.Thread(target=children.run, args=(replace(job("backup"), arguments=("config", "check")),))
    thread.start()
    eventually(lambda: children._running or not thread.is_alive(), "the child is started")
    assert children.wait(WAIT_SECONDS)
    children.stop()
    thread.join(WAIT_SECONDS)
    assert [run.outcome for run in ended] == ["success"]


def test_child_gets_a_session_of_its_own(children: Children) -> None:
    thread = threading.Thread(target=children.run, args=(WATCHING,))
    thread.start()
    (process,) = eventually(lambda: tuple(children._running), "the child is started")
    assert os.getsid(process.pid) != os.getsid(0)
    children.stop()
    thread.join(WAIT_SECONDS)


def heard(url: str) -> bool:
    return beat("backup", lambda: url)


def test_heartbeat_that_is_not_heard_harms_nothing_and_shows_no_url(caplog: pytest.LogCaptureFixture) -> None:
    with http_server(always(FINE)) as listener:
        assert heard(f"{listener.url}/secret-path")
        assert listener.requests == [("/secret-path", None)]
    with http_server(always(ABSENT)) as refusing:
        assert not heard(f"{refusing.url}/secret-path")
    assert not heard(f"{listener.url}/secret-path")
    assert not heard("file:///etc/secret-path")
    assert not heard("not a url/secret-path")
    assert not heard("https://[secret-path")
    assert len(caplog.records) == 5
    assert "secret-path" not in caplog.text


def test_heartbeat_whose_file_is_gone_harms_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    configured = ScheduledJob(name="backup", heartbeat_url_file=tmp_path / "gone")
    assert not beat("backup", configured.read_heartbeat_url)
    assert "the heartbeat of job backup cannot be sent" in caplog.text


def test_job_without_a_heartbeat_calls_nobody(caplog: pytest.LogCaptureFixture) -> None:
    assert not beat("backup", ScheduledJob(name="backup").read_heartbeat_url)
    assert caplog.records == []
