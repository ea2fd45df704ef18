"""A model of PyTorch's becomes another model: imported, copied, fine-tuned, and taken back out.

Each step is a test, in the order of the file; a step that fails ends the story there. What pages
claim about values is looked up in the files themselves: the folder that was brought, the copy as it
is downloaded, and the export as other programs open it.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
from blake3 import blake3
from playwright.sync_api import Page, expect
from safetensors.numpy import load, load_file
from tokenizers import Tokenizer

from tests.browser.story import (
    CHECKPOINT,
    JOB_S,
    REFERENCE,
    TINY,
    Portal,
    corpus,
    dropped_model,
    fill_run,
    jsonl,
    upload,
    violations,
    wait_state,
)
from training.interop.huggingface import read_folder

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("told")]

SOURCE = load_file(REFERENCE / "model.safetensors")
LAYERS, CONTEXT = 2, 24  # of the folder that is brought
SHORTER, STEPS = 16, 30
WORDS = "transformer.wte.weight"
#: A layer that a rule names goes where rules say and nowhere else; to stay as well it takes two.
MOVE, STAY = "layer.0 -> layer.2", "layer.0 -> layer.0"


def content(tensor: np.ndarray) -> str:
    return blake3(np.ascontiguousarray(tensor).tobytes()).hexdigest()


def unpacked(page: Page, folder: Path) -> Path:
    """The folder in the ZIP that the page's only download link gives."""
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download").click()
    waiting.value.save_as(folder / "download.zip")
    with zipfile.ZipFile(folder / "download.zip") as archive:
        assert archive.testzip() is None
        archive.extractall(folder / "out")
    (weights,) = (folder / "out").rglob("model.safetensors")
    return weights.parent


def files(page: Page, checkpoint: str) -> dict[str, bytes]:
    """A checkpoint's files, from its page's own download."""
    answer = page.request.get(f"{checkpoint}/download")
    with zipfile.ZipFile(io.BytesIO(answer.body())) as archive:
        return {name.rpartition("/")[2]: archive.read(name) for name in archive.namelist()}


def stored(page: Page, checkpoint: str) -> Mapping[str, np.ndarray]:
    """Its tensors."""
    return load(files(page, checkpoint)["model.safetensors"])


def shares(page: Page) -> dict[str, int]:
    """How many per cent of each block of the new model come from the source."""
    return {
        block.locator("span").first.inner_text(): int(
            block.locator("b").inner_text().removesuffix("%").strip()
        )
        for block in page.locator("#plan .plan-block summary:has(progress)").all()
    }


# --- 1. Bring it ----------------------------------------------------------------------------------


def test_01_pytorchs_folder_is_dropped_and_is_a_model_here(page: Page, portal: Portal) -> None:
    portal.kept["model"] = dropped_model(page, portal)
    page.goto(portal.kept["model"])
    parameters = sum(tensor.size for tensor in SOURCE.values())
    expect(page.get_by_title(f"{parameters:,}", exact=True)).to_be_visible()
    assert stored(page, portal.kept["model"]).keys() >= {WORDS}


def test_02_another_vocabulary_is_learnt_by_a_run(page: Page, portal: Portal) -> None:
    upload(page, "sea.jsonl", jsonl(corpus("moby_dick.jsonl", 30, 60)), "Sea for the copy")
    wait_state(page, "#version", "succeeded")
    page.get_by_role("link", name="New run with this data").click()
    page.wait_for_url("**/runs/new?data=*")
    portal.kept["sea"] = page.url.rpartition("=")[2]
    fill_run(page, name="Speaks of the sea", **TINY | {"training__steps": 20})
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}$"))
    wait_state(page, "#live", "succeeded")


# --- 2. Plan --------------------------------------------------------------------------------------


def open_form(page: Page, portal: Portal) -> None:
    """The copy's form, with one layer more, fewer places and the run's vocabulary."""
    page.goto(portal.kept["model"])
    page.get_by_role("link", name="Copy into a new model").click()
    expect(page.locator("#plan")).to_contain_text("100.0 %")
    page.locator("[name=n_layer]").fill(str(LAYERS + 1))
    page.locator("[name=n_positions]").fill(str(SHORTER))
    vocabulary = page.locator("[name=tokenizer]")
    label = vocabulary.locator("option", has_text="Speaks of the sea").inner_text()
    vocabulary.select_option(label=label)
    expect(page.locator("#plan")).to_contain_text(f"Layer {LAYERS}")
    expect(page.locator("#plan .plan-action", has_text="by token")).not_to_have_count(0)


