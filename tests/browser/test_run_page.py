"""One run's page in a browser: chart, its table, cancelling with a question, editing in place."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import JOB_S, TINY, People, corpus, fill_run, jsonl, upload, wait_state


@pytest.fixture(scope="module")
def run_page(people: People) -> Page:
    """The page of a run at work, on for longer than the tests."""
    page = people.page()
    upload(page, "moby.jsonl", jsonl(corpus("moby_dick.jsonl", 0, 40)), "Moby for the page")
    wait_state(page, "main", "succeeded")
    page.goto(f"/runs/new?data={page.url.rsplit('/', 1)[1]}")
    fill_run(page, name="Watched", training__steps=20_000, **TINY)
    page.get_by_role("button", name="Start").click()
    page.wait_for_url("**/runs/*-*")
    wait_state(page, "#live", "running")
    expect(page.locator("#live")).to_contain_text("Training", timeout=JOB_S * 1000)
    return page


def test_the_curves_grow_and_can_be_read_as_a_table(run_page: Page) -> None:
    page = run_page
    expect(page.locator(".uplot canvas")).to_be_visible(timeout=JOB_S * 1000)
    page.locator("[data-chart-log]").check()
    expect(page.locator(".uplot canvas")).to_be_visible()
    page.get_by_text("As a table").click()
    expect(page.get_by_role("columnheader", name="validation")).to_be_visible()
    before = page.locator("[data-chart-table] tbody tr").count()
    expect(page.locator("[data-chart-table] tbody tr")).not_to_have_count(
        before, timeout=JOB_S * 1000
    )


def test_a_line_can_be_hidden(run_page: Page) -> None:
    button = run_page.get_by_role("button", name="training", exact=True)
    expect(button).to_have_attribute("aria-pressed", "true")
    button.click()
    expect(button).to_have_attribute("aria-pressed", "false")
    button.click()


def test_numbers_and_samples_come_without_reloading(run_page: Page) -> None:
    page = run_page
    page.evaluate("window.same = true")
    bar = page.get_by_role("progressbar", name="Progress")
    before = bar.get_attribute("value")
    expect(bar).not_to_have_attribute("value", before or "", timeout=JOB_S * 1000)
    expect(page.locator("#samples .sample-text").first).to_be_visible(timeout=JOB_S * 1000)
    assert page.evaluate("window.same") is True
    page.reload()
    expect(page.locator("#samples .sample-text").first).to_be_visible()


def test_signed_out_elsewhere_the_page_stays_and_says_so(run_page: Page, people: People) -> None:
    page = people.page()
    page.goto(run_page.url)
    page.context.clear_cookies()
    expect(page.get_by_text("You are signed out.")).to_be_visible()
    expect(page.locator("#live .state")).to_contain_text("running")
    page.context.close()
    people.forgive("Status Error Code 401 from /runs/")  # htmx reports the answer


def test_notes_and_tags_are_edited_in_place(run_page: Page) -> None:
    page = run_page
    page.locator("#about").get_by_role("link", name="Edit").click()
    page.get_by_label("Name").fill("Watched closely")
    page.get_by_label("Tags").fill("tiny, whales")
    page.get_by_label("Notes").fill("It goes on for long.")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Watched closely")
    expect(page.locator("#about")).to_contain_text("It goes on for long.")
    page.get_by_role("link", name="whales").click()
    expect(page.get_by_role("link", name="Watched closely")).to_be_visible()
    page.go_back()


def test_cancelling_asks_first_and_says_what_is_kept(run_page: Page) -> None:
    page = run_page
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("the last saved state are kept")
    dialog.get_by_role("button", name="Let it go on").click()
    expect(dialog).to_be_hidden()
    expect(page.locator("#live .state")).to_contain_text("running")
    page.get_by_role("button", name="Cancel", exact=True).click()
    dialog.get_by_role("button", name="Cancel the run").click()
    wait_state(page, "#live", "cancelled")
    expect(page.locator("#live")).to_contain_text("are kept")
    expect(page.locator("#live")).not_to_have_attribute("hx-trigger", "every 2s")
