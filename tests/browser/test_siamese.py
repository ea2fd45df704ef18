"""Features are learned in the browser from images without labels, and used by a classifier."""

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
    upload,
    violations,
    wait_state,
)
from tests.pictures import archive, class_folders

pytestmark = pytest.mark.slow


def learn(page: Page, **more: str) -> None:
    """A short run on small images."""
    short = {
        "views.image_px": "32",
        "training.steps": "6",
        "training.batch_size": "8",
        "training.warmup_steps": "2",
        "evaluation.every": "3",
    }
    fill_run(page, **short | more)


def test_features_are_learned_without_labels_and_fine_tuned(page: Page) -> None:
    page.set_viewport_size(DESK)
    colours = archive(class_folders(16, size=(32, 32)))
    upload(page, "hues.zip", colours, "Hues", test_percent="25", longest_px="32")
    wait_state(page, "#version", "succeeded")
    page.get_by_role("link", name="Learn features without labels").click()
    expect(page.locator("#data option:checked")).to_contain_text("48 images, labels for watching")
    page.locator("#model").select_option(label="ResNet and ResNeXt · nano")
    learn(page, name="Views of colours")
    expect(page.locator("#summary")).to_contain_text("Images seen")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    expect(page.locator("#live")).to_contain_text("Nearest neighbours")
    expect(page.locator("#live")).not_to_contain_text("Best validation loss")
    # What it made stands beside without a reload.
    expect(page.locator("#where").get_by_role("link", name="Views of colours")).to_be_visible()
    expect(page.locator("#run-chart-metric option").first).to_have_text("accuracy of the features")
    assert violations(page) == []
    page.get_by_role("link", name="Full report").click()
    beside = section(page, "Beside what it must beat")
    expect(beside).to_contain_text("the same network with random weights")
    expect(beside).to_contain_text("raw pixels (logistic regression)")
    expect(page.locator(".run-outcome")).to_contain_text("can now be the source of a transfer")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)

    # It goes on from what it learned, beside a twin that did not; neighbours judge them.
    page.go_back()
    first, source = page.url, page.url.rpartition("/")[2]
    page.goto(f"/runs/new?method=simclr&source={source}")
    expect(page.get_by_label(re.compile("^Views of colours"))).to_be_checked()
    page.locator("#data").select_option(index=1)
    learn(page, name="Views again")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    expect(page.locator("#outcome .verdict")).to_contain_text(
        "nearest neighbours", timeout=JOB_S * 1000
    )
    assert violations(page) == []

    # And it is a classifier's source: it gets a head.
    page.goto(first)
    page.get_by_role("link", name="Transfer from it").click()
    expect(page.get_by_label(re.compile("^Views of colours"))).to_be_checked()
    page.locator("#data").select_option(index=1)
    expect(page.locator("#plan")).to_contain_text("fc.weight")
    page.get_by_label("Also train a scratch twin").uncheck()
    fill_run(
        page,
        **{
            "name": "Named colours",
            "inputs.image_px": "32",
            "training.steps": "6",
            "training.warmup_steps": "2",
        },
    )
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    page.get_by_role("link", name="Full report").click()
    carried = section(page, "Which weights were carried over")
    expect(carried).to_contain_text("found exactly equal")


def test_byol_simsiam_and_moco_learn_from_images_that_have_no_labels(page: Page) -> None:
    page.set_viewport_size(DESK)
    # All in one place: no folder says what they are.
    files = class_folders(12, size=(32, 32))
    flat = archive({name.replace("/", "-"): content for name, content in files.items()})
    upload(page, "plain.zip", flat, "Without labels", longest_px="32")
    wait_state(page, "#version", "succeeded")
    data = page.url.rpartition("/")[2]
    runs = []
    own = {
        "byol": {},
        "simsiam": {},
        "moco": {"objective.queue": "32", "objective.norm_parts": "2"},
    }
    for method, settings in own.items():
        page.goto(f"/runs/new?method={method}&data={data}")
        expect(page.locator("#data option:checked")).to_contain_text("36 images, no labels")
        page.locator("#model").select_option(label="ResNet and ResNeXt · nano")
        learn(page, name=f"Run of {method}", **settings)
        page.get_by_role("button", name="Start", exact=True).click()
        page.wait_for_url(RUN)
        runs.append(page.url)
    for url in runs:
        page.goto(url)
        wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
        expect(page.locator("#live")).to_contain_text("Spread")
        page.get_by_role("link", name="Full report").click()
        expect(page.get_by_role("heading", name="Beside what it must beat")).to_have_count(0)
        expect(page.locator("table").first).to_contain_text("spread of the projections")
