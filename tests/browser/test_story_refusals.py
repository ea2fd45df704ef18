"""What goes wrong says so in a clear sentence where one looks, and nothing is lost."""

from __future__ import annotations

import json
import pickle
import re
import struct
import zlib
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    JOB_S,
    REFERENCE,
    TINY,
    CuttingProxy,
    People,
    Portal,
    choose,
    corpus,
    fill_run,
    jsonl,
    run_id,
    upload,
    wait_state,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def short(people: People) -> str:
    """The id of a version with a few hundred tokens only."""
    page = people.page()
    texts = [f"The {number}. day was like the day before it." for number in range(40)]
    upload(page, "short.jsonl", jsonl(texts), "Short text")
    wait_state(page, "#version", "succeeded")
    link = page.locator("a[href*='/runs/new?data=']").get_attribute("href")
    page.context.close()
    return str(link).rpartition("=")[2]


def _png() -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        check = struct.pack(">I", zlib.crc32(kind + data))
        return struct.pack(">I", len(data)) + kind + data + check

    header = struct.pack(">IIBBBBB", 1, 1, 8, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0\xff\0\0")
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def test_a_picture_named_txt_is_refused_at_the_file_and_what_was_typed_stays(page: Page) -> None:
    page.goto("/data/new")
    choose(page, "notes.txt", _png())
    page.locator("[name=description]").fill("Typed before")
    page.get_by_role("button", name="Check and count it").click()
    expect(page.locator("#file-error")).to_contain_text("This is one picture (PNG)")
    expect(page.locator("[name=description]")).to_have_value("Typed before")
    expect(page.locator("[name=name]")).to_have_value("notes")


def test_an_upload_cut_off_at_99_percent_goes_on_from_there(people: People, portal: Portal) -> None:
    lines = jsonl([f"Line {number} of a file that is cut off." for number in range(60_000)])
    with CuttingProxy(portal.url, after=len(lines) * 99 // 100) as proxy:
        page = people.page(base_url=proxy.url)
        starts: list[int] = []
        page.on(
            "request",
            lambda request: (
                starts.append(int(request.headers["upload-offset"]))
                if request.method == "PATCH"
                else None
            ),
        )
        page.goto("/data/new")
        choose(page, "nearly.jsonl", lines)
        expect(page.locator("[data-upload-item].upload-done")).to_be_visible(timeout=JOB_S * 1000)
        assert proxy.cuts == 1
        # Only what had not arrived is sent again.
        assert starts[0] == 0
        assert 0.9 * len(lines) < starts[-1] < len(lines), starts
        page.get_by_role("button", name="Check and count it").click()
        page.wait_for_url(re.compile(r"/data/(versions/)?[0-9a-f-]{36}$"))
        wait_state(page, "#version", "succeeded")
        expect(page.locator("dl.figures").first).to_contain_text("60,000")
        page.context.close()


@pytest.mark.parametrize(
    ("name", "data", "sentence"),
    [
        (
            "letters.txt",
            b"One line.\nAnother one.\n" + "Grüße\n".encode("latin-1") + b"The end.\n" * 30,
            "not valid UTF-8: byte 25, in line 3",
        ),
        (
            "rows.jsonl",
            jsonl([f"Row {number}." for number in range(1, 17)])
            + b'{"text": "cut o\n'
            + jsonl(["a"]),
            "Line 17 is not a complete JSON object",
        ),
        ("one_list.json", json.dumps([{"text": "a"}, {"text": "b"}]).encode(), "one JSON list"),
    ],
    ids=["broken UTF-8", "a bad row", "a JSON list"],
)
def test_the_place_in_a_file_is_named(page: Page, name: str, data: bytes, sentence: str) -> None:
    upload(page, name, data, f"Refused {name}")
    wait_state(page, "#version", "failed")
    expect(page.locator(".problem-text")).to_contain_text(sentence)
    expect(page.get_by_text("is kept as it was uploaded")).to_be_visible()
    expect(page.get_by_role("link", name="Upload another file")).to_be_visible()


def test_a_corpus_shorter_than_a_sequence_is_said_at_the_field(page: Page, short: str) -> None:
    page.goto(f"/runs/new?data={short}")
    fill_run(page, model__n_positions=2048, training__sequence_length=2048, tokenizer__kind="gpt2")
    expect(page.locator("#training-sequence_length-error")).to_contain_text(
        "fewer than one sequence of 2048"
    )

    # How many tokens a vocabulary of the corpus makes shows only in the run.
    fill_run(page, tokenizer__kind="train", tokenizer__vocabulary_size=300, training__steps=30)
    expect(page.locator("#training-sequence_length-error")).to_be_empty()
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}$"))
    wait_state(page, "#live", "failed")
    expect(page.locator(".run-failure")).to_contain_text("fewer than one sequence of 2048")
    page.get_by_role("link", name="Start anew with other settings").click()
    expect(page).to_have_url(re.compile("#training-sequence_length$"))
    expect(page.locator('[name="training.sequence_length"]')).to_have_value("2048")


def test_a_loss_that_is_no_number_ends_the_run_and_says_what_was_kept(
    page: Page, portal: Portal
) -> None:
    texts = corpus("brown.jsonl", 40, 60)
    upload(page, "more_news.jsonl", jsonl(texts), "More news")
    wait_state(page, "#version", "succeeded")
    page.locator("a[href*='/runs/new?data=']").click()
    page.wait_for_url("**/runs/new?data=*")
    # Adam without what keeps its division finite: units that died divide zero by zero.
    fill_run(
        page,
        **TINY
        | {
            "training__steps": 300,
            "training__learning_rate": 1,
            "training__warmup_steps": 0,
            "training__clip_norm": "",
            "training__beta_2": 0,
            "training__epsilon": "1e-38",
            "model__activation_function": "relu",
            "evaluation__checkpoint_every": 1,
        },
    )
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}$"))
    wait_state(page, "#live", "failed")
    failure = page.locator(".run-failure")
    expect(failure).to_contain_text(re.compile(r"The loss became (NaN|infinite|inf\w*) at step"))
    expect(failure).to_contain_text("Try a lower learning rate")
    expect(failure).to_contain_text("Kept: the curves, the samples and the complete state of step")
    job = portal.run_job(run_id(page))
    assert (job["state"], job["error_code"], job["crashes"]) == ("failed", "nan_loss", 0)
    page.reload()
    expect(page.locator("#run-chart canvas")).to_be_visible()


def test_a_pickle_named_safetensors_is_refused_by_what_is_in_it(page: Page, tmp_path: Path) -> None:
    folder = tmp_path / "wolf"
    folder.mkdir()
    for name in ("config.json", "tokenizer.json"):
        (folder / name).write_bytes((REFERENCE / name).read_bytes())
    (folder / "model.safetensors").write_bytes(pickle.dumps({"weights": list(range(100))}))
    page.goto("/checkpoints/import?tab=folder")
    page.locator("input[data-pick][webkitdirectory]").set_input_files(folder)
    page.get_by_role("button", name="Import", exact=True).click()
    sentence = "model.safetensors is a Python pickle, whatever its name says"
    expect(page.locator("main")).to_contain_text(sentence, timeout=JOB_S * 1000)
    page.goto("/checkpoints/")
    expect(page.get_by_role("heading", level=1)).to_have_text("Checkpoints")
    # There is no list where there is no checkpoint, as when this file is run alone.
    assert "wolf" not in "".join(page.locator("#rows").all_inner_texts())
