"""The story as a person lives it: from an empty portal to a report, a download and an import.

Each step is a test, in the order of the file; a step that fails ends the story there. Everything is
real: portal, broker, workers, TensorFlow, Chromium. Models are tiny, so that it takes minutes.
"""

from __future__ import annotations

import csv
import io
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml
from playwright.sync_api import Page, Route, expect
from safetensors.numpy import load_file

from tests.browser.story import (
    HUB_MODEL,
    JOB_S,
    MODEL_FILES,
    PAGE_S,
    REFERENCE,
    SCREENS,
    TINY,
    People,
    Portal,
    choose,
    corpus,
    drop,
    fill_run,
    jsonl,
    overflows,
    run_id,
    until,
    violations,
    wait_state,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("told")]

STEPS, LOOK, WIDTH = 1200, 50, 32
TEXTS = corpus("brown.jsonl", 0, 40)
SOURCE_TEXT = "\n\n".join(TEXTS).encode()
TARGET_TEXTS = corpus("moby_dick.jsonl", 0, 30)


def figures(page: Page, place: str = "dl.figures") -> dict[str, str]:
    """The numbers of a list of figures by title."""
    return dict(
        page.locator(f"{place} > div").evaluate_all(
            "all => all.map(one => [one.querySelector('dt').innerText.trim(),"
            " one.querySelector('dd').innerText.trim()])"
        )
    )


def points(page: Page, run: str, name: str = "loss") -> tuple[list[int], list[float]]:
    """A curve as the page's chart gets it."""
    answer = page.request.get(f"/runs/{run}/curves?names={name}").json()
    return answer["series"][name]["steps"], answer["series"][name]["values"]


# --- 1. Sign in -----------------------------------------------------------------------------------


def test_01_the_printed_link_signs_in_once_and_then_says_kindly_what_to_do(people: People) -> None:
    page = people.sign_in()
    expect(page).to_have_url(re.compile(r"/$"))
    other = people.context().new_page()
    answer = other.goto(people.portal.link)
    assert answer is not None
    assert answer.status == 403
    expect(other.get_by_role("heading", name="This link no longer works")).to_be_visible()
    expect(other.get_by_role("link", name="Sign in with a password")).to_be_visible()
    for one in (page, other):
        one.context.close()


def test_02_an_empty_portal_says_what_to_do_first(page: Page) -> None:
    page.goto("/")
    expect(
        page.get_by_role("heading", name="From text to a transfer in three steps")
    ).to_be_visible()
    expect(page.get_by_role("heading", name="Bring text")).to_be_visible()
    for address, heading in (
        ("/data/", "No data yet"),
        ("/runs/", "No runs yet"),
        ("/checkpoints/", "No checkpoint yet"),
        ("/playground/", "No language model yet"),
    ):
        page.goto(address)
        expect(page.get_by_role("heading", name=heading)).to_be_visible()


def test_03_sample_data_is_one_click_away(page: Page) -> None:
    page.goto("/")
    page.get_by_role("button", name="Load the sample data").click()
    page.goto("/data/")
    for name in ("Brown corpus", "Moby-Dick", "宋词 (Song lyrics)", "Synthesised sounds"):
        expect(page.get_by_role("link", name=name)).to_be_visible()
    page.get_by_role("link", name="Moby-Dick").click()
    wait_state(page, "#version", "succeeded")
    assert figures(page)["Documents"] == "136"


# --- 2. Data --------------------------------------------------------------------------------------


def _version(page: Page) -> str:
    """The id of the data version whose page is open."""
    link = page.get_by_role("link", name="New run with this data").get_attribute("href")
    return str(link).rpartition("=")[2]


