"""The form of a new run in a browser: presets, checks as one types, YAML, and without scripts."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import People, corpus, jsonl, upload, wait_state

NAME = "Moby for the form"


@pytest.fixture(scope="module")
def version(people: People) -> str:
    """The id of a small prepared text."""
    page = people.page()
    upload(page, "moby.jsonl", jsonl(corpus("moby_dick.jsonl", 0, 20)), NAME)
    wait_state(page, "main", "succeeded")
    path = page.url.rsplit("/", 1)[1]
    page.close()
    return path


@pytest.fixture
def form(people: People, version: str) -> Page:
    page = people.page()
    page.goto(f"/runs/new?data={version}")
    return page


def test_a_mistake_is_said_as_one_types_and_nothing_is_lost(form: Page) -> None:
    steps = form.get_by_label("Steps", exact=True)
    steps.fill("many")
    expect(form.locator("#training-steps-error")).to_have_text("Write a whole number.")
    expect(steps).to_have_value("many")
    expect(steps).to_be_focused()
    expect(steps).to_have_attribute("aria-invalid", "true")
    steps.fill("210")
    expect(form.locator("#training-steps-error")).to_be_empty()
    expect(form.locator("#yaml")).to_contain_text("steps: 210")
    expect(form.locator("#summary")).to_contain_text("Time, about")


def test_a_preset_fills_the_dimensions_and_a_change_by_hand_leaves_it(form: Page) -> None:
    size = form.get_by_label("Size", exact=True)
    expect(size).to_have_value("nano")
    size.select_option("micro")
    expect(form.get_by_label("Width", exact=True)).to_have_value("256")
    expect(form.locator("#yaml")).to_contain_text("n_embd: 256")
    form.get_by_label("Layers", exact=True).fill("5")
    expect(size).to_have_value("")
    form.get_by_label("Layers", exact=True).fill("6")
    expect(size).to_have_value("micro")


def test_a_model_that_does_not_fit_is_refused_with_the_numbers(form: Page) -> None:
    form.get_by_label("Size", exact=True).select_option("gpt2-xl")
    form.get_by_label("Batch size").fill("4096")
    expect(form.locator("#summary .alert")).to_contain_text("There is not enough memory")
    form.get_by_role("button", name="Start").click()
    expect(form.get_by_text("What you typed is still here.")).to_be_visible()
    expect(form.get_by_label("Batch size")).to_have_value("4096")


def test_only_what_belongs_to_the_choice_is_shown(form: Page) -> None:
    expect(form.get_by_label("Size", exact=True)).to_be_visible()
    expect(form.get_by_text("Which weights go where")).to_be_hidden()
    form.get_by_label("Transfer from a checkpoint").check()
    expect(form.get_by_text("Which weights go where")).to_be_visible()
    expect(form.get_by_label("Size", exact=True)).to_be_hidden()
    expect(form.locator("#tokenizer-kind")).to_have_value("source")
    form.get_by_label("another: deeper, shallower, longer context").check()
    expect(form.get_by_label("Size", exact=True)).to_be_visible()
    form.get_by_label("Pretrain from scratch").check()
    expect(form.locator("#tokenizer-kind")).to_have_value("train")


def test_pasted_yaml_fills_the_form(form: Page) -> None:
    form.get_by_text("Paste YAML").click()
    form.locator("#yaml-in").fill("seed: 41\ntraining:\n  steps: 77\n  lora: {rank: 4}\n")
    form.get_by_role("button", name="Fill the form with it").click()
    expect(form.get_by_label("Steps", exact=True)).to_have_value("77")
    expect(form.get_by_label("LoRA rank")).to_have_value("4")
    expect(form.locator("#data")).not_to_have_value("")


def test_it_works_without_scripts(people: People, version: str) -> None:
    page = people.page(java_script_enabled=False)
    page.goto(f"/runs/new?data={version}")
    page.get_by_label("Size", exact=True).select_option("micro")
    page.get_by_role("button", name="Fill in").click()
    expect(page.get_by_label("Width", exact=True)).to_have_value("256")
    page.get_by_label("Steps", exact=True).fill("0")
    page.get_by_role("button", name="Check", exact=True).click()
    expect(page.locator("#training-steps-error")).to_have_text("Must be 1 or more.")
    expect(page.get_by_label("Steps", exact=True)).to_have_value("0")
