"""Fixtures of the browser tests: Chromium, and one real portal for the session."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Page, sync_playwright

from tests.browser.story import People, Portal, chromium_path, launch, start_portal, stop_portal

SKIPPED = (
    "BROWSER TESTS WERE SKIPPED: there is no Chromium here (Debian: apt-get install chromium)."
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    places = [number for number, item in enumerate(items) if item.path.parent == here]
    # The story begins in an empty portal; what other tests leave there does not disturb them.
    ordered = sorted((items[n] for n in places), key=lambda item: item.path.stem != "test_story")
    for place, item in zip(places, ordered, strict=True):
        items[place] = item
        item.add_marker(pytest.mark.browser)
        # Waits within a test have bounds of their own; what a step does takes several of them.
        item.add_marker(pytest.mark.timeout(1800))
        if chromium_path() is None:
            item.add_marker(pytest.mark.skip(reason=SKIPPED))


def pytest_terminal_summary(terminalreporter: Any) -> None:
    if any(SKIPPED in str(report.longrepr) for report in terminalreporter.stats.get("skipped", ())):
        terminalreporter.section("BROWSER TESTS", sep="!", red=True, bold=True)
        terminalreporter.line(SKIPPED, red=True, bold=True)


@pytest.fixture(scope="session")
def portal() -> Iterator[Portal]:
    """The real portal, empty, with its Hub beside it."""
    portal = start_portal()
    yield portal
    stop_portal(portal)


@pytest.fixture(scope="module")
def people(portal: Portal) -> Iterator[People]:
    """Browsers of the people who use the portal.

    A module's and not the session's: while Playwright runs, Django refuses its database to the
    thread, and other tests come after these.
    """
    with sync_playwright() as playwright:
        browser = launch(playwright)
        people = People(portal, browser)
        yield people
        people.close()
        browser.close()


@pytest.fixture
def page(people: People) -> Iterator[Page]:
    """A page of the admin of the first team."""
    page = people.page()
    yield page
    page.context.close()


@pytest.fixture
def told(request: pytest.FixtureRequest, portal: Portal) -> Iterator[None]:
    """For stories: after a failed step the rest of the file fails at once and says why."""
    story = request.path.stem
    if story in portal.broken:
        pytest.fail(f"Not reached: “{portal.broken[story]}” failed before.", pytrace=False)
    failed = request.session.testsfailed
    yield
    if request.session.testsfailed > failed:
        portal.broken[story] = request.node.name


@pytest.fixture(autouse=True)
def no_complaints(request: pytest.FixtureRequest) -> Iterator[None]:
    """Errors of scripts and of the Content-Security-Policy fail the test they happen in."""
    people: People | None = (
        request.getfixturevalue("people") if "people" in request.fixturenames else None
    )
    if people is not None:
        people.complaints.clear()
    yield
    if people is not None:
        assert not people.complaints, "\n".join(people.complaints)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """A failed test shows what the browser showed and what the portal said."""
    report = yield
    arguments = getattr(item, "funcargs", {})
    people, portal = arguments.get("people"), arguments.get("portal")
    if report.when != "call" or not report.failed or portal is None:
        return report
    if people is not None:
        folder = (
            item.config._tmp_path_factory.mktemp("screenshots", numbered=False)
            if not (known := getattr(item.config, "_graft_shots", None))
            else known
        )
        item.config._graft_shots = folder
        lines = []
        for number, page in enumerate(people.pages()):
            path = folder / f"{item.name}-{number}.png"
            try:
                page.screenshot(path=path, full_page=True, timeout=5000)
                lines.append(f"{path}  {page.url}")
            except Exception as error:  # noqa: BLE001 - the test's own failure matters more
                lines.append(f"{page.url}: {error}")
        report.sections.append(("What the browser showed", "\n".join(lines)))
    report.sections.append(("The portal's logs", portal.tail()))
    return report
