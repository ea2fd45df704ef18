"""A table with two targets is learned by one network in the browser, beside the main one alone."""

from __future__ import annotations

import random
import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    DESK,
    JOB_S,
    PHONE,
    RUN,
    fill_run,
    overflows,
    section,
    upload,
    violations,
    wait_state,
)
from tests.browser.test_tables import as_csv
from tests.browser.test_wide_deep import VERSION
from tests.small_tables import people

pytestmark = pytest.mark.slow

SHORT = {"training.steps": "12", "training.warmup_steps": "2", "evaluation.every": "4"}


def test_two_targets_are_learned_together_and_compared_with_one(page: Page) -> None:
    draw = random.Random(2)
    rows = [
        row
        | {
            "rich": row["rich"] if draw.random() < 0.4 else "",
            "pay": round(draw.gauss(32 if row["town"] == "Ulm" else 20, 2), 1),
        }
        for row in people(400, seed=3)
    ]
    page.set_viewport_size(DESK)
    upload(page, "workers.csv", as_csv(rows, ","), "Workers", test_percent="20")
    wait_state(page, "#version", "succeeded")
    page.get_by_role("link", name="Correct types, choose targets").click()
    page.get_by_label("rich", exact=True).select_option("target_category")
    page.get_by_label("pay", exact=True).select_option("target_number")
    page.get_by_role("button", name="Check again").click()
    page.wait_for_url(VERSION)
    wait_state(page, "#version", "succeeded")

    page.get_by_role("link", name="Learn its targets together").click()
    expect(page.locator("#targets")).to_contain_text("a number")
    fill_run(page, **SHORT | {"name": "Rich and paid", "tasks": "rich\nage"})
    expect(page.locator("#tasks-error")).to_contain_text("Line 2: age is no target of this table.")
    fill_run(page, tasks="rich\npay")
    expect(page.locator("#tasks-error")).to_be_empty()
    page.get_by_label("Weights of the tasks").select_option("uncertainty")
    expect(page.locator("#summary")).to_contain_text("The single-task twin takes about as long")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    expect(page.locator("#outcome .verdict")).to_contain_text("The other targets", timeout=120_000)
    chosen = page.locator("[data-chart-metric]")
    chosen.select_option(label="noise of the targets, log σ²")
    expect(page.locator("[data-chart-legend]")).to_contain_text("pay")
    page.get_by_role("link", name="Full report").click()
    told = section(page, "Targets")
    expect(told).to_contain_text("RMSE")
    expect(page.locator("body")).to_contain_text("the same network on this target alone")
    expect(page.locator("body")).to_contain_text("always the training mean")
    expect(page.locator("body")).to_contain_text(re.compile("town (Ulm|Bonn|Kiel)"))
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)

    # Its checkpoint is the source of another run, with its heads.
    page.go_back()
    page.get_by_role("link", name="Transfer from it").click()
    page.locator("#data").select_option(index=1)
    expect(page.locator("#plan")).to_contain_text("task.rich.weight")
    expect(page.get_by_role("heading", name="Model", exact=True)).to_be_hidden()
