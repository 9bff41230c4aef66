"""The process: observer, scheduler and web server, started in this order and stopped in the reverse one."""

import contextlib
import logging
import socket
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from zoneinfo import ZoneInfo

import uvicorn
from starlette.applications import Starlette

from opskit.errors import ConfigurationError, OpskitError
from opskit.serve.heartbeat import beat
from opskit.serve.observation import Observation, observe
from opskit.serve.observer import Observer
from opskit.serve.runs import Children, Run, RunLog
from opskit.serve.schedule import JobScheduler, planned_jobs
from opskit.serve.web import Site, application
from opskit.settings import Registry, Settings

logger = logging.getLogger(__name__)

_WEB_STOP_SECONDS = 5


def serve(
    settings: Settings,
    registries: Sequence[Registry],
    options: Sequence[str],
    wait: Callable[[], None],
    *,
    unreadable: Mapping[str, OpskitError] | None = None,
) -> None:
    """Serve until `wait` returns; then let running jobs end, up to a limit, and end those that do not.

    `options` are those of this command line that every job is given as well; `unreadable` as of `planned_checks`.
    """
    log = RunLog()

    def look() -> Observation:
        return observe(settings, registries, log.runs, observer.newest, unreadable=unreadable)

    def after(run: Run) -> None:
        observer.wake()
        configured = settings.serve.job(run.job)
        if configured and run.outcome == "success":
            beat(run.job, configured.read_heartbeat_url)

    observer = Observer(look, settings.serve.refresh.total_seconds())
    children = Children(options, log, after)
    planned = planned_jobs(settings.serve)
    scheduled = planned if settings.serve.schedule == "jobs" else []
    scheduler = JobScheduler(settings.serve, scheduled, children.run, log)
    site = Site(
        observer=observer,
        planned=planned,
        next_runs=scheduler.next_runs,
        zone=ZoneInfo(settings.serve.time_zone),
        refresh_seconds=max(1, int(settings.serve.refresh.total_seconds())),
        runbooks_url=settings.serve.runbooks_url,
        read_token=settings.serve.read_token,
    )
    observer.start()
    with _website(application(site), settings.serve.host, settings.serve.port), _jobs(scheduler, children, settings):
        wait()


@contextlib.contextmanager
def _jobs(scheduler: JobScheduler, children: Children, settings: Settings) -> Iterator[None]:
    scheduler.start()
    try:
        yield
    finally:
        scheduler.stop()
        if not children.wait(settings.serve.stop_wait.total_seconds()):
            logger.warning("jobs still run after %s: they are terminated", settings.serve.stop_wait)
            children.stop()


@contextlib.contextmanager
def _website(site: Starlette, host: str, port: int) -> Iterator[None]:
    """Serve in a thread: the main thread waits for signals, and the page stays up while jobs end."""
    try:
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listener = socket.create_server((host, port), family=family)
    except OSError as error:
        raise ConfigurationError(
            f"cannot listen on {host}:{port}: {error.strerror}", hint="set serve.host and serve.port"
        ) from error
    with listener:
        server = uvicorn.Server(
            uvicorn.Config(
                site,
                log_config=None,
                access_log=False,
                lifespan="off",
                server_header=False,
                timeout_graceful_shutdown=_WEB_STOP_SECONDS,
            )
        )
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="web", daemon=True)
        thread.start()
        logger.info("serving on http://%s:%s", host, listener.getsockname()[1])
        try:
            yield
        finally:
            server.should_exit = True
            thread.join(_WEB_STOP_SECONDS * 2)
