"""Pairs of texts: named by a hint, read as pairs, and told apart by a network as pairs."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    CHECKPOINT,
    JOB_S,
    PHONE,
    RUN,
    VERSION,
    drop,
    fill_run,
    overflows,
    section,
    upload,
    violations,
    wait_state,
)
from tests.integration.training.labelled import checkpoint
from tests.parity.text import CASES, word_pieces

pytestmark = pytest.mark.slow


def test_rows_are_read_as_pairs_and_told_apart_as_pairs(page: Page, tmp_path: Path) -> None:
    rows = [
        f"and so it went {n},it {('goes', 'xyz')[n % 2]} {n},{('yes', 'no')[n % 2]}"
        for n in range(80)
    ]
    table = "\n".join(["premise,hypothesis,answer", *rows, "alone,,yes"]).encode()
    read = {"label_field": "answer", "text_field": "premise", "test_percent": "25"}
    upload(page, "premises.csv", table, "Premises", **read)
    wait_state(page, "#version", "succeeded")
    hint = "choose hypothesis as the second text column"
    expect(page.locator("main")).to_contain_text(hint)
    first = page.url

    page.get_by_role("link", name="Another version with other settings").click()
    wanted = page.get_by_label("Second text column")
    wanted.fill("premise")
    page.get_by_role("button", name="Check again").click()
    page.wait_for_url(VERSION)
    wait_state(page, "#version", "failed")
    expect(page.locator("#version")).to_contain_text("premise is read as the text")
    page.goto(f"{first}/again")
    wanted.fill("hypothesis")
    page.get_by_role("button", name="Check again").click()
    page.wait_for_url(VERSION)
    wait_state(page, "#version", "succeeded")
    expect(page.locator("main")).not_to_contain_text(hint)
    expect(page.locator("main")).to_contain_text("1 rows without a second text were left out.")
    expect(page.locator(".document-text.second").first).to_contain_text("it ")
    assert violations(page) == []
    version = page.url.rsplit("/", 1)[1]

    pieces = word_pieces(lowercase=True)
    config = CASES["bert-pooler"].model_copy(update={"vocab_size": pieces.size})
    folder = checkpoint(tmp_path / "bert", config, pieces)
    files = [(one.name, one.read_bytes()) for one in folder.iterdir() if one.name != "card.json"]
    page.goto("/checkpoints/import?tab=folder")
    drop(page, "[data-drop]", files)
    expect(page.locator(".upload-file")).to_have_count(len(files))
    page.get_by_label("Name", exact=True).fill("BERT for pairs")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)
    page.get_by_role("link", name="Use as source").click()
    expect(page.locator("#summary")).to_be_visible()
    page.goto(f"{page.url}&data={version}")
    page.get_by_label("Also train a scratch twin").uncheck()
    short = {"training.steps": "12", "training.warmup_steps": "2", "evaluation.every": "4"}
    # From the top down, and the lower a block, the slower it learns.
    how = {"training.policy": "gradual", "training.rate_decay": "0.8"}
    fill_run(page, **short, **how, **{"inputs.image_px": "", "inputs.most_tokens": "24"})
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    page.get_by_role("link", name="Full report").click()
    wrong = section(page, "Where it is most wrong")
    expect(wrong.locator(".document-text.second").first).to_contain_text("it ")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
