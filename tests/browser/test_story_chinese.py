"""The story in Chinese: the interface, a corpus, a model trained on it, and what it writes."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    JOB_S,
    ROOT,
    TINY,
    choose,
    corpus,
    fill_run,
    jsonl,
    wait_state,
)

pytestmark = pytest.mark.slow

CATALOGUE = ROOT / "locale/zh_Hans/LC_MESSAGES/django.po"
CHINESE = re.compile(r"[\u4e00-\u9fff]")


@pytest.fixture
def page(page: Page) -> Page:
    """A page of somebody who chose 简体中文."""
    page.goto("/")
    page.locator("#language").select_option("zh-hans")
    expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
    return page


def test_the_interface_turns_chinese_and_stays_so(page: Page) -> None:
    for address in ("/data/", "/runs/", "/runs/new", "/checkpoints/", "/playground/"):
        page.goto(address)
        expect(page.locator("html")).to_have_attribute("lang", "zh-hans")
        if CATALOGUE.exists():
            for entry in page.locator(".nav-list").first.locator("a").all_inner_texts():
                assert CHINESE.search(entry), (address, entry)
            assert CHINESE.search(page.locator("h1").inner_text()), address


def test_a_chinese_corpus_trains_and_writes(page: Page) -> None:
    texts = corpus("song_ci.jsonl", 0, 300)
    page.goto("/data/new")
    choose(page, "宋词.jsonl", jsonl(texts))
    page.locator("[name=name]").fill("宋词三百首")
    page.locator("[data-upload-submit]").click()
    page.wait_for_url(re.compile(r"/data/(versions/)?[0-9a-f-]{36}$"))
    wait_state(page, "#version", "succeeded")
    shares = [
        int(text.removesuffix("%"))
        for text in page.locator("dl.figures dd").all_inner_texts()
        if text.endswith("%")
    ]
    assert shares[0] > 70  # Chinese characters; the rest is punctuation and line ends
    expect(page.locator(".document-text").first).to_contain_text(CHINESE)

    page.locator("a[href*='/runs/new?data=']").click()
    page.wait_for_url("**/runs/new?data=*")
    fill_run(
        page,
        **TINY
        | {
            "tokenizer__vocabulary_size": 1500,
            "training__steps": 150,
            "evaluation__prompts": "明月\n春风",
        },
    )
    page.locator("button[name=action][value=start]").click()
    page.wait_for_url(re.compile(r"/runs/[0-9a-f-]{36}$"))
    expect(page.locator("#run-name")).to_contain_text("宋词三百首")
    wait_state(page, "#live", "succeeded")
    page.reload()
    samples = page.locator("#samples .sample-text")
    expect(samples.first).to_contain_text("明月")
    assert len(CHINESE.findall(samples.first.inner_text())) > 4

    page.locator("a[href*='/playground/?checkpoint=']").click()
    page.locator("[name=prompt]").fill("明月")
    page.locator("[name=max_tokens]").fill("40")
    page.locator("form[data-playground] button.btn-primary").click()
    page.wait_for_url(re.compile(r"/playground/[0-9a-f-]{36}$"))
    expect(page.locator(".answer .state-succeeded")).to_be_visible(timeout=JOB_S * 1000)
    written = page.locator("#text-1 .continuation").inner_text()
    assert len(CHINESE.findall(written)) > 5, written
