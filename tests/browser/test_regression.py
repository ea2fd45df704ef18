"""A small network learns to predict the rating of texts, from the upload to the report."""

from __future__ import annotations

import random
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
from tests.integration.training.labelled import PHRASES, checkpoint
from tests.parity.text import CASES, word_pieces

pytestmark = pytest.mark.slow


def rated(count: int) -> bytes:
    """Texts whose phrases decide their rating, as CSV."""
    draw = random.Random(4)
    lines = ["text,rating"]
    for number in range(count):
        said = draw.choices(list(PHRASES), k=3)
        lines.append(f"{' '.join(said)} {number},{sum(PHRASES[one] for one in said) / 10:.2f}")
    return ("\n".join(lines) + "\n").encode()


def test_a_rating_is_learned_from_texts_and_read_in_its_units(page: Page, tmp_path: Path) -> None:
    page.set_viewport_size(DESK)
    pieces = word_pieces(lowercase=True)
    config = CASES["bert-pooler"].model_copy(update={"vocab_size": pieces.size})
    folder = checkpoint(tmp_path / "bert", config, pieces)
    files = [(one.name, one.read_bytes()) for one in folder.iterdir() if one.name != "card.json"]
    page.goto("/checkpoints/import?tab=folder")
    drop(page, "[data-drop]", files)
    expect(page.locator(".upload-file")).to_have_count(len(files))
    page.get_by_label("Name", exact=True).fill("Rater before")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)
    before = page.url.rsplit("/", 1)[1]

    upload(page, "ratings.csv", rated(120), "Rated texts", label_field="rating", test_percent="25")
    wait_state(page, "#version", "succeeded")
    version = page.url
    number = section(page, "Number to predict: rating")
    expect(number).to_contain_text("Median")
    expect(number.locator("svg rect")).not_to_have_count(0)
    expect(page.locator("#version")).to_contain_text("were taken for numbers")
    assert violations(page) == []

    # As classes they are refused; what was read before is still there.
    page.get_by_role("link", name="Another version with other settings").click()
    page.get_by_label("Labels are").select_option(label="names of classes")
    page.get_by_role("button", name="Check again").click()
    wait_state(page, "#version", "failed")
    expect(page.get_by_role("alert")).to_contain_text("each class needs")
    page.goto(version)

    page.get_by_role("link", name="Predict the number").click()
    expect(page.locator("#data option:checked")).to_contain_text("rating from")
    page.get_by_label(re.compile("^Rater before")).check()
    fill_run(
        page,
        **{
            "inputs.most_tokens": "16",
            "training.steps": "24",
            "training.warmup_steps": "2",
            "training.learning_rate": "0.01",
            "training.loss": "huber",
            "evaluation.every": "12",
            "name": "Rater",
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
    page.locator("[data-chart-metric]").select_option(label="validation RMSE")
    page.get_by_role("link", name="Full report").click()
    beside = section(page, "How well it predicts rating")
    for told in ("words alone (TF-IDF, ridge regression)", "the scratch twin", "training median"):
        expect(beside).to_contain_text(told)
    expect(section(page, "Predicted against true").locator("circle")).to_have_count(30)
    expect(section(page, "Where it is most wrong")).to_contain_text("predicted")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)

    # A head on frozen features predicts it too: what needs classes is refused, and nothing is lost.
    report = page.url
    page.goto(version)
    page.get_by_role("link", name="Fit a head").click()
    expect(page.get_by_label("Data", exact=True)).to_contain_text("a number each (rating)")
    page.get_by_label("Checkpoint", exact=True).select_option(before)
    page.get_by_label("Head", exact=True).select_option("prototype")
    page.locator("summary", has_text="Further settings").click()
    page.get_by_label("Name", exact=True).fill("Frozen rater")
    page.get_by_role("button", name="Fit the head").click()
    expect(page.locator("#id_head_error")).to_contain_text("these labels are numbers")
    page.get_by_label("Head", exact=True).select_option("linear")
    page.get_by_role("button", name="Fit the head").click()
    wait_state(page, "#head", "succeeded", timeout_s=JOB_S)
    expect(page.get_by_role("heading", name="Frozen rater")).to_be_visible()
    expect(section(page, "How well it predicts rating")).to_contain_text("random weights")
    expect(section(page, "Predicted against true").locator("circle")).to_have_count(30)
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)
    page.get_by_role("link", name="Map and neighbours").click()
    expect(page.locator(".map-points a")).to_have_count(114)
    assert violations(page) == []
    page.goto(report)

    # Its checkpoint says what it predicts, and is the source of a run that goes on from there.
    page.get_by_role("link", name="Checkpoint", exact=True).click()
    page.wait_for_url(CHECKPOINT)
    expect(page.locator("main")).to_contain_text("Predicts the number")
    page.get_by_role("link", name="Use as source").click()
    expect(page.locator("[name=method]")).to_have_value("regression")
    page.locator("#data").select_option(index=1)
    expect(page.locator("#plan")).to_contain_text(re.compile(r"([\d,]+) of \1 parameters"))
