"""A network is pretrained on labelled images in the browser, and fine-tuned on others."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.browser.story import (
    CHECKPOINT,
    JOB_S,
    fill_run,
    overflows,
    upload,
    violations,
    wait_state,
)
from tests.pictures import archive, class_folders

pytestmark = pytest.mark.slow

RUN = re.compile(r"/runs/[0-9a-f-]{36}$")
PHONE = {"width": 390, "height": 844}
DESK = {"width": 1280, "height": 900}


def section(page: Page, title: str) -> Locator:
    """A part of the page by its heading."""
    return page.locator("section").filter(has=page.get_by_role("heading", name=title, exact=True))


def learn(page: Page, **more: str) -> None:
    """A short run on small images."""
    short = {"inputs.image_px": "32", "training.steps": "12", "training.warmup_steps": "2"}
    fill_run(page, **short | {"evaluation.every": "4"} | more)


def test_a_classifier_is_pretrained_watched_and_carried_over(page: Page) -> None:
    page.set_viewport_size(DESK)
    colours = archive(class_folders(16, size=(32, 32)))
    upload(page, "seen.zip", colours, "Seen before", test_percent="25", longest_px="32")
    wait_state(page, "#version", "succeeded")
    # From the data to a network that has learned nothing yet.
    page.get_by_role("link", name="Train a classifier").click()
    expect(page.get_by_label("Data", exact=True).locator("option:checked")).to_contain_text("Seen")
    page.get_by_label("Pretrain from scratch").check()
    expect(page.get_by_role("heading", name="How the weights are adapted")).to_be_hidden()
    page.locator("#model").select_option(label="ResNet and ResNeXt · nano")
    learn(page, name="Colours first")
    expect(page.locator("#summary")).to_contain_text("Examples seen")
    assert violations(page) == []
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    expect(page.locator("#live")).to_contain_text("Examples per second")
    expect(page.get_by_role("heading", name="What it writes")).to_have_count(0)
    expect(page.locator(".run-side")).to_contain_text("ResNet and ResNeXt, 4 layers")
    page.get_by_role("link", name="Report").click()
    expect(section(page, "Beside what it must beat")).to_contain_text(
        "raw pixels (logistic regression)"
    )
    expect(section(page, "Where it is most wrong").locator("img")).to_have_count(12)
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)

    # Fine-tuned on other classes, beside its twin.
    other = archive(class_folders(12, classes=("stop", "go"), size=(32, 32)))
    upload(page, "signals.zip", other, "Signals", test_percent="25", longest_px="32")
    wait_state(page, "#version", "succeeded")
    page.get_by_role("link", name="Train a classifier").click()
    page.get_by_label(re.compile("^Colours first")).check()
    page.get_by_label("What is trained", exact=True).select_option("lp_ft")
    learn(page, **{"training.l2_sp": "0.01", "training.warmup_steps": "20"})
    expect(page.locator("#training-warmup_steps-error")).to_contain_text("longer than the run")
    fill_run(page, **{"training.warmup_steps": "2"})
    expect(page.locator("#training-warmup_steps-error")).to_be_empty()
    expect(page.locator("#plan")).to_contain_text("fc.weight")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    expect(section(page, "Was the transfer worth it?")).to_contain_text(
        "transfer", timeout=2 * JOB_S * 1000
    )
    assert violations(page) == []
    page.get_by_role("link", name="Full report").click()
    beside = section(page, "Beside what it must beat")
    expect(beside).to_contain_text("the scratch twin")
    expect(section(page, "What is taken for what")).to_contain_text("stop")
    assert violations(page) == []

    # What it made is a source of its own, and has nothing to write.
    page.get_by_role("link", name="Checkpoint", exact=True).click()
    page.wait_for_url(CHECKPOINT)
    page.get_by_role("link", name="Use as source").click()
    expect(page.get_by_role("radio", name=re.compile("Signals")).first).to_be_checked()
    expect(page.locator("[name=method]")).to_have_value("classification")