def test_04_a_text_file_is_dropped_sent_with_a_progress_bar_checked_and_split(
    page: Page, portal: Portal
) -> None:
    held: list[Route] = []
    page.route(
        "**/data/uploads/*", lambda route: held.append(route)
    )  # so that there is time to look
    page.goto("/data/new")
    drop(page, "[data-upload-drop]", [("old_news.txt", SOURCE_TEXT)])
    item = page.locator("[data-upload-item]")
    expect(item.get_by_role("progressbar")).to_be_visible()
    until(lambda: page.wait_for_timeout(50) or held, PAGE_S, "the first piece")
    held.pop().continue_()
    expect(item).to_contain_text("arrived")
    page.unroute("**/data/uploads/*")
    name = page.get_by_label("Name", exact=True)
    expect(name).to_have_value("old news")
    name.fill("Old news")
    page.get_by_role("button", name="Check and count it").click()
    page.wait_for_url(re.compile(r"/data/(versions/)?[0-9a-f-]{36}$"))
    wait_state(page, "#version", "succeeded")

    documents = len([part for part in SOURCE_TEXT.decode().split("\n\n") if part.strip()])
    numbers = figures(page)
    assert int(numbers["Documents"].replace(",", "")) <= documents
    assert set(numbers) >= {"Characters", "Duplicates", "Empty"}
    splits = page.locator("table", has=page.get_by_role("columnheader", name="Share"))
    counts = [
        int(text.replace(",", "")) for text in splits.locator("td:nth-child(2)").all_inner_texts()
    ]
    assert len(counts) == 3
    assert all(counts)
    assert f"{sum(counts):,}" == numbers["Documents"]
    expect(page.locator(".document-text").first).not_to_be_empty()
    expect(page.locator("code.hash").first).to_be_visible()
    portal.kept["source data"] = _version(page)
    portal.kept["source dataset"] = page.get_by_role("link", name="Add a version").get_attribute(
        "href"
    )


def test_05_the_same_file_again_is_said_to_be_there(page: Page, portal: Portal) -> None:
    page.goto(portal.kept["source dataset"])
    choose(page, "old_news.txt", SOURCE_TEXT)
    expect(page.locator("[data-upload-item]")).to_contain_text("arrived")
    page.get_by_role("button", name="Check and count it").click()
    expect(page.locator("#file-error")).to_contain_text("already here as version 1")


def test_06_json_lines_and_csv_are_chosen_and_read(page: Page, portal: Portal) -> None:
    target = jsonl([*TARGET_TEXTS, TARGET_TEXTS[0]], chapter=1)
    table = io.StringIO()
    writer = csv.writer(table)
    writer.writerow(["id", "verse", "poet"])
    writer.writerows([n, text, "佚名"] for n, text in enumerate(corpus("song_ci.jsonl", 0, 200)))
    for filename, data, title, documents in (
        ("whale.jsonl", target, "Whale", "31"),
        ("poems.csv", table.getvalue().encode(), "Poems", None),
    ):
        page.goto("/data/new")
        choose(page, filename, data)
        page.get_by_label("Name", exact=True).fill(title)
        page.get_by_role("button", name="Check and count it").click()
        page.wait_for_url(re.compile(r"/data/(versions/)?[0-9a-f-]{36}$"))
        wait_state(page, "#version", "succeeded")
        numbers = figures(page)
        if documents:
            assert (numbers["Documents"], numbers["Duplicates"]) == (documents, "1")
        else:
            expect(page.get_by_text("column verse")).to_be_visible()
        portal.kept[title] = _version(page)


# --- 3. Pretrain ----------------------------------------------------------------------------------


def test_07_every_field_has_a_default_a_range_and_help(page: Page, portal: Portal) -> None:
    page.goto(f"/runs/new?data={portal.kept['source data']}")
    expect(page.locator("#data")).to_have_value(portal.kept["source data"])
    for name, default, allowed in (
        ("training.steps", "400", r"1 \S 10,000,000"),
        ("training.learning_rate", "0.001", "1"),
        ("model.n_layer", "4", r"1 \S 200"),
    ):
        field = page.locator(f'[name="{name}"]')
        expect(field).to_have_value(default)
        setting = page.locator(".setting", has=field)
        expect(setting.locator(".range")).to_contain_text(re.compile(allowed))
        expect(setting.locator(".form-text")).not_to_be_empty()
    expect(page.locator("#summary")).to_contain_text("Parameters")


def test_08_what_is_wrong_is_said_at_the_field_while_one_types(page: Page, portal: Portal) -> None:
    page.goto(f"/runs/new?data={portal.kept['source data']}")
    page.locator('[name="training.sequence_length"]').fill("4096")
    said = page.locator("#training-sequence_length-error")
    expect(said).to_contain_text("The model's context holds 128 tokens at most.")
    expect(page.locator('[name="training.sequence_length"]')).to_have_attribute(
        "aria-invalid", "true"
    )
    page.locator('[name="model.n_head"]').fill("5")
    expect(page.locator("#model-n_embd-error")).not_to_be_empty()
    page.locator('[name="training.warmup_steps"]').fill("many")
    expect(page.locator("#training-warmup_steps-error")).not_to_be_empty()
    expect(page.locator("#summary")).to_contain_text("comes back when all fields make sense")
    # Sent all the same: refused, and all that was typed is still there.
    page.get_by_role("button", name="Start", exact=True).click()
    expect(page.get_by_role("alert").first).to_contain_text("What you typed is still here")
    expect(page.locator('[name="training.sequence_length"]')).to_have_value("4096")
    expect(page.locator('[name="training.warmup_steps"]')).to_have_value("many")
    expect(page.locator("#data")).to_have_value(portal.kept["source data"])


