"""Texts of a class are learned in the browser: seen improving, measured, and written on request."""

from __future__ import annotations

import random

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    DESK,
    JOB_S,
    PHONE,
    RUN,
    TINY,
    fill_run,
    jsonl,
    overflows,
    section,
    upload,
    violations,
    wait_state,
)

pytestmark = pytest.mark.slow

SAID = {
    "weather": ["rain from the west", "a cold wind", "fog at dawn", "sun on the hills"],
    "kitchen": ["stir the butter", "two eggs", "bake until brown", "a pinch of salt"],
    "harbour": ["the boat is in", "ropes and tar", "gulls on the quay", "a crate of fish"],
}


def texts() -> bytes:
    """Texts of three kinds, which a reader tells apart at a glance."""
    draw, lines = random.Random(7), []
    for kind, phrases in SAID.items():
        said = [", ".join(draw.choices(phrases, k=3)) + f" {number}" for number in range(60)]
        lines.append(jsonl(said, kind=kind))
    return b"".join(lines)


def looks_right(page: Page, name: str) -> None:
    assert violations(page) == [], name
    page.set_viewport_size(PHONE)
    assert overflows(page) == [], name
    page.set_viewport_size(DESK)


def test_texts_of_a_class_are_learned_and_written_on_request(page: Page) -> None:
    page.set_viewport_size(DESK)
    upload(page, "notes.jsonl", texts(), "Notes of a town", label_field="kind", test_percent="20")
    wait_state(page, "#version", "succeeded")
    page.get_by_role("link", name="Write texts like these").click()
    expect(page.locator("#data option:checked")).to_contain_text("texts, 3 classes")
    for kind in SAID:
        expect(page.locator("#labels")).to_contain_text(kind)
    expect(page.get_by_label("Also train a twin without labels")).to_be_checked()
    fill_run(
        page,
        **TINY
        | {
            "name": "Town writer",
            "training__steps": 200,
            "training__learning_rate": "0.01",
            "evaluation__every": 50,
            "evaluation__judged": 5,
            "control__unlabelled_share": "1",
        },
    )
    expect(page.locator("#control-unlabelled_share-error")).to_contain_text("less than 1")
    fill_run(page, control__unlabelled_share="0.2")
    expect(page.locator("#control-unlabelled_share-error")).to_be_empty()
    expect(page.locator("#summary")).to_contain_text("The twin without labels takes about as long")
    looks_right(page, "form")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    # Looks came in while it worked, without a reload, and all stay: four rows at three of them.
    expect(page.locator("#samples .label-row")).to_have_count(12)
    expect(page.locator("#samples h3").first).to_have_text("step 200")
    for kind in SAID:
        expect(page.locator("#samples h4", has_text=kind)).to_have_count(3)
    expect(page.locator("#live")).to_contain_text("Loss with the true label")
    looks_right(page, "run")

    page.get_by_role("link", name="twin without labels").or_(
        page.get_by_role("link", name="Town writer · without labels")
    ).first.click()
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    page.get_by_role("link", name="Full report").click()
    expect(section(page, "Did the labels help?")).to_contain_text("The labels helped")
    changed = section(page, "What the labels changed")
    for reading in ("with its label", "with a wrong label", "by the twin without labels"):
        expect(changed).to_contain_text(reading)
    beside = section(page, "What it writes, beside real texts")
    expect(beside).to_contain_text("written without a label")
    expect(beside).to_contain_text("real ones, cut as long")
    expect(section(page, "As a classifier")).to_contain_text("words alone (TF-IDF)")
    looks_right(page, "report")

    # Its checkpoint writes what it is told, and one that knows no labels is offered none.
    page.get_by_role("link", name="Checkpoint", exact=True).click()
    expect(section(page, "Labels")).to_contain_text("<|control:kitchen|>")
    looks_right(page, "checkpoint")
    page.get_by_role("link", name="Try it").click()
    page.get_by_label("Checkpoint", exact=True).select_option(label="Town writer · without labels")
    expect(page.get_by_label("Label", exact=True)).to_have_count(0)
    page.get_by_label("Checkpoint", exact=True).select_option(label="Town writer")
    page.get_by_label("Label", exact=True).select_option("kitchen")
    page.get_by_label("Length").fill("24")
    looks_right(page, "playground")
    page.get_by_role("button", name="Write").click()
    wait_state(page, ".answer", "succeeded", timeout_s=JOB_S)
    expect(page.locator(".settings-line")).to_contain_text("kitchen")
    words = {word for phrase in SAID["kitchen"] for word in phrase.split() if len(word) > 2}
    written = set(page.locator("#text-1 .continuation").inner_text().replace(",", " ").split())
    assert words & written, written
    looks_right(page, "written")
