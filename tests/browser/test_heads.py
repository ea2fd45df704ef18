"""Labelled texts come in, a head is fitted on a model's features, and the report is read."""

from __future__ import annotations

import io
import re
import zipfile

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import load

from tests.browser.story import (
    HEAD,
    JOB_S,
    PHONE,
    PREDICTION,
    Portal,
    dropped_model,
    overflows,
    upload,
    violations,
    wait_state,
)

pytestmark = pytest.mark.slow

WORDS = {"praise": ["grand", "lovely", "superb"], "blame": ["dull", "feeble", "dreary"]}


def labelled(count: int) -> bytes:
    random = np.random.default_rng(0)
    lines = ["text,verdict"]
    for number in range(count):
        verdict = ("praise", "blame")[number % 2]
        lines.append(f"A {random.choice(WORDS[verdict])} film number {number},{verdict}")
    return ("\n".join(lines) + "\n").encode()


def test_a_head_is_fitted_on_a_model_s_features(page: Page, portal: Portal) -> None:
    model = dropped_model(page, portal)
    upload(page, "films.csv", labelled(160), "Films", label_field="verdict", test_percent="25")
    wait_state(page, "#version", "succeeded")
    classes = page.get_by_role("region", name="Classes", exact=True)
    expect(classes).to_contain_text("2 classes from the column verdict")
    expect(classes.get_by_role("row", name=re.compile("praise"))).to_contain_text("50.0%")
    assert violations(page) == []

    # A pooling that sees nothing is refused at its field; what was typed stays.
    page.get_by_role("link", name="Fit a head").click()
    expect(page.get_by_label("Data", exact=True)).to_have_value(re.compile(r"[0-9a-f-]{36}"))
    page.get_by_label("Checkpoint", exact=True).select_option(model.rsplit("/", 1)[1])
    page.get_by_label("Pooling", exact=True).select_option("first")
    page.get_by_label("Training examples", exact=True).fill("60")
    page.get_by_role("button", name="Fit the head").click()
    expect(page.locator("#id_pooling_error")).to_contain_text("looks at nothing but itself")
    expect(page.get_by_label("Training examples", exact=True)).to_have_value("60")
    assert violations(page) == []
    page.get_by_label("Pooling", exact=True).select_option("mean")
    page.get_by_role("button", name="Fit the head").click()

    page.wait_for_url(HEAD)
    wait_state(page, "#head", "succeeded", timeout_s=2 * JOB_S)
    verdict = page.get_by_role("region", name="Was it worth it?").first
    expect(verdict).to_contain_text("40 examples it never saw")
    expect(verdict.get_by_role("row")).to_have_count(5)
    # Single words tell these apart, so words alone are right in all of them.
    expect(verdict.get_by_role("row", name=re.compile("words alone"))).to_contain_text("100.0%")
    expect(page.get_by_role("region", name="How it was made")).to_contain_text("computed in")
    expect(page.get_by_role("region", name="How it was made")).to_contain_text("60")
    expect(page.locator("#head[hx-trigger]")).to_have_count(0)
    assert violations(page) == []
    size = page.viewport_size
    assert size is not None
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(size)

    with page.expect_download() as expected:
        page.get_by_role("link", name="Download").click()
    with zipfile.ZipFile(io.BytesIO(expected.value.path().read_bytes())) as archive:
        (name,) = [one for one in archive.namelist() if one.endswith("head.safetensors")]
        assert load(archive.read(name))["kernel"].shape[1] == 2

    # It predicts as it was scored.
    head, mine = page.url, verdict.get_by_role("row", name=re.compile("this checkpoint"))
    right = mine.get_by_role("cell").first.inner_text()
    page.get_by_role("link", name="Predict", exact=True).click()
    page.get_by_label("Data", exact=True).select_option(label="Films v1 · texts")
    page.get_by_label("Split", exact=True).select_option("test")
    page.get_by_role("button", name="Predict", exact=True).click()
    page.wait_for_url(PREDICTION)
    wait_state(page, "#prediction", "succeeded", timeout_s=JOB_S)
    expect(page.locator("#prediction .figures")).to_contain_text(f"{right} right")
    expect(page.locator("#examples")).to_contain_text("film number")
    assert violations(page) == []
    page.goto(head)
    expect(page.get_by_role("region", name="Predictions").get_by_role("link")).to_have_count(1)

    # Another head on the same features: nothing is computed again.
    page.get_by_role("link", name="Another with other settings").click()
    page.get_by_label("Head", exact=True).select_option("knn")
    page.get_by_role("button", name="Fit the head").click()
    page.wait_for_url(HEAD)
    wait_state(page, "#head", "succeeded", timeout_s=2 * JOB_S)
    expect(page.get_by_role("region", name="How it was made")).to_contain_text("found from before")

    page.goto("/heads/")
    expect(page.get_by_role("row", name=re.compile("Films"))).to_have_count(2)
    assert violations(page) == []
    page.goto(model)
    heads = page.get_by_role("region", name="Heads on its features")
    expect(heads.get_by_role("link")).to_have_count(2)