def test_09_a_model_is_trained_from_scratch_as_its_yaml_says(page: Page, portal: Portal) -> None:
    page.goto(f"/runs/new?data={portal.kept['source data']}")
    page.locator('[name="name"]').fill("Base")
    with page.expect_response("**/runs/new/check"):
        fill_run(page, **TINY | {"training__steps": STEPS, "evaluation__every": LOOK})
    expect(page.locator("#yaml")).to_contain_text(f"steps: {STEPS}")
    expect(page.locator("#yaml")).to_contain_text("sample_tokens: 16")
    summary = page.locator("#summary")
    for title in ("Time, about", "Memory", "Tokens seen", "Disk"):
        expect(summary).to_contain_text(title)
    shown = yaml.safe_load(page.locator("#yaml").inner_text())
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}$"))
    portal.kept["base"] = run_id(page)
    on_row = portal.run_job(portal.kept["base"])["spec"]
    assert shown == on_row
    assert yaml.safe_load(page.request.get(f"/runs/{run_id(page)}/spec.yaml").text()) == on_row
    assert shown["model"]["n_embd"] == WIDTH


# --- 4. Watch -------------------------------------------------------------------------------------


def test_10_a_run_at_work_is_watched_and_paused(page: Page, people: People, portal: Portal) -> None:
    base = portal.kept["base"]
    page.goto(f"/runs/{base}")
    wait_state(page, "#live", "running")
    # Asked for, and not read from the page: the page looks every two seconds, and on a quick
    # machine the run lasts hardly longer.
    until(lambda: page.request.get(f"/runs/{base}/curves").json()["step"] > 0, JOB_S, "a step")
    page.get_by_role("button", name="Pause").click()
    wait_state(page, "#live", "paused")
    expect(page.locator("#live .run-phase")).to_contain_text("is saved; it goes on from there")
    (digits,) = re.findall(r"step ([\d,]+)", page.locator("#live .run-phase").inner_text())
    kept = int(digits.replace(",", ""))
    assert 0 < kept < STEPS
    portal.kept["paused at"] = kept
    steps, _values = points(page, base)
    assert steps == list(range(1, kept + 1))

    # The same, seen from elsewhere and after a reload.
    page.reload()
    elsewhere = people.page()
    elsewhere.goto(f"/runs/{base}")
    for seen in (page, elsewhere):
        wait_state(seen, "#live", "paused")
        expect(seen.locator("#samples .sample-text").first).to_be_visible()
        expect(seen.locator("#log li").first).to_be_visible()
    elsewhere.context.close()


def test_11_it_goes_on_to_the_end_and_its_curve_has_no_gap(page: Page, portal: Portal) -> None:
    base = portal.kept["base"]
    page.goto(f"/runs/{base}")
    page.get_by_role("button", name="Resume").click()
    wait_state(page, "#live", "running")
    told: dict[str, str] = {}

    def all_told() -> bool:
        page.wait_for_timeout(200)
        now = figures(page, "#live dl.figures")
        told.update({name: text for name, text in now.items() if text not in {"–", ""}})
        wanted = {"Tokens per second", "Steps per second", "Time left", "Memory", "Processor"}
        return wanted <= set(told) or "succeeded" in (
            page.locator("#live .state").get_attribute("class") or ""
        )

    until(all_told, JOB_S, lambda: f"rates, memory and processor; told: {told}")
    assert set(told) >= {"Tokens per second", "Steps per second", "Memory", "Processor", "Elapsed"}
    wait_state(page, "#live", "succeeded")
    steps, values = points(page, base)
    assert steps == list(range(1, STEPS + 1))
    assert np.mean(values[-20:]) < np.mean(values[:20]) - 0.5
    looks, _losses = points(page, base, "validation_loss")
    assert looks[-1] == STEPS
    assert set(range(LOOK, STEPS, LOOK)) <= set(looks)

    page.reload()
    expect(page.locator("#run-chart canvas")).to_be_visible()
    page.locator("[data-chart-table=run-chart] summary").click()
    rows = page.locator("[data-chart-table=run-chart] tbody tr")
    expect(rows.first).to_be_visible()
    assert rows.count() >= STEPS // LOOK
    headings = page.locator("#samples h3").all_inner_texts()
    assert headings[0].lower() == f"step {STEPS:,}"
    assert headings[-1].lower() == "step 0"
    expect(page.locator("#outcome")).to_contain_text("perplexity")


