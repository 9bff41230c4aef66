"""The status page in a real browser: Chromium, driven by Playwright, judged by axe."""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

from opskit.serve.observation import Observation
from opskit.serve.observer import Observer
from opskit.serve.page import page as render_page
from opskit.serve.web import Site, application
from sandbox.browser import chromium
from tests.conftest import skipped_unless_had
from tests.observations import HOSTILE_NAME, LONG_NAME, PLANNED, ZONE, broken, healthy, hostile, several
from tests.waiting import eventually

pytestmark = pytest.mark.browser
WAIT_SECONDS = 60.0
# A folder into which the screenshots of docs/ are written anew.
SCREENSHOTS = os.environ.get("OPSKIT_TEST_SCREENSHOTS")
Scheme = Literal["light", "dark"]
WIDE, NARROW = 1200, 360


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with skipped_unless_had("browser"):
        program = chromium()
    with sync_playwright() as playwright:
        environment: dict[str, str | float | bool] = {**os.environ, **program.environment}
        running = playwright.chromium.launch(
            executable_path=program.program, env=environment, args=["--no-sandbox", "--disable-gpu"]
        )
        yield running
        running.close()


@dataclass
class Served:
    """The page of an observation that the test chooses."""

    url: str
    shown: list[Observation]


@pytest.fixture(scope="module")
def site() -> Iterator[Served]:
    shown = [healthy()]
    observer = Observer(lambda: shown[0], 0.05)
    observer.start()
    parts = Site(
        observer,
        PLANNED,
        dict,
        ZONE,
        refresh_seconds=1,
        runbooks_url="https://git.example.com/runbooks/",
        read_token=lambda: None,
    )
    server = uvicorn.Server(uvicorn.Config(application(parts), port=0, log_config=None, lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    eventually(lambda: server.started and observer.newest, "the page is served")
    port = server.servers[0].sockets[0].getsockname()[1]
    yield Served(f"http://127.0.0.1:{port}/", shown)
    server.should_exit = True
    thread.join(WAIT_SECONDS)


@dataclass
class Seen:
    """What the browser did and said beside showing the page."""

    requests: list[str] = field(default_factory=list)
    complaints: list[str] = field(default_factory=list)


@contextlib.contextmanager
def opened(
    browser: Browser, url: str, *, width: int = WIDE, scheme: Scheme = "light", script: bool = True
) -> Iterator[tuple[Page, Seen]]:
    seen = Seen()
    context = browser.new_context(
        viewport={"width": width, "height": 900}, color_scheme=scheme, java_script_enabled=script
    )
    page = context.new_page()
    page.on("request", lambda request: seen.requests.append(request.url))
    page.on("console", lambda message: seen.complaints.append(message.text))
    page.on("pageerror", lambda error: seen.complaints.append(str(error)))
    page.goto(url)
    yield page, seen
    context.close()


def static(observation: Observation, folder: Path) -> str:
    """The page as `opskit report` writes it."""
    file = folder / "status.html"
    file.write_text(render_page(observation, PLANNED, ZONE), encoding="utf-8")
    return file.as_uri()


OBSERVATIONS = {"healthy": healthy(), "broken": broken(), "hostile": hostile(), "several": several()}


def test_healthy_registry_shows_what_on_call_asks_first(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, static(healthy(), tmp_path)) as (page, _):
        assert page.title() == "✓ All is well · opskit"
        headings = page.locator("h3").all_inner_texts()
        assert headings == [
            "Is it up?",
            "Could we restore?",
            "What is missing?",
            "What ran in the last 30 days",
            "How it grew",
            "Newest backups",
        ]
        answers = ["✓ Yes", "✓ As of 7 h ago", "✓ 0 of 1,204 artifacts"]
        assert page.locator(".figure").all_inner_texts() == answers
        assert page.locator("text=promised: never older than 26h").is_visible()
        assert page.get_by_role("img", name="backup, the last 30 days: 30 well").is_visible()
        assert page.locator(".growth polyline").count() == 2
        assert page.locator("text=runbook").count() == 0


def test_broken_registry_answers_first_and_shows_the_gravest_first(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, static(broken(), tmp_path)) as (page, _):
        answers = ["✕ No: mysql, rest", "✕ As of 4 d ago", "✕ 3 of 1,204 artifacts"]
        assert page.locator(".figure").all_inner_texts() == answers
        up = page.locator(".card").first.locator(".layer").all_inner_texts()
        assert up == ["mysql", "rest", "operator", "proxy", "grpc"]


def test_several_registries_are_answered_for_in_one_table_first(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, static(several(), tmp_path)) as (page, _):
        rows = page.get_by_role("navigation").locator("tbody tr").all()
        told = [row.locator("th, td").all_inner_texts() for row in rows]
        assert told == [
            ["distance-prediction", "✓ Yes", "✓ As of 7 h ago", "✓ 0 of 1,204 artifacts"],
            [LONG_NAME, "✕ No: mysql, rest", "✕ As of 4 d ago", "✕ 3 of 1,204 artifacts"],
            ["new", "✓ Yes", "✕ No backup", "○ Not known"],
        ]
        page.get_by_role("link", name=LONG_NAME).click()
        assert page.url.endswith("#registry-2")


def test_jobs_that_leave_no_trace_are_marked(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, static(healthy(), tmp_path)) as (page, _):
        marked = [each for each in page.locator(".line .layer").all_inner_texts() if each.endswith("*")]
        assert marked == ["probe*", "freshness*", "prune*"]
        assert page.get_by_text("leaves nothing in storage: only what this process ran is known").is_visible()


def test_storage_that_cannot_be_read_is_not_called_well(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, static(hostile(), tmp_path)) as (page, _):
        answers = ["✓ Yes", "? Storage cannot be read", "? Not known"]
        assert page.locator(".figure").all_inner_texts() == answers
        assert page.title().startswith("? Not everything could be found out")


def test_each_red_thing_names_its_runbook(browser: Browser, site: Served) -> None:
    site.shown[0] = broken()
    with opened(browser, site.url) as (page, _):
        page.locator("text=Something is broken").wait_for()
        links = page.locator("a").evaluate_all("all => all.map(a => a.getAttribute('href'))")
    expected = {"registry-down", "certificate-expiring", "backup-stale", "rehearsal-failing", "artifacts-missing"}
    assert set(links) == {f"https://git.example.com/runbooks/{name}.md" for name in expected}


def test_names_are_text_whatever_they_hold(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, static(hostile(), tmp_path)) as (page, seen):
        assert page.get_by_role("heading", name=HOSTILE_NAME).is_visible()
        assert page.get_by_text(f"the bucket '{HOSTILE_NAME}' does not exist").is_visible()
        assert page.locator("script").count() == 0
    assert seen.complaints == []


def test_page_refreshes_itself_without_javascript(browser: Browser, site: Served) -> None:
    site.shown[0] = healthy()
    time.sleep(0.2)
    with opened(browser, site.url, script=False) as (page, _):
        page.locator("text=All is well").wait_for()
        site.shown[0] = broken()
        page.locator("text=Something is broken").wait_for(timeout=WAIT_SECONDS * 1000)


def test_file_stays_as_it_is(browser: Browser, tmp_path: Path) -> None:
    with opened(browser, static(healthy(), tmp_path)) as (page, _):
        assert page.locator("meta[http-equiv=refresh]").count() == 0


def test_nothing_is_asked_of_another_host_and_nothing_is_complained_of(browser: Browser, site: Served) -> None:
    site.shown[0] = broken()
    with opened(browser, site.url) as (page, seen):
        page.locator("h1").wait_for()
    assert {url.removeprefix(site.url) for url in seen.requests} == {""}
    assert seen.complaints == []


def test_policy_forbids_scripts_and_other_hosts(browser: Browser, site: Served) -> None:
    with opened(browser, site.url) as (page, seen):
        headers = page.goto(site.url).headers  # type: ignore[union-attr] # there is a response
        page.evaluate("document.head.append(Object.assign(document.createElement('script'), {text: 'window.ran = 1'}))")
        assert page.evaluate("window.ran") is None
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "unsafe" not in headers["content-security-policy"]
    assert any("Content Security Policy" in each for each in seen.complaints)


def test_dark_mode_is_dark(browser: Browser, tmp_path: Path) -> None:
    colours = []
    for scheme in ("light", "dark"):
        with opened(browser, static(healthy(), tmp_path), scheme=scheme) as (page, _):
            colours.append(page.evaluate("getComputedStyle(document.body).backgroundColor"))
    assert colours == ["rgb(246, 247, 249)", "rgb(18, 22, 29)"]


@pytest.mark.parametrize("name", OBSERVATIONS)
def test_telephone_shows_everything_without_scrolling_sideways(browser: Browser, tmp_path: Path, name: str) -> None:
    with opened(browser, static(OBSERVATIONS[name], tmp_path), width=NARROW) as (page, _):
        assert page.evaluate("document.documentElement.scrollWidth") <= NARROW
        assert page.get_by_role("img", name="backup, the last 30 days").first.is_visible()


@pytest.mark.parametrize("name", OBSERVATIONS)
@pytest.mark.parametrize(("scheme", "width"), [("light", WIDE), ("dark", WIDE), ("light", NARROW)])
def test_axe_finds_nothing_serious(browser: Browser, tmp_path: Path, name: str, scheme: Scheme, width: int) -> None:
    with opened(browser, static(OBSERVATIONS[name], tmp_path), scheme=scheme, width=width) as (page, _):
        violations = Axe().run(page).response["violations"]
        if SCREENSHOTS:
            page.screenshot(path=f"{SCREENSHOTS}/status-{name}-{scheme}-{width}.png", full_page=True)
    assert [each["help"] for each in violations if each["impact"] in ("serious", "critical")] == []
