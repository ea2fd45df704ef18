"""A form in Chromium: pressed twice it is sent once; it can be sent again once one comes back."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import People

pytestmark = [pytest.mark.browser, pytest.mark.slow]

#: Counts what the browser would send, and sends nothing: the page stays.
COUNT = """
window.sent = 0;
window.addEventListener("submit", (event) => {
  if (!event.defaultPrevented) window.sent += 1;
  event.preventDefault();
});
"""
DISABLED = re.compile(r"\bdisabled\b")


@pytest.fixture
def page(people: People) -> Iterator[Page]:
    page = people.page()
    page.goto("/account/profile")
    page.evaluate(COUNT)
    yield page
    page.context.close()


def test_a_second_press_sends_nothing_until_the_page_is_there_again(page: Page) -> None:
    save = page.get_by_role("button", name="Save")
    save.dblclick()
    assert page.evaluate("sent") == 1
    expect(save).to_have_class(DISABLED)
    page.get_by_label("Name").press("Enter")
    assert page.evaluate("sent") == 1
    page.evaluate("dispatchEvent(new PageTransitionEvent('pageshow', {persisted: true}))")
    expect(save).not_to_have_class(DISABLED)
    save.click()
    assert page.evaluate("sent") == 2
    # Stopped by the person.
    page.keyboard.press("Escape")
    expect(save).not_to_have_class(DISABLED)
    save.click()
    assert page.evaluate("sent") == 3


def test_a_form_whose_answer_is_a_file_is_sent_as_often_as_it_is_pressed(page: Page) -> None:
    save = page.get_by_role("button", name="Save")
    save.evaluate("(button) => { button.dataset.stays = ''; }")
    save.click()
    save.click()
    assert page.evaluate("sent") == 2
