"""Folders dropped, weights copied, models asked, the administration opened: in Chromium."""

from __future__ import annotations

import io
import re
import zipfile
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    CHECKPOINT,
    JOB_S,
    People,
    Portal,
    drop,
    dropped_model,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def model(page: Page, portal: Portal) -> str:
    return dropped_model(page, portal)


def test_a_folder_without_weights_is_refused_before_anything_is_sent(
    page: Page, portal: Portal
) -> None:
    page.goto("/checkpoints/import?tab=folder")
    before = portal.rows("SELECT count(*) AS n FROM datasets_upload")
    drop(page, "[data-drop]", [("config.json", b"{}"), ("pytorch_model.bin", b"x")])
    expect(page.locator("[data-import-error]")).to_contain_text("pytorch_model.bin")
    page.get_by_role("button", name="Import", exact=True).click()
    expect(page.locator("[data-import-error]")).to_be_visible()
    assert portal.rows("SELECT count(*) AS n FROM datasets_upload") == before


def test_weights_are_copied_into_a_deeper_model_after_a_preview(
    page: Page, portal: Portal, model: str
) -> None:
    page.goto(model)
    page.get_by_role("link", name="Copy into a new model").click()
    expect(page.locator("#plan")).to_contain_text("100.0 %")
    layers = page.get_by_label("Layers", exact=True)
    deeper = int(layers.input_value()) + 1
    layers.fill(str(deeper))
    expect(page.locator("#plan")).to_contain_text(f"Layer {deeper - 1}")
    expect(page.locator("#plan")).not_to_contain_text("100.0 %")
    layers.fill("0")  # said at once, and nothing typed is lost
    expect(page.locator("#plan .field-error")).to_be_visible()
    layers.fill(str(deeper))
    expect(page.locator("#plan")).to_contain_text(f"Layer {deeper - 1}")
    # One rule redraws the plan at once; one that cannot be followed is said at its field.
    rules = page.get_by_label("Rules", exact=True)
    rules.fill("layer.{i} -> decoder.{i}")
    expect(page.locator("#plan .field-error")).to_contain_text("matches nothing")
    rules.fill("layer.0 -> layer.1\nlayer.1 -> layer.0")
    expect(page.locator("#plan .plan-band")).not_to_have_count(0)
    page.get_by_label("New layers").select_option("identity")
    page.locator(".plan-block", has_text="Layer 1").locator("summary").click()
    expect(page.locator("#plan")).to_contain_text("Your rule: layer.0 -> layer.1.")
    page.get_by_label("Name of the plan").fill("Swapped")
    page.get_by_role("button", name="Keep this plan").click()
    expect(page.get_by_role("link", name="Swapped")).to_be_visible()
    expect(rules).to_have_value("layer.0 -> layer.1\nlayer.1 -> layer.0")
    expect(layers).to_have_value(str(deeper))
    page.get_by_label("Name", exact=True).fill("Deeper")
    page.get_by_role("button", name="Copy the weights").click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)
    expect(page.get_by_role("heading", level=1)).to_have_text("Deeper")
    copy = page.url
    expect(page.get_by_role("region", name="Proof of the copy")).to_contain_text("by BLAKE3")
    page.get_by_role("link", name="What went where").click()
    expect(page.locator(".proof-table tbody tr")).not_to_have_count(0)
    page.goto(copy)
    # The lineage leads back, and from there to the copy.
    page.locator("a.lineage-node", has_text="Dropped").click()
    expect(page).to_have_url(model)
    expect(page.locator("a.lineage-node", has_text="Deeper")).to_be_visible()


def test_a_download_says_how_long_it_is_and_holds_every_file(
    page: Page, model: str, tmp_path: Path
) -> None:
    page.goto(model)
    with page.expect_download() as started:
        page.get_by_role("link", name="Download").click()
    assert started.value.suggested_filename == "dropped.zip"
    answer = page.request.get(f"{model}/download")
    assert int(answer.headers["content-length"]) == len(answer.body())
    with zipfile.ZipFile(io.BytesIO(answer.body())) as archive:
        names = {name.split("/", 1)[1] for name in archive.namelist()}
        weights = archive.read("dropped/model.safetensors")
    assert {"model.safetensors", "config.json", "tokenizer.json", "card.json"} <= names
    assert len(weights) > 1000


def test_a_model_answers_twice_alike_and_a_new_seed_differs(page: Page, model: str) -> None:
    def ask() -> str:
        page.goto(f"/playground/?checkpoint={model.rsplit('/', 1)[1]}")
        page.locator("[name=prompt]").fill("the")
        page.locator("[name=max_tokens]").fill("24")
        page.locator("[name=prompt]").press("Control+Enter")
        return written()

    def written() -> str:
        expect(page.locator(".answer .state-succeeded")).to_be_visible(timeout=JOB_S * 1000)
        expect(page.locator("#answers")).not_to_have_attribute("hx-trigger", "every 400ms")
        return page.locator("#text-1 .continuation").inner_text()

    first, second = ask(), ask()
    assert first == second
    page.get_by_role("button", name="Again, with a new seed").click()
    assert written() != first
    # Whoever gets the link sees the same.
    page.reload()
    assert written() != first


def test_the_list_filters_as_one_types_and_its_address_can_be_passed_on(
    page: Page, model: str
) -> None:
    page.goto("/checkpoints/")
    page.locator("#filter-q").press_sequentially("Dropp")
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    expect(page).to_have_url(re.compile(r"q=Dropp"))
    page.reload()
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    page.locator("#filter-q").fill("nothing like this")
    expect(page.get_by_text("Nothing fits")).to_be_visible()


def test_every_page_of_the_administration_works_under_the_strict_policy(
    page: Page, people: People, portal: Portal, model: str
) -> None:
    page.goto("/admin/")
    lists = page.locator("#content-main th a").evaluate_all("all => all.map(one => one.href)")
    assert len(lists) > 12
    for address in lists:
        page.goto(address)
        expect(page.locator("#content, .empty")).to_be_visible()
        rows = page.locator("#result_list tbody th a")
        if rows.count():
            page.goto(str(rows.first.get_attribute("href")))
            expect(page.locator("#content")).to_be_visible()
    page.goto("/admin/queues/")
    expect(page.locator("#content")).to_be_visible()
    page.goto("/admin/queues/queues/0/")  # the page with an inline script: complaints would tell
    expect(page.locator("#content")).to_be_visible()
    # django-rq calls a jQuery plugin that Django dropped; Django's own script selects the rows.
    people.forgive("$(...).actions is not a function")
    assert people.complaints == []
