"""A small network learns to tag the words of sentences, from the upload to the report."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    CHECKPOINT,
    DESK,
    JOB_S,
    PHONE,
    RUN,
    drop,
    fill_run,
    overflows,
    section,
    upload,
    violations,
    wait_state,
)
from tests.integration.training.labelled import begun, tagged_conll
from tests.parity.text import CASES, word_pieces

pytestmark = pytest.mark.slow


def test_names_are_learned_from_tagged_words(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size(DESK)
    pieces = word_pieces(lowercase=True)
    config = CASES["bert-pooler"].model_copy(update={"vocab_size": pieces.size})
    folder = begun(tmp_path / "bert", config, pieces)
    files = [(one.name, one.read_bytes()) for one in folder.iterdir() if one.name != "card.json"]
    page.goto("/checkpoints/import?tab=folder")
    drop(page, "[data-drop]", files)
    expect(page.locator(".upload-file")).to_have_count(len(files))
    page.get_by_label("Name", exact=True).fill("Tagger before")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)

    # Two tags of the last sentence follow no rule; that is said, and they stay as they are.
    content = tagged_conll(120) + "\nand\tO\nit\tI-PER\n\nso\tI-PER\n"
    upload(page, "names.conll", content.encode(), "Tagged words", test_percent="25")
    wait_state(page, "#version", "succeeded")
    version = page.url
    expect(section(page, "Tags")).to_contain_text("4 tags from the column 2")
    expect(section(page, "Entities")).to_contain_text("IOB2")
    expect(section(page, "Preview").locator(".word-1")).not_to_have_count(0)
    expect(page.locator("#version")).to_contain_text("2 tags break the rules of IOB2")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)

    # A column that there is not is refused; what was read before is still there.
    page.get_by_role("link", name="Another version with other settings").click()
    page.get_by_label("Label column").fill("5")
    page.get_by_role("button", name="Check again").click()
    wait_state(page, "#version", "failed")
    expect(page.get_by_role("alert")).to_contain_text("numbered from 1 to 2")
    page.goto(version)

    page.get_by_role("link", name="Learn to tag words").click()
    expect(page.locator("#data option:checked")).to_contain_text("4 tags")
    page.get_by_label(re.compile("^Tagger before")).check()
    fill_run(
        page,
        **{
            "training.steps": "24",
            "training.warmup_steps": "2",
            "training.learning_rate": "0.01",
            "evaluation.every": "12",
            "name": "Tagger",
        },
    )
    expect(page.locator("#plan")).to_contain_text("classifier.weight")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    expect(section(page, "Was the transfer worth it?")).to_contain_text(
        "transfer", timeout=2 * JOB_S * 1000
    )
    page.get_by_role("link", name="Full report").click()
    beside = section(page, "Beside what it must beat")
    for told in ("Entity F1", "the commonest tag of each word", "the scratch twin"):
        expect(beside).to_contain_text(told)
    expect(section(page, "What is taken for what")).to_contain_text("B-LOC")
    expect(section(page, "Where it is most wrong").locator(".word")).not_to_have_count(0)
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)

    # Its checkpoint is the source of a run that goes on from there, its head included.
    page.get_by_role("link", name="Checkpoint", exact=True).click()
    page.wait_for_url(CHECKPOINT)
    expect(page.locator("main")).to_contain_text("BertForTokenClassification")
    page.get_by_role("link", name="Use as source").click()
    expect(page.locator("[name=method]")).to_have_value("token_classification")
    page.locator("#data").select_option(index=1)
    expect(page.locator("#plan")).to_contain_text(re.compile(r"([\d,]+) of \1 parameters"))
