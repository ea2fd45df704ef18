"""Pages of accounts, data and the start page: for everybody, on small and large screens."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import SCREENS, People, jsonl, overflows, upload, violations, wait_state

STRANGERS = ["/account/sign-in", "/account/sign-in/link?token=used"]
PAGES = [
    "/",
    "/data/",
    "/data/?q=nothing+like+it",
    "/data/new",
    "/account/team",
    "/account/team/trail",
    "/account/profile",
    "/no/such/page",
]


@pytest.fixture(scope="module")
def version(people: People) -> str:
    """A version that is ready; its page's path."""
    page = people.page()
    texts = [f"Text {number} for everybody to read." for number in range(300)]
    upload(page, "everybody.jsonl", jsonl(texts), "For everybody")
    wait_state(page, "#version", "succeeded")
    return page.url.removeprefix(people.portal.url)


def _check(people: People, page: Page, path: str) -> None:
    page.goto(path)
    assert violations(page) + overflows(page) == []
    assert page.locator("h1").count() == 1


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_strangers_pages_have_no_serious_fault(people: People, screen: str, theme: str) -> None:
    page = people.page(None, viewport=SCREENS[screen], color_scheme=theme)
    for path in STRANGERS:
        _check(people, page, path)


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", SCREENS)
def test_pages_have_no_serious_fault(people: People, version: str, screen: str, theme: str) -> None:
    page = people.page(viewport=SCREENS[screen], color_scheme=theme)
    for path in PAGES:
        _check(people, page, path)
    _check(people, page, version)
    _check(people, page, f"{version}/again")


def test_the_keyboard_reaches_the_content_first(people: People) -> None:
    page = people.page()
    page.goto("/data/")
    page.keyboard.press("Tab")
    expect(page.get_by_role("link", name="Skip to content")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("#content")).to_be_focused()


def test_a_file_is_chosen_by_keyboard(people: People) -> None:
    page = people.page()
    # Taken by the test, and not left open: a page has no second one then.
    page.on("filechooser", lambda chooser: None)
    page.goto("/data/new")
    page.bring_to_front()  # keys go to the page in front
    field = page.locator("input[type=file]")
    field.focus()
    expect(field).to_be_focused()
    with page.expect_file_chooser():
        page.keyboard.press("Space")
    # Chromium 156 without a screen opens the chooser after Space always, after Enter at times, on
    # an empty page too. What the portal answers for is that Enter presses the field.
    field.evaluate("field => field.addEventListener('click', () => (field.title = 'pressed'))")
    page.keyboard.press("Enter")
    expect(field).to_have_attribute("title", "pressed")


def test_the_navigation_opens_on_a_phone(people: People) -> None:
    page = people.page(viewport=SCREENS["phone"])
    page.goto("/")
    # Open, it is a dialog by role.
    link = page.locator("#navigation").get_by_role("link", name="Data", exact=True)
    expect(link).not_to_be_visible()
    page.get_by_role("button", name="Navigation").click()
    link.click()
    page.wait_for_url("**/data/")


def test_the_theme_is_remembered(people: People) -> None:
    page = people.page(color_scheme="light")
    page.goto("/")
    page.get_by_role("button", name="Light or dark").click()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-bs-theme", "dark")


def test_a_person_is_invited_and_comes_in_once(people: People) -> None:
    page = people.page()
    page.goto("/account/team")
    page.get_by_label("E-mail address").fill("guest@example.org")
    page.get_by_label("Name", exact=True).first.fill("Guest")
    page.get_by_label("Role", exact=True).select_option("viewer")
    page.get_by_role("button", name="Invite").click()
    link = page.locator("#one-time-link").inner_text()
    guest = people.page(None)
    guest.goto(link)
    expect(guest.get_by_role("heading", name="Hello, Guest")).to_be_visible()
    answer = guest.goto("/data/new")
    assert answer is not None
    assert answer.status == 403
    other = people.page(None)
    other.goto(link)
    expect(other.get_by_role("heading", name="This link no longer works")).to_be_visible()
