"""Two members are trained together in the browser, answer as one, and are judged again."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    DESK,
    JOB_S,
    PHONE,
    RUN,
    overflows,
    section,
    upload,
    violations,
    wait_state,
)
from tests.browser.test_classifier import learn
from tests.pictures import archive, class_folders

pytestmark = pytest.mark.slow

ENSEMBLE = re.compile(r"/ensembles/[0-9a-f-]{36}$")


def test_members_are_trained_together_and_answer_as_one(page: Page) -> None:
    page.set_viewport_size(DESK)
    colours = archive(class_folders(16, size=(32, 32)))
    upload(page, "together.zip", colours, "Together", test_percent="25", longest_px="32")
    wait_state(page, "#version", "succeeded")
    page.get_by_role("link", name="Train a classifier").click()
    page.get_by_label("Pretrain from scratch").check()
    page.locator("#model").select_option(label="ResNet and ResNeXt · nano")
    section(page, "Training").get_by_text("More settings").click()
    learn(page, name="Hues", members="9", **{"training.cycles": "2", "training.steps": "6"})
    expect(page.locator("#members-error")).to_contain_text("from 1 to 5")
    page.locator("#members").fill("2")
    expect(page.locator("#members-error")).to_be_empty()
    expect(page.locator("#summary")).to_contain_text("one of 2 members")
    assert violations(page) == []
    page.get_by_role("button", name="Start", exact=True).click()

    # The ensemble waits for both.
    page.wait_for_url(ENSEMBLE)
    members = page.get_by_role("region", name="Members", exact=True)
    expect(members).to_contain_text("Hues · seed 1")
    wait_state(page, "#ensemble", "succeeded", timeout_s=3 * JOB_S)
    verdict = page.get_by_role("region", name="Is it better than its members?").first
    expect(verdict.get_by_role("row")).to_have_count(5)
    expect(verdict.get_by_role("row", name=re.compile("Hues · seed 1"))).to_contain_text("computed")
    expect(section(page, "Was it worth it?")).to_contain_text("raw pixels")
    expect(section(page, "Where it is most wrong").locator("img").first).to_be_visible()
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)
    ensemble = page.url

    # A run of cycles has left snapshots, which would be an ensemble at one click.
    verdict.get_by_role("link", name="Hues · seed 0").click()
    page.get_by_role("link", name="Hues · seed 0").first.click()
    page.wait_for_url(RUN)
    expect(page.locator("#where")).to_contain_text("cycle 2")
    expect(page.get_by_role("button", name="Ensemble of its snapshots")).to_be_visible()
    assert violations(page) == []

    # Another combination of the same members: one is too few, and nothing is computed again.
    page.goto(ensemble)
    page.get_by_role("link", name="Another combination").click()
    expect(page.get_by_role("checkbox", checked=True)).to_have_count(2)
    page.get_by_label("Combination", exact=True).select_option("logits")
    last = page.locator("[name=members]:checked").first
    left_out = last.get_attribute("value")
    last.uncheck()
    page.get_by_role("button", name="Make the ensemble").click()
    expect(page.locator("#id_members_error")).to_contain_text("takes two members or more")
    expect(page.get_by_label("Combination", exact=True)).to_have_value("logits")
    assert violations(page) == []
    page.locator(f"[name=members][value='{left_out}']").check()
    page.get_by_role("button", name="Make the ensemble").click()
    page.wait_for_url(ENSEMBLE)
    wait_state(page, "#ensemble", "succeeded", timeout_s=2 * JOB_S)
    made = page.get_by_role("region", name="How it was made")
    expect(made).to_contain_text("found from before")

    # Its checkpoint holds its members, and is judged on data again.
    page.get_by_role("link", name="Its checkpoint").click()
    members = page.get_by_role("region", name="Members", exact=True)
    expect(members).to_contain_text("Hues · seed 1")
    expect(page.get_by_role("region", name="Files")).to_contain_text("members/1/model.safetensors")
    assert violations(page) == []
    page.get_by_role("link", name="Judge on other data").click()
    page.get_by_label("Data", exact=True).select_option(index=1)
    page.get_by_role("button", name="Judge it").click()
    page.wait_for_url(ENSEMBLE)
    wait_state(page, "#ensemble", "succeeded", timeout_s=2 * JOB_S)
    expect(made).to_contain_text("found from before")
    page.goto("/ensembles/")
    expect(page.get_by_role("row", name=re.compile("Together v1"))).to_have_count(3)
    assert violations(page) == []