def test_12_a_cancelled_run_says_what_was_kept(page: Page, portal: Portal) -> None:
    page.goto(f"/runs/new?like={portal.kept['base']}")
    page.locator('[name="name"]').fill("Not wanted")
    fill_run(page, training__steps=100_000, seed=7)
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}$"))
    portal.kept["cancelled"] = run_id(page)
    step = page.locator("#live .run-progress-text b").first
    until(
        lambda: page.wait_for_timeout(100) or int(step.inner_text().replace(",", "")) > 40,
        JOB_S,
        "steps",
    )
    page.get_by_role("button", name="Cancel").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("Its curves, samples and the last saved state are kept")
    dialog.get_by_role("button", name="Let it go on").click()
    expect(dialog).to_be_hidden()
    page.get_by_role("button", name="Cancel").click()
    dialog.get_by_role("button", name="Cancel the run").click()
    wait_state(page, "#live", "cancelled")
    expect(page.locator("#live .run-phase")).to_contain_text("are kept")
    expect(page.get_by_role("button", name="Go on from step")).to_be_visible()


# --- 5. Transfer ----------------------------------------------------------------------------------


def test_13_before_a_transfer_a_page_shows_which_weights_go_where(
    page: Page, portal: Portal
) -> None:
    page.goto(f"/runs/{portal.kept['base']}")
    page.get_by_role("link", name="Transfer from it").click()
    expect(page.locator("[name=how][value=transfer]")).to_be_checked()
    expect(page.locator("[name=source]:checked")).to_have_count(1)
    page.locator("#data").select_option(portal.kept["Whale"])
    plan = page.locator("#plan")
    expect(plan).to_contain_text("100.0 %")
    weights = load_file(_weights(portal, portal.kept["base"]))
    parameters = sum(tensor.size for tensor in weights.values())
    expect(plan).to_contain_text(f"{parameters:,} of {parameters:,} parameters")
    assert plan.locator("li code").count() == len(weights)

    # A deeper model: the new blocks start afresh, and the page counts them.
    page.locator("#architecture-own").check()
    expect(page.locator('[name="model.n_embd"]')).to_have_value(str(WIDTH))
    fill_run(page, model__n_layer=3)
    block = sum(tensor.size for name, tensor in weights.items() if ".h.0." in name)
    expect(plan).to_contain_text(f"{parameters:,} of {parameters + block:,} parameters")
    page.locator("#architecture-source").check()
    expect(plan).to_contain_text(f"{parameters:,} of {parameters:,} parameters")

    fill_run(
        page,
        training__steps=200,
        training__batch_size=8,
        training__sequence_length=32,
        training__learning_rate="0.003",
        evaluation__every=20,
        evaluation__batches=4,
        evaluation__sample_tokens=16,
    )
    page.locator('[name="name"]').fill("Whale from Base")
    expect(page.get_by_label("Also train a scratch twin")).to_be_checked()
    expect(page.locator("#summary")).to_contain_text("The scratch twin takes about as long again")
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}$"))
    portal.kept["transfer"] = run_id(page)
    portal.kept["weights of the source"] = len(weights)


def test_14_transfer_and_twin_train_the_same_but_for_their_start(
    page: Page, portal: Portal
) -> None:
    page.goto(f"/runs/{portal.kept['transfer']}")
    link = page.locator(".lineage-list > div", has_text="Scratch twin").get_by_role("link")
    portal.kept["twin"] = re.findall(r"[0-9a-f-]{36}", link.get_attribute("href") or "")[0]
    wait_state(page, "#live", "succeeded")
    page.goto(f"/runs/{portal.kept['twin']}")
    wait_state(page, "#live", "succeeded")
    mine = portal.run_job(portal.kept["transfer"])["spec"]
    other = portal.run_job(portal.kept["twin"])["spec"]
    assert mine["source"]
    assert not other["source"]
    for part in ("data", "training", "evaluation", "seed"):
        assert mine[part] == other[part]


