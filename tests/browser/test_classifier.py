"""A network is pretrained on labelled images in the browser, and fine-tuned on others."""

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
    PREDICTION,
    RUN,
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
from tests.pictures import archive, class_folders

pytestmark = pytest.mark.slow


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
    expect(page.locator("#data option:checked")).to_contain_text("Seen")
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
    page.get_by_role("link", name="Full report").click()
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
    made = page.url

    # It predicts images of other classes too: none of them is known, and all are shown.
    page.get_by_role("link", name="Predict", exact=True).click()
    page.get_by_label("Data", exact=True).select_option(label="Seen before v1 · images")
    page.get_by_label("Split", exact=True).select_option("test")
    page.get_by_role("button", name="Predict", exact=True).click()
    page.wait_for_url(PREDICTION)
    wait_state(page, "#prediction", "succeeded", timeout_s=JOB_S)
    expect(section(page, "Worth knowing")).to_contain_text("It knows: ")
    expect(page.locator("#examples img").first).to_be_visible()
    expect(page.locator("#examples")).to_contain_text("unknown to the model")
    assert violations(page) == []
    page.goto(made)
    page.get_by_role("link", name="Use as source").click()
    expect(page.get_by_role("radio", name=re.compile("Signals")).first).to_be_checked()
    expect(page.locator("[name=method]")).to_have_value("classification")


def test_a_network_of_texts_is_adapted_by_low_rank_updates(page: Page, tmp_path: Path) -> None:
    pieces = word_pieces(lowercase=True)
    config = CASES["bert-pooler"].model_copy(update={"vocab_size": pieces.size})
    folder = checkpoint(tmp_path / "bert", config, pieces)
    files = [(one.name, one.read_bytes()) for one in folder.iterdir() if one.name != "card.json"]
    page.goto("/checkpoints/import?tab=folder")
    drop(page, "[data-drop]", files)
    expect(page.locator(".upload-file")).to_have_count(len(files))
    page.get_by_label("Name", exact=True).fill("Small BERT")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)
    page.get_by_role("link", name="Use as source").click()
    bert = page.url
    expect(page.locator("#summary")).to_be_visible()

    lines = [f"so it {('goes', 'xyz')[n % 2]} {n},{('yes', 'no')[n % 2]}" for n in range(80)]
    table = "\n".join(["text,answer", *lines]).encode()
    upload(page, "answers.csv", table, "Answers", label_field="answer", test_percent="25")
    wait_state(page, "#version", "succeeded")
    version = page.url.rsplit("/", 1)[1]
    page.goto(f"{bert}&data={version}")
    page.get_by_label("Train small low-rank updates and leave the weights as they are").check()
    page.get_by_role("group", name="LoRA layers").get_by_label("keys", exact=True).check()
    page.get_by_label("Also train a scratch twin").uncheck()
    learn(page, **{"inputs.image_px": "", "inputs.most_tokens": "16"})
    expect(page.locator("#summary")).to_contain_text("trained")
    assert violations(page) == []
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    page.get_by_role("link", name="Full report").click()
    expect(section(page, "Beside what it must beat")).to_contain_text("words alone (TF-IDF)")
    expect(section(page, "Where it is most wrong")).to_contain_text("so it")
    page.get_by_role("link", name="Checkpoint", exact=True).click()
    expect(page.locator("main")).to_contain_text("adapter/adapter_model.safetensors")
