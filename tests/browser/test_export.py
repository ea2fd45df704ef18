"""A model from PyTorch comes in, goes out as ONNX, and still computes what PyTorch computed."""

from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Page, expect
from safetensors.numpy import load_file

from tests.browser.story import CHECKPOINT, HUB_MODEL, JOB_S, REFERENCE, Portal, violations

pytestmark = pytest.mark.slow


@pytest.fixture
def model(page: Page, portal: Portal) -> str:
    """The address of a model that came from the Hub."""
    if known := portal.kept.get("to export"):
        return str(known)
    page.goto("/checkpoints/import?tab=hub")
    page.get_by_label("Name on the Hub").fill(HUB_MODEL)
    page.get_by_role("button", name="Download and import").click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)
    portal.kept["to export"] = page.url
    return page.url


def test_an_export_is_made_proved_downloaded_and_opened(
    page: Page, model: str, tmp_path: Path
) -> None:
    page.goto(model)
    page.get_by_role("link", name="Export").click()
    form = page.locator("[data-format=onnx]")
    form.get_by_role("button", name="Export").click()
    download = form.get_by_role("link", name="Download")
    expect(download).to_be_visible(timeout=JOB_S * 1000)
    expect(form).to_contain_text("Outputs differ by at most")
    expect(form).to_contain_text("tokens int32 [batch, time]")
    assert violations(page) == []
    # Nothing else was made, and the page has come to rest.
    expect(page.get_by_role("link", name="Download")).to_have_count(1)
    expect(page.locator("#offers[hx-trigger]")).to_have_count(0)

    with page.expect_download() as expected:
        download.click()
    expected.value.save_as(tmp_path / "export.zip")
    with zipfile.ZipFile(tmp_path / "export.zip") as archive:
        names = {name.split("/", 1)[1] for name in archive.namelist()}
        assert {"model.onnx", "proof.json", "tokenizer/tokenizer.json"} <= names
        graph = archive.read(next(n for n in archive.namelist() if n.endswith("model.onnx")))

    import onnxruntime

    reference = load_file(REFERENCE / "expected.safetensors")
    session = onnxruntime.InferenceSession(graph)
    tokens = reference["tokens"].astype(np.int32)
    (logits,) = session.run(["logits"], {"tokens": tokens})
    assert np.abs(logits - reference["logits"]).max() <= 1e-4


def test_a_checkpoint_is_sent_to_the_hub_and_its_token_is_forgotten(
    page: Page, portal: Portal, model: str, tmp_path: Path
) -> None:
    token = "hf_browser-test-token"
    portal.hub.accepts, portal.hub.token = tmp_path, token
    page.goto(f"{model}/export")
    page.get_by_role("link", name="Send to the Hub").click()
    page.get_by_label("Name on the Hub").fill("testers/back-again")
    page.get_by_label("Token").fill(token)
    assert violations(page) == []
    page.get_by_role("button", name="Send", exact=True).click()
    sent = page.locator("#pushes")
    expect(sent.get_by_role("link", name="testers/back-again")).to_be_visible(timeout=JOB_S * 1000)

    there = portal.hub.models["testers/back-again"]
    assert (there / "model.safetensors").read_bytes() == (
        REFERENCE / "model.safetensors"
    ).read_bytes()
    assert f"base_model: {HUB_MODEL}" in (there / "README.md").read_text()
    (row,) = portal.rows("SELECT sealed_token FROM checkpoints_checkpointpush")
    assert row["sealed_token"] == ""
    for path in (portal.folder / "data").rglob("*"):
        assert not path.is_file() or token.encode() not in path.read_bytes(), path
    assert token not in page.content()
