"""Sounds are uploaded, seen and heard in the browser, and a model's own are listened to."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    DESK,
    JOB_S,
    PHONE,
    RUN,
    fill_run,
    overflows,
    section,
    until,
    upload,
    violations,
    wait_state,
)
from tests.browser.test_generative import SHORT, ready
from tests.pictures import archive
from tests.sounds import class_folders

pytestmark = pytest.mark.slow

#: How long the first player's sound is, once the browser has read its head.
SECONDS = """() => {
  const player = document.querySelector("audio");
  player.load();
  return new Promise((done) => {
    player.addEventListener("loadedmetadata", () => done(player.duration));
    player.addEventListener("error", () => done(-1));
    player.preload = "metadata";
  });
}"""


def test_sounds_are_heard_and_more_like_them_are_made(page: Page) -> None:
    page.set_viewport_size(DESK)
    sounds = archive(class_folders(16) | {"notes.txt": "Recorded in a shed."})
    upload(page, "shed.zip", sounds, "Shed noises", test_percent="25", mel_bands="28")
    wait_state(page, "#version", "succeeded")
    expect(page.locator("main")).to_contain_text("0.51 seconds at 8,000 Hz")
    expect(page.locator("main")).to_contain_text("1 files of the archive are no WAV files")
    expect(page.get_by_role("link", name="Train a classifier")).to_have_count(0)
    expect(page.locator("audio")).to_have_count(18)
    ready(page)
    assert 0.5 < page.evaluate(SECONDS) < 0.52
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)

    page.get_by_role("link", name="Make sounds like these").click()
    expect(page.locator("#data option:checked")).to_contain_text("sounds, 3 classes")
    expect(page.locator("[name=method]")).to_have_value("cvae")
    page.goto(page.url.replace("method=cvae", "method=cgan"))
    expect(page.locator("#data option:checked")).to_contain_text("sounds, 3 classes")
    expect(page.locator("#of-sounds")).to_contain_text("28 mel bands by 32 moments")
    expect(page.locator("#model-image_px")).to_be_hidden()
    expect(page.locator("#judge")).to_be_hidden()
    small = {"model.width": "4", "model.discriminator_width": "4"}
    fill_run(page, **SHORT, **small, name="Echo")
    expect(page.locator("#yaml")).to_contain_text("width_px: 32")
    assert violations(page) == []
    page.get_by_role("button", name="Start", exact=True).click()
    page.wait_for_url(RUN)
    wait_state(page, "#live", "succeeded", timeout_s=JOB_S)
    # Three classes at three looks, three of each to be heard.
    expect(page.locator("#samples .play")).to_have_count(27)
    ready(page)
    with page.expect_response(lambda answer: "/sounds/" in answer.url) as answered:
        page.get_by_role("button", name="Play high, 2").first.click()
    assert answered.value.headers["content-type"] == "audio/wav"
    until(lambda: page.locator(".play.playing").count() == 0, JOB_S, "the sound's end")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)

    page.get_by_role("link", name="Full report").click()
    made = section(page, "What it makes")
    expect(made).to_contain_text("Every one is heard as a sound that has this picture")
    expect(made.locator(".play").first).to_be_visible()
    ready(page)
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
