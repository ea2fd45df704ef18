"""A table with a target is trained on in the browser, watched, reported, and carried over."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    DESK,
    JOB_S,
    PHONE,
    RUN,
    VERSION,
    fill_run,
    overflows,
    section,
    upload,
    violations,
    wait_state,
)
from tests.browser.test_tables import as_csv
from tests.small_tables import people

pytestmark = pytest.mark.slow

SHORT = {"training.steps": "12", "training.warmup_steps": "2", "evaluation.every": "4"}


def test_a_row_is_told_from_the_others_and_the_model_carried_over(page: Page) -> None:
    page.set_viewport_size(DESK)
    upload(page, "people.csv", as_csv(people(400), ","), "People", test_percent="20")
    wait_state(page, "#version", "succeeded")
    expect(page.get_by_role("link", name="Train on this table")).to_have_count(0)
    page.get_by_role("link", name="Correct types, choose targets").click()
    page.get_by_label("rich", exact=True).select_option("target_category")
    page.get_by_role("button", name="Check again").click()
    page.wait_for_url(VERSION)
    wait_state(page, "#version", "succeeded")

    page.get_by_role("link", name="Train on this table").click()
    expect(page.locator("#data option:checked")).to_contain_text("training rows, rich")
    fill_run(page, **SHORT | {"name": "Rich or not", "features.crosses": "job × street"})
    expect(page.locator("#features-crosses-error")).to_contain_text(
        "There is no input street to cross. The table's inputs are: age, job, town."
    )
    fill_run(page, **{"features.crosses": "job × town"})
    expect(page.locator("#features-crosses-error")).to_be_empty()
    expect(page.locator("#summary")).to_contain_text("Rows seen")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    expect(page.locator("#live")).to_contain_text("Rows per second")
    expect(page.locator("body")).to_contain_text("Wide & Deep, 2 layers")
    page.get_by_role("link", name="Full report").click()
    beside = section(page, "Beside what it must beat")
    expect(beside).to_contain_text("gradient-boosted trees on the same columns")
    expect(beside).to_contain_text("logistic regression on the same columns")
    worst = section(page, "Where it is most wrong")
    expect(worst).to_contain_text(re.compile("town (Ulm|Bonn|Kiel)"))
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)

    # Its checkpoint is the source of another run, which has its columns and network.
    page.go_back()
    page.get_by_role("link", name="Transfer from it").click()
    expect(page.get_by_label(re.compile("^Rich or not"))).to_be_checked()
    page.locator("#data").select_option(index=1)
    expect(page.locator("#plan")).to_contain_text("deep.hidden.0.weight")
    expect(page.get_by_role("heading", name="What of a row it is shown")).to_be_hidden()
    page.get_by_label("Also train a scratch twin").uncheck()
    fill_run(page, **SHORT | {"name": "Richer"})
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    page.get_by_role("link", name="Full report").click()
    carried = section(page, "Which weights were carried over")
    expect(carried).to_contain_text("found exactly equal")
    expect(carried).to_contain_text("0 started afresh")
