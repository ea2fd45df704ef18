"""Images of classes are learned in the browser: seen improving, measured, and carried over."""

from __future__ import annotations

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
    until,
    upload,
    violations,
    wait_state,
)
from tests.pictures import archive, class_folders

pytestmark = pytest.mark.slow

SHORT = {
    "training.steps": "6",
    "training.batch_size": "8",
    "training.warmup_steps": "2",
    "evaluation.every": "3",
    "evaluation.sample_every": "3",
    "evaluation.samples": "3",
}


def ready(page: Page) -> None:
    """Every picture on the page was fetched and decoded."""
    page.evaluate("[...document.images].forEach(one => { one.loading = 'eager' })")
    there = "[...document.images].every(one => one.complete && one.naturalWidth > 0)"
    until(lambda: page.evaluate(there), JOB_S, "pictures")


def test_images_of_a_class_are_made_and_the_model_carried_over(page: Page) -> None:
    page.set_viewport_size(DESK)
    colours = archive(class_folders(16, size=(30, 30)))
    upload(page, "paints.zip", colours, "Paints", test_percent="25", longest_px="32")
    wait_state(page, "#version", "succeeded")
    page.get_by_role("link", name="Make images like these").click()
    expect(page.locator("#data option:checked")).to_contain_text("images, 3 classes")
    # Images in colour are learned in colour, also where they are chosen on the form itself.
    page.goto("/runs/new?method=cvae")
    page.locator("#data").select_option(label="Paints v1 · images, 3 classes")
    expect(page.get_by_label("Channels")).to_have_value("3")
    fill_run(page, **SHORT | {"name": "Painter", "model.image_px": "128"})
    expect(page.locator("#model-image_px-error")).to_contain_text("64 or less")
    fill_run(page, **{"model.image_px": "28", "model.width": "4", "model.hidden": "16"})
    expect(page.locator("#model-image_px-error")).to_be_empty()
    expect(page.locator("#summary")).to_contain_text("Examples seen")
    expect(page.locator("#judge option:checked")).to_contain_text("a small classifier")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    # Rows came in while it worked, without a reload: three classes at three looks.
    expect(page.locator("#samples .picture-row img")).to_have_count(9)
    expect(page.locator("#samples h3").first).to_have_text("step 6")
    expect(page.locator("#live")).to_contain_text("Distance from real ones")
    ready(page)
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)
    page.get_by_role("link", name="Full report").click()
    beside = section(page, "Beside real ones, and what needs no learning")
    expect(beside).to_contain_text("the mean of each class")
    expect(beside).to_contain_text("It is not yet worth anything")
    expect(beside).to_contain_text("the distances are rough")
    made = section(page, "What it makes")
    for title in (
        "Made by this checkpoint",
        "Real",
        "Made again",
        "From one to another",
        "Does it copy?",
    ):
        expect(made.get_by_role("heading", name=title, exact=True)).to_be_visible()
    ready(page)
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)

    # Its checkpoint is a source of the same kind of run, and of no other.
    page.go_back()
    page.get_by_role("link", name="Transfer from it").click()
    expect(page.get_by_label(re.compile("^Painter"))).to_be_checked()
    page.locator("#data").select_option(index=1)
    expect(page.locator("#plan")).to_contain_text("decoder.class.weight")
    expect(page.get_by_label("Image size (pixels)")).to_be_hidden()
    page.get_by_label("Also train a scratch twin").uncheck()
    fill_run(page, **SHORT | {"name": "Painter again"})
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    page.get_by_role("link", name="Full report").click()
    carried = section(page, "Which weights were carried over")
    expect(carried).to_contain_text("found exactly equal")
    expect(carried).to_contain_text("0 started afresh")