# --- 6. Report ------------------------------------------------------------------------------------


def test_15_the_report_says_whether_the_transfer_helped(page: Page, portal: Portal) -> None:
    page.goto(f"/runs/{portal.kept['transfer']}")
    expect(page.locator("#outcome .verdict")).not_to_be_empty()
    page.get_by_role("link", name="Full report").click()
    expect(page.get_by_role("heading", name="Was the transfer worth it?")).to_be_visible()
    report = portal.run_job(portal.kept["transfer"])["report"]
    twin = portal.run_job(portal.kept["twin"])["report"]
    scores = page.locator("table.scores")
    for row, key, places in (
        ("loss per token", "loss", 3),
        ("perplexity", "perplexity", 1),
        ("accuracy", "accuracy", 3),
    ):
        cells = (
            scores.get_by_role("row", name=re.compile(row)).first.locator("td").all_inner_texts()
        )
        wanted = [report[when]["validation"][key] for when in ("before", "after")]
        wanted.append(twin["after"]["validation"][key])
        assert [float(cell.replace(",", "")) for cell in cells] == pytest.approx(
            wanted, abs=0.51 * 10**-places
        )
    numbers = figures(page, ".run-outcome dl.figures")
    _steps, of_twin = points(page, portal.kept["twin"], "validation_loss")
    looks, mine = points(page, portal.kept["transfer"], "validation_loss")
    reached = next(step for step, loss in zip(looks, mine, strict=True) if loss <= min(of_twin))
    assert numbers["Steps to the twin's best"].startswith(f"{reached:,}")
    assert "%" in numbers["Steps to the twin's best"]
    assert float(numbers["Best of the scratch twin"].split()[0]) == pytest.approx(
        min(of_twin), abs=1e-3
    )
    expect(page.locator(".verdict")).to_contain_text("transfer")
    expect(page.locator("#report-chart canvas")).to_be_visible()
    legend = page.locator("[data-chart-legend=report-chart]")
    for line in ("transfer · validation", "scratch twin · validation"):
        expect(legend.get_by_role("button", name=line)).to_be_visible()
    for title in ("before", "after", "scratch twin"):
        expect(page.get_by_role("heading", name=title, exact=True).first).to_be_visible()
    expect(page.locator("#weights-head").locator("xpath=../..")).to_contain_text(
        "found exactly equal"
    )


# --- 7. Playground --------------------------------------------------------------------------------


def _write(page: Page, checkpoint: str, **settings: Any) -> None:
    page.goto(f"/playground/?checkpoint={checkpoint}")
    for name, value in settings.items():
        place = page.locator(f"[name={name}]")
        if name == "beside":
            place.select_option(value)
        else:
            place.fill(str(value))
    page.get_by_role("button", name="Write").click()
    page.wait_for_url(re.compile(r"/playground/[0-9a-f-]{36}$"))


def _checkpoint(portal: Portal, run: str) -> str:
    (row,) = portal.rows("SELECT checkpoint_id FROM runs_run WHERE id = ?", run.replace("-", ""))
    hexadecimal = row["checkpoint_id"]
    return "-".join(hexadecimal[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))


def _weights(portal: Portal, run: str) -> Path:
    """The stored file of a run's weights, by its content's name."""
    (row,) = portal.rows(
        "SELECT manifest FROM checkpoints_checkpoint WHERE id = ?",
        _checkpoint(portal, run).replace("-", ""),
    )
    digest = json.loads(row["manifest"])["model.safetensors"]["blake3"]
    (found,) = [path for path in (portal.folder / "data/files").rglob("*") if path.name == digest]
    return found


def test_16_two_checkpoints_write_side_by_side_and_the_text_grows(
    page: Page, portal: Portal
) -> None:
    transfer, twin = (_checkpoint(portal, portal.kept[name]) for name in ("transfer", "twin"))
    _write(page, transfer, beside=twin, prompt="Call me", max_tokens=1500, temperature=0.9, seed=3)
    lengths: list[int] = []

    def grown() -> bool:
        page.wait_for_timeout(100)
        length = len(page.locator("#text-1 .continuation").inner_text())
        if length and (not lengths or length > lengths[-1]):
            lengths.append(length)
        assert page.locator(".answer .state-failed").count() == 0, page.locator(
            "#answers"
        ).inner_text()
        return len(lengths) >= 3

    until(grown, JOB_S, lambda: f"a text that grows: {lengths}")
    until(
        lambda: page.wait_for_timeout(100) or page.locator(".answer .state-succeeded").count() == 2,
        JOB_S,
        "two answers",
    )
    for number in (1, 2):
        expect(page.locator(f"#text-{number}")).to_contain_text("Call me")
        assert len(page.locator(f"#text-{number} .continuation").inner_text()) > 100
    titles = page.locator(".answer h2").all_inner_texts()
    assert len(set(titles)) == 2


