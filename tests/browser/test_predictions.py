"""A trained model predicts data unlike those that it learned from, watched in the browser."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    DESK,
    JOB_S,
    PHONE,
    PREDICTION,
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
from tests.browser.test_wide_deep import SHORT
from tests.small_tables import Row, people

pytestmark = pytest.mark.slow


def strangers() -> list[Row]:
    """Jobs and a class that the model has never seen, and a column that it does not know."""
    found = people(120, seed=9, jobs=("cook", "=pilot"))
    for place, row in enumerate(found):
        row["shoe"] = ["red", "blue"][place % 2]
        if place % 10 == 0:
            row["rich"] = "perhaps"
    return found


def table(page: Page, name: str, rows: list[Row], title: str) -> None:
    """Upload a table with its target."""
    upload(page, name, as_csv(rows, ","), title, test_percent="20")
    wait_state(page, "#version", "succeeded")
    page.get_by_role("link", name="Correct types, choose targets").click()
    page.get_by_label("rich", exact=True).select_option("target_category")
    page.get_by_role("button", name="Check again").click()
    page.wait_for_url(VERSION)
    wait_state(page, "#version", "succeeded")


def test_a_model_predicts_a_table_with_what_it_never_saw(page: Page) -> None:
    page.set_viewport_size(DESK)
    table(page, "seen-people.csv", people(400), "Seen people")
    page.get_by_role("link", name="Train on this table").click()
    fill_run(page, **SHORT | {"name": "Who is rich"})
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)

    table(page, "strange-people.csv", strangers(), "Strange people")
    page.get_by_role("link", name="Predict with…").click()
    expect(page.get_by_label("Data", exact=True).locator("option:checked")).to_contain_text(
        "Strange people"
    )
    model = page.locator("#id_model option", has_text="Who is rich")
    page.locator("#id_model").select_option(label=model.first.inner_text())
    page.get_by_label("Labels that the model does not know").select_option("refuse")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)
    page.get_by_role("button", name="Predict", exact=True).click()

    # Refused with a count and names; the other choice predicts.
    page.wait_for_url(PREDICTION)
    wait_state(page, "#prediction", "failed", timeout_s=JOB_S)
    problem = page.get_by_role("alert")
    expect(problem).to_contain_text("does not know: 12 (perhaps (12))")
    page.get_by_role("link", name="Choose otherwise").click()
    expect(page.get_by_label("Labels that the model does not know")).to_have_value("refuse")
    page.get_by_label("Labels that the model does not know").select_option("leave_out")
    page.get_by_role("button", name="Predict", exact=True).click()
    page.wait_for_url(PREDICTION)
    wait_state(page, "#prediction", "succeeded", timeout_s=JOB_S)
    told = section(page, "Worth knowing")
    expect(told).to_contain_text("Rows whose rich the model does not know: 12 (perhaps (12))")
    expect(told).to_contain_text("does not look at (1): shoe")
    expect(told).to_contain_text(
        re.compile(r"job, rows with categories .* never seen: \d+ \(=pilot")
    )
    columns = page.get_by_role("region", name="Columns with something to tell").first
    expect(columns.get_by_role("row", name=re.compile("^job"))).to_contain_text("=pilot")
    expect(page.locator("#task-0 ~ section").first).to_contain_text("perhaps")
    beside = section(page, "Beside what it must beat")
    expect(beside).to_contain_text("always the commonest class of these data")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)

    # Page through the examples, and take all of them along.
    examples = page.locator("#examples")
    expect(examples.get_by_role("listitem")).to_have_count(25)
    examples.get_by_role("link", name="in the order of the data").click()
    expect(examples.locator("li").first).to_contain_text("unknown to the model")
    examples.get_by_role("link", name="Further").click()
    expect(examples).to_contain_text("2 of 5")
    expect(examples.locator("ol")).to_have_attribute("start", "26")
    with page.expect_download() as loading:
        page.get_by_role("link", name=re.compile("^Download all")).click()
    lines = loading.value.path().read_text().splitlines()
    count = page.locator("#prediction dd").first.inner_text()
    assert len(lines) - 1 == int(count.split()[0])
    assert lines[0].startswith("id,split,predicted,probability.")

    # It stands on the pages of the checkpoint, of the data, and in the list.
    page.locator("#prediction .head-note a").first.click()
    expect(page.get_by_role("region", name="Predictions").get_by_role("link")).to_have_count(2)
    expect(page.get_by_role("link", name="Predict", exact=True)).to_be_visible()
    assert violations(page) == []
    page.goto("/predictions/")
    expect(page.get_by_role("row", name=re.compile("Strange people v2"))).to_have_count(2)
    assert violations(page) == []
