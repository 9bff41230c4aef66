"""What is served over HTTP: the status page, metrics, the API, and whether this process is alive."""

import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from opskit.errors import OpskitError
from opskit.serve import metrics
from opskit.serve.observer import Observer
from opskit.serve.page import HEADERS, page
from opskit.serve.schedule import Planned
from opskit.serve.status import SCHEMA, status

logger = logging.getLogger(__name__)

_SOON = {"Retry-After": "2", "Refresh": "2", "Cache-Control": "no-store"}

Handler = Callable[[Request], Response]


@dataclass(frozen=True, slots=True)
class Site:
    """What the pages are made of; the token is read at each request, for its file may rotate."""

    observer: Observer
    planned: Sequence[Planned]
    next_runs: Callable[[], Mapping[str, datetime]]
    zone: ZoneInfo
    refresh_seconds: int
    runbooks_url: str | None
    read_token: Callable[[], str | None]


def application(site: Site) -> Starlette:
    """Return the application; everything but `/healthz` and `/readyz` wants the token, where there is one."""
    routes = {
        "/": _guarded(site, _page(site)),
        "/metrics": _guarded(site, _metrics(site)),
        "/api/status": _guarded(site, _status(site)),
        "/api/status.schema.json": _guarded(site, lambda _: Response(SCHEMA, media_type="application/schema+json")),
        "/healthz": lambda _: PlainTextResponse("ok\n"),
        "/readyz": lambda _: _readiness(site),
    }
    return Starlette(routes=[Route(path, handler, methods=["GET"]) for path, handler in routes.items()])


def _guarded(site: Site, handler: Handler) -> Handler:
    def guard(request: Request) -> Response:
        try:
            token = site.read_token()
        except OpskitError as error:
            logger.error("nobody is let in: %s", error)  # noqa: TRY400 - no bug
            return PlainTextResponse("the bearer token cannot be read\n", 503)
        if token is None:
            return handler(request)
        scheme, _, given = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() == "bearer" and hmac.compare_digest(given.strip().encode(), token.encode()):
            return handler(request)
        return PlainTextResponse("a bearer token is wanted\n", 401, {"WWW-Authenticate": "Bearer"})

    return guard


def _page(site: Site) -> Handler:
    def show(_: Request) -> Response:
        observation = site.observer.newest
        if observation is None:
            return PlainTextResponse("The first look at the registries is under way.\n", 503, _SOON)
        content = page(
            observation,
            site.planned,
            site.zone,
            refresh_seconds=site.refresh_seconds,
            runbooks_url=site.runbooks_url,
        )
        return HTMLResponse(content, headers=HEADERS)

    return show


def _metrics(site: Site) -> Handler:
    def expose(_: Request) -> Response:
        content = metrics.exposition(site.observer.newest, site.next_runs())
        return Response(content, headers={"Content-Type": metrics.CONTENT_TYPE})

    return expose


def _status(site: Site) -> Handler:
    def tell(_: Request) -> Response:
        if site.observer.newest is None:
            return JSONResponse({"error": "the first look is under way"}, 503, _SOON)
        return JSONResponse(status(site.observer.newest, site.planned, site.next_runs()))

    return tell


def _readiness(site: Site) -> Response:
    if site.observer.fresh:
        return PlainTextResponse("ok\n")
    return PlainTextResponse("the registries have not been looked at of late\n", 503)