def test_17_writing_can_be_stopped_and_ends_at_a_stop_word(page: Page, portal: Portal) -> None:
    transfer = _checkpoint(portal, portal.kept["transfer"])
    _write(page, transfer, prompt="The whale", max_tokens=4096, temperature=1, seed=1)
    until(
        lambda: page.wait_for_timeout(50) or page.locator("#text-1 .continuation").inner_text(),
        JOB_S,
        "text",
    )
    page.get_by_role("button", name="Stop").click()
    until(
        lambda: (
            page.wait_for_timeout(100) or "stopped" in page.locator(".answer-foot").inner_text()
        ),
        JOB_S,
        "the end",
    )
    assert page.locator("#text-1 .continuation").inner_text()

    _write(page, transfer, prompt="The whale", max_tokens=400, temperature=1, seed=1, stop="e")
    expect(page.locator(".answer-foot")).to_contain_text(
        "ended at a stop word", timeout=JOB_S * 1000
    )
    assert "e" not in page.locator("#text-1 .continuation").inner_text()


# --- 8. Take away ---------------------------------------------------------------------------------


def test_18_a_checkpoint_is_downloaded_as_a_folder_that_transformers_opens(
    page: Page, portal: Portal, tmp_path: Path
) -> None:
    page.goto(f"/checkpoints/{_checkpoint(portal, portal.kept['transfer'])}")
    with page.expect_download() as waiting:
        page.get_by_role("link", name="Download").first.click()
    archive = tmp_path / "checkpoint.zip"
    waiting.value.save_as(archive)
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        opened.extractall(tmp_path / "out")
    (weights,) = (tmp_path / "out").rglob("model.safetensors")
    taken, stored = load_file(weights), load_file(_weights(portal, portal.kept["transfer"]))
    assert taken.keys() == stored.keys()
    for name, tensor in stored.items():
        np.testing.assert_array_equal(taken[name], tensor)

    from transformers import AutoConfig, AutoTokenizer

    config = AutoConfig.from_pretrained(weights.parent)
    assert (config.model_type, config.n_embd, config.n_layer) == ("gpt2", WIDTH, 2)
    tokenizer = AutoTokenizer.from_pretrained(weights.parent)
    text = "Call me Ishmael. — 叫我以实玛利"
    assert tokenizer.decode(tokenizer(text)["input_ids"]) == text
    assert len(tokenizer) <= taken["transformer.wte.weight"].shape[0]


# --- 9. Share -------------------------------------------------------------------------------------


def test_19_runs_are_found_sorted_tagged_and_noted(page: Page, portal: Portal) -> None:
    page.goto(f"/runs/{portal.kept['transfer']}")
    page.locator("#about").get_by_role("link", name="Edit").click()
    page.get_by_label("Tags", exact=True).fill("whales, 鲸")
    page.get_by_label("Notes", exact=True).fill("Does old news help with whales?")
    page.get_by_role("button", name="Save").click()
    expect(page.locator("#about .tag")).to_have_text(["whales", "鲸"])
    expect(page.locator("#about .notes")).to_have_text("Does old news help with whales?")

    page.goto("/runs/")
    rows = page.locator("#rows tbody tr")
    expect(rows).to_have_count(4)
    page.locator("#how").select_option("transfer")
    expect(rows).to_have_count(1)
    expect(page).to_have_url(re.compile("how=transfer"))
    page.reload()
    expect(rows).to_have_count(1)
    page.goto("/runs/?tag=whales")
    expect(rows).to_have_count(1)
    page.goto("/runs/")
    page.locator("#q").fill("old news help")
    expect(rows).to_have_count(1)
    page.goto("/runs/")
    page.get_by_role("link", name="Validation loss").click()
    expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Validation loss")
    losses = [
        float(text)
        for text in page.locator("td[data-label='Validation loss']").all_inner_texts()
        if text != "–"
    ]
    assert losses == sorted(losses)
    assert len(losses) >= 3