def test_03_the_preview_shows_what_is_cut_carried_over_and_random(
    page: Page, portal: Portal
) -> None:
    open_form(page, portal)
    plan = page.locator("#plan")
    words = {
        name: plan.locator("li", has=page.get_by_text(name, exact=True))
        .locator(".plan-action")
        .text_content()
        for name in (
            "transformer.h.1.attn.c_attn.weight",
            "transformer.wpe.weight",
            WORDS,
            f"transformer.h.{LAYERS}.attn.c_attn.weight",
        )
    }
    assert list(words.values()) == ["copied", "first part", "by token", "random"]
    found = shares(page)
    assert found["Layer 0"] == found["Layer 1"] == 100
    assert found[f"Layer {LAYERS}"] == 0
    # A band for each part that something goes into: not for the new layer.
    expect(plan.locator(".plan-band")).to_have_count(len(found) - 1)
    expect(plan.locator(".plan-share strong")).not_to_have_text("100.0 %")

    # A wider one: what is repeated so that it computes the same says so, too.
    page.locator("[name=n_embd]").fill("48")
    page.locator("[name=n_head]").fill("6")
    page.locator("[name=width]").select_option("grow")
    expect(plan.locator(".plan-action", has_text="grown")).not_to_have_count(0)
    assert violations(page) == []


def test_04_one_rule_redraws_the_plan(page: Page, portal: Portal) -> None:
    open_form(page, portal)
    plan = page.locator("#plan")
    before = plan.locator(".plan-band").evaluate_all("all => all.map(one => one.outerHTML)")
    first, new = (plan.locator(".plan-block", has_text=f"Layer {n}") for n in (0, LAYERS))
    page.locator("[name=rules]").fill(MOVE)
    expect(new.locator("summary b")).to_have_text("100 %")
    expect(first.locator("summary b")).to_have_text("0 %")
    moved = plan.locator(".plan-band").evaluate_all("all => all.map(one => one.outerHTML)")
    assert before != moved
    new.locator("summary").click()
    expect(new).to_contain_text(f"Your rule: {MOVE}.")

    page.locator("[name=rules]").fill(f"{MOVE}\n{STAY}")
    expect(first.locator("summary b")).to_have_text("100 %")
    assert shares(page)[f"Layer {LAYERS}"] == 100
    page.locator("[name=rules]").fill(f"{MOVE}\n{STAY}\nskip h.0.mlp.*")
    expect(first.locator("summary b")).not_to_have_text("100 %")
    assert 0 < shares(page)["Layer 0"] < 100


# --- 3. Copy --------------------------------------------------------------------------------------


def test_05_it_is_copied_and_its_proof_holds_for_the_files_themselves(
    page: Page, portal: Portal
) -> None:
    open_form(page, portal)
    page.locator("[name=rules]").fill(f"{MOVE}\n{STAY}")
    page.locator("[name=name]").fill("Seafarer")
    page.get_by_role("button", name="Copy the weights").click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)
    portal.kept["copy"] = copy = page.url
    expect(page.get_by_role("region", name="Proof of the copy")).to_contain_text("by BLAKE3")

    page.get_by_role("link", name="What went where").click()
    expect(page.locator(".proof-table tbody tr")).not_to_have_count(0)
    rows = {
        str(cells[0]): (str(cells[1]), str(cells[2]), str(cells[3]))
        for cells in page.locator(".proof-table tbody tr").evaluate_all(
            "all => all.map(row => [...row.cells].map(cell => cell.querySelector('.hash')?.title"
            " ?? cell.innerText.trim()))"
        )
    }
    parts = files(page, copy)
    mine = load(parts["model.safetensors"])
    assert set(rows) >= {name for name in mine if ".h." in name}
    carried = [name for name, (_from, how, _hash) in rows.items() if how == "the very values"]
    assert len(carried) > 30
    assert WORDS not in carried
    for name in carried:
        source, _how, said = rows[name]
        part = SOURCE[source][: len(mine[name])]  # the places are fewer now
        assert said == content(mine[name]) == content(part), name
    assert rows[f"transformer.h.{LAYERS}.mlp.c_fc.weight"][0] == "transformer.h.0.mlp.c_fc.weight"
    assert mine["transformer.wpe.weight"].shape == (SHORTER, SOURCE[WORDS].shape[1])

    # What both vocabularies know has the source's numbers, wherever its place is now.
    theirs = Tokenizer.from_file(str(REFERENCE / "tokenizer.json")).get_vocab()
    ours = Tokenizer.from_str(parts["tokenizer.json"].decode()).get_vocab()
    both = sorted(theirs.keys() & ours.keys())
    assert 256 <= len(both) < len(ours)
    np.testing.assert_array_equal(
        mine[WORDS][[ours[word] for word in both]], SOURCE[WORDS][[theirs[word] for word in both]]
    )