def test_20_runs_are_compared_side_by_side_with_only_what_differs(
    page: Page, portal: Portal
) -> None:
    page.goto("/runs/")
    for name in ("Base", "Whale from Base"):
        page.get_by_label(f"Compare {name}", exact=True).check()
    page.get_by_role("button", name="Compare the ticked runs").click()
    expect(page).to_have_url(re.compile(r"/runs/compare\?ids="))
    expect(page.locator("#compare-chart canvas")).to_be_visible()
    legend = page.locator("[data-chart-legend=compare-chart] button")
    expect(legend).to_have_count(2)
    table = page.locator("section", has=page.locator("#settings-head")).locator("tbody tr")
    shown = {
        row.locator("th").get_attribute("title"): row.locator("td").all_inner_texts()
        for row in table.all()
    }
    assert sorted(shown["training.steps"]) == sorted(["200", f"{STEPS:,}"])
    assert "training.batch_size" not in shown
    assert all(len(set(values)) > 1 for values in shown.values())
    portal.kept["comparison"] = page.url


def test_21_a_link_shows_a_colleague_the_same_and_a_stranger_nothing(
    page: Page, people: People, portal: Portal
) -> None:
    for person, role in (("bob", "member"), ("vera", "viewer")):
        page.goto("/account/team")
        page.get_by_label("E-mail address").fill(f"{person}@example.org")
        page.get_by_label("Role", exact=True).select_option(role)
        page.get_by_role("button", name="Invite").click()
        link = page.locator("#one-time-link").inner_text()
        theirs = people.context().new_page()
        theirs.goto(link)
        people.remember(person, theirs)
    link = portal.manage(
        "from webapp.accounts.models import User\n"
        "from webapp.accounts.services import team_create\n"
        "from webapp.jobs.setup import sign_in_link\n"
        "user = User.objects.create_user('mallory@example.org', name='Mallory')\n"
        "team_create(name='Others', owner=user)\n"
        f"print(sign_in_link(user, '{portal.url}', ''))"
    )
    stranger = people.context().new_page()
    stranger.goto(link)
    expect(stranger.get_by_role("navigation", name="Main")).to_be_visible()
    people.remember("mallory", stranger)

    transfer = f"/runs/{portal.kept['transfer']}"
    checkpoint = f"/checkpoints/{_checkpoint(portal, portal.kept['transfer'])}"
    for person in ("bob", "vera"):
        theirs = people.page(person)
        theirs.goto(transfer)
        expect(theirs.get_by_role("heading", name="Whale from Base")).to_be_visible()
        theirs.goto(portal.kept["comparison"])
        expect(theirs.locator("#compare-chart canvas")).to_be_visible()
    for address in (
        transfer,
        f"{transfer}/report",
        f"{transfer}/curves",
        f"{transfer}/spec.yaml",
        checkpoint,
        f"{checkpoint}/download",
        f"{checkpoint}/files/model.safetensors",
        f"/data/versions/{portal.kept['Whale']}",
    ):
        assert stranger.request.get(address).status == 404, address
    stranger.goto("/runs/")
    expect(stranger.get_by_role("heading", name="No runs yet")).to_be_visible()


def test_22_who_may_only_look_can_change_nothing(people: People, portal: Portal) -> None:
    page = people.page("vera")
    transfer = f"/runs/{portal.kept['transfer']}"
    page.goto(transfer)
    expect(page.get_by_role("link", name="Run again")).to_have_count(0)
    token = json.loads(page.locator("body").get_attribute("hx-headers") or "")["X-CSRFToken"]
    for address in (
        f"{transfer}/edit",
        f"{transfer}/cancel",
        "/runs/new",
        "/data/new",
        "/playground/",
    ):
        answer = page.request.post(
            address, form={"name": "mine"}, headers={"X-CSRFToken": token, "Referer": portal.url}
        )
        assert answer.status == 403, (address, answer.status)
    page.goto("/runs/new")
    expect(page.get_by_role("heading", level=1)).to_be_visible()


# --- 10. Import -----------------------------------------------------------------------------------