def test_06_the_lineage_leads_from_the_one_to_the_other(page: Page, portal: Portal) -> None:
    page.goto(portal.kept["copy"])
    expect(page.get_by_role("region", name="Lineage")).to_contain_text("Weights copied from")
    page.locator("a.lineage-node", has_text="Dropped").click()
    expect(page).to_have_url(portal.kept["model"])
    page.locator("a.lineage-node", has_text="Seafarer").click()
    expect(page).to_have_url(portal.kept["copy"])


# --- 4. Fine-tune ---------------------------------------------------------------------------------


def test_07_the_copy_is_fine_tuned(page: Page, portal: Portal) -> None:
    page.goto(portal.kept["copy"])
    page.get_by_role("link", name="Use as source").click()
    page.locator("#data").select_option(portal.kept["sea"])
    expect(page.locator("#plan")).to_contain_text("100.0 %")
    page.get_by_label("Also train a scratch twin").uncheck()
    fill_run(
        page,
        name="Fine-tuned on the sea",
        training__steps=STEPS,
        training__batch_size=8,
        training__sequence_length=SHORTER,
        training__warmup_steps=5,
        training__learning_rate="0.003",
        evaluation__every=10,
        evaluation__batches=4,
        evaluation__sample_tokens=8,
    )
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}$"))
    wait_state(page, "#live", "succeeded")
    page.reload()
    losses = page.request.get(f"{page.url}/curves?names=loss").json()["series"]["loss"]
    assert losses["steps"] == list(range(1, STEPS + 1))
    assert np.mean(losses["values"][-5:]) < np.mean(losses["values"][:5])
    row = page.locator(".lineage-list > div", has_text="Checkpoint")
    row.get_by_role("link").first.click()
    page.wait_for_url(CHECKPOINT)
    portal.kept["fine-tuned"] = page.url
    for name in ("Dropped", "Seafarer"):  # two generations back
        expect(page.locator("a.lineage-node", has_text=name)).to_be_visible()


# --- 5. Take it away ------------------------------------------------------------------------------


def test_08_the_result_is_exported_downloaded_and_opened_elsewhere(
    page: Page, portal: Portal, tmp_path: Path
) -> None:
    page.goto(portal.kept["fine-tuned"])
    page.get_by_role("link", name="Export").click()
    form = page.locator("[data-format=huggingface]")
    form.get_by_role("button", name="Export").click()
    expect(form.get_by_role("link", name="Download")).to_be_visible(timeout=JOB_S * 1000)
    expect(form).to_contain_text("byte for byte")
    folder = unpacked(page, tmp_path)

    mine = stored(page, portal.kept["fine-tuned"])
    copied = stored(page, portal.kept["copy"])
    taken = load_file(folder / "model.safetensors")
    ours = read_folder(folder)
    assert taken.keys() == mine.keys() == copied.keys() == set(ours.tensors)
    for name, tensor in mine.items():
        np.testing.assert_array_equal(taken[name], tensor)
        np.testing.assert_array_equal(ours.tensors[name], tensor)
    assert any((copied[name] != tensor).any() for name, tensor in mine.items())  # it did learn

    from transformers import AutoConfig, AutoTokenizer

    config = AutoConfig.from_pretrained(folder)
    assert config.model_type == "gpt2"
    assert (config.n_layer, config.n_positions) == (LAYERS + 1, SHORTER)
    assert taken[WORDS].shape == (config.vocab_size, config.n_embd)
    theirs = json.loads((REFERENCE / "config.json").read_bytes())
    assert (config.n_embd, config.n_head) == (theirs["n_embd"], theirs["n_head"])
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = "Call me Ishmael. — 叫我以实玛利"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer) <= config.vocab_size