def test_23_a_model_comes_from_the_hub_and_goes_on_after_a_cut(page: Page, portal: Portal) -> None:
    portal.hub.cuts = [30_000] * 5  # every answer breaks off there, once the files are that long
    page.goto("/checkpoints/import")
    page.get_by_label("Name on the Hub").fill(HUB_MODEL)
    page.get_by_role("button", name="Download and import").click()
    expect(page).to_have_url(re.compile(r"/checkpoints/(import/)?[0-9a-f-]{36}$"))
    page.wait_for_url(re.compile(r"/checkpoints/[0-9a-f-]{36}$"), timeout=JOB_S * 1000)
    expect(page.get_by_text(HUB_MODEL).first).to_be_visible()
    asked = portal.hub.asked("model.safetensors")
    assert [request.range for request in asked][:2] == [None, "bytes=30000-"]
    portal.kept["hash"] = page.locator("#weights-hash").inner_text()
    portal.kept["imported"] = page.url.rsplit("/", 1)[1]
    blocks = page.locator("details.block")
    assert blocks.count() >= 4


def test_24_a_name_that_the_hub_does_not_know_is_said_at_the_field(page: Page) -> None:
    page.goto("/checkpoints/import")
    page.get_by_label("Name on the Hub").fill("testers/not-there")
    page.get_by_role("button", name="Download and import").click()
    wait_state(page, "#progress", "failed")
    expect(page.locator("#progress")).to_contain_text("testers/not-there")
    page.get_by_role("link", name="Change the settings").click()
    field = page.locator(".field", has=page.locator("#id_repository"))
    expect(field.locator("input")).to_have_value("testers/not-there")
    expect(field.locator(".field-error")).to_contain_text("testers/not-there")


def test_25_the_same_folder_uploaded_has_the_same_weights_and_writes(
    page: Page, portal: Portal, tmp_path: Path
) -> None:
    folder = tmp_path / "tiny"
    folder.mkdir()
    for name in MODEL_FILES:
        (folder / name).write_bytes((REFERENCE / name).read_bytes())
    page.goto("/checkpoints/import?tab=folder")
    page.locator("input[data-pick][webkitdirectory]").set_input_files(folder)
    expect(page.locator(".upload-file")).to_have_count(len(MODEL_FILES))
    page.get_by_label("Name", exact=True).fill("From a folder")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url(re.compile(r"/checkpoints/[0-9a-f-]{36}$"), timeout=JOB_S * 1000)
    expect(page.locator("#weights-hash")).to_have_text(portal.kept["hash"])
    page.get_by_role("link", name="Try it").click()
    page.locator("[name=prompt]").fill("the")
    page.locator("[name=max_tokens]").fill("12")
    page.get_by_role("button", name="Write").click()
    expect(page.locator(".answer .state-succeeded")).to_be_visible(timeout=JOB_S * 1000)
    expect(page.locator(".answer-foot")).to_contain_text("tokens")


# --- For everybody --------------------------------------------------------------------------------


def looked_at(page: Page, screens: list[str]) -> list[str]:
    """What is wrong with the page at each size; it ends at the first."""
    found: list[str] = []
    for screen in screens:
        page.set_viewport_size(SCREENS[screen])
        found += violations(page) + overflows(page)
    page.set_viewport_size(SCREENS[screens[0]])
    return found


@pytest.mark.parametrize(("theme", "screens"), [("light", ["desktop"]), ("dark", list(SCREENS))])
def test_26_the_pages_of_the_story_are_open_to_everybody(
    people: People, portal: Portal, theme: str, screens: list[str]
) -> None:
    page = people.page(color_scheme=theme, viewport=SCREENS["desktop"])
    transfer = portal.kept["transfer"]
    checkpoint = _checkpoint(portal, transfer)
    found: list[str] = []
    for address in (
        f"/runs/{transfer}",
        f"/runs/{portal.kept['cancelled']}",
        f"/runs/{transfer}/report",
        f"/runs/{transfer}/edit",
        f"/runs/new?source={checkpoint}&data={portal.kept['Whale']}",
        portal.kept["comparison"],
        "/runs/",
        f"/checkpoints/{checkpoint}",
        f"/checkpoints/{checkpoint}/copy",
        "/checkpoints/",
        "/checkpoints/import",
        "/playground/",
    ):
        page.goto(address)
        if page.locator("[data-chart]").count():
            expect(page.locator("[data-chart] canvas").first).to_be_visible()
        page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
        found += looked_at(page, screens)
    page.locator("a.history-text").first.click()
    found += looked_at(page, screens)
    page.context.close()
    assert not found, "\n".join(found)
