"""Two checkpoints merged, judged by a text, and the curve looked at: in Chromium."""

from __future__ import annotations

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    CHECKPOINT,
    JOB_S,
    MODEL_FILES,
    REFERENCE,
    SCREENS,
    People,
    corpus,
    drop,
    jsonl,
    overflows,
    upload,
    violations,
    wait_state,
)

pytestmark = pytest.mark.slow


def make_parents(page: Page) -> None:
    """A model of other people's, and its copy with a layer that starts afresh."""
    page.goto("/checkpoints/import?tab=folder")
    drop(page, "[data-drop]", [(name, (REFERENCE / name).read_bytes()) for name in MODEL_FILES])
    page.get_by_label("Name", exact=True).fill("First of two")
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)
    page.get_by_role("link", name="Copy into a new model").click()
    page.get_by_label("Name", exact=True).fill("Second of two")
    page.get_by_label("Rules", exact=True).fill("skip h.0.*")
    expect(page.locator("#plan")).not_to_contain_text("100.0 %")
    page.get_by_role("button", name="Copy the weights").click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)


def settled(page: Page) -> None:
    """What was swapped in listens only when htmx has settled it, a moment after it is seen."""
    busy = ".htmx-request, .htmx-swapping, .htmx-settling, .htmx-added"
    expect(page.locator(busy)).to_have_count(0)


def look(page: Page) -> None:
    """The page on large and small screens, light and dark: nothing overflows, axe is content."""
    for theme in ("light", "dark"):
        page.evaluate("theme => localStorage.setItem('graft-theme', theme)", theme)
        page.reload()
        page.wait_for_load_state("networkidle")
        for size in SCREENS.values():
            page.set_viewport_size(size)
            assert violations(page) + overflows(page) == []
    page.set_viewport_size(SCREENS["desktop"])
    page.evaluate("localStorage.setItem('graft-theme', 'light')")
    page.reload()


def test_two_checkpoints_are_merged_at_the_best_point(people: People) -> None:
    page = people.page()
    upload(page, "merged.jsonl", jsonl(corpus("moby_dick.jsonl", 0, 60)), "To judge by")
    wait_state(page, "#version", "succeeded")
    make_parents(page)

    page.get_by_role("link", name="Merge with…").click()
    look(page)
    page.get_by_label("Add a checkpoint").select_option(label="First of two")
    expect(page.locator(".merge-parts li")).to_have_count(2)
    settled(page)
    page.get_by_role("link", name="Swap").click()
    expect(page.locator(".merge-parts li").first).to_contain_text("First of two")
    settled(page)

    # Each method has its own settings; the slider says where it stands.
    method = page.locator("#id_method")
    method.select_option("ties")
    expect(page.get_by_label("Kept (%)")).to_be_visible()
    settled(page)
    method.select_option("interpolate")
    expect(page.get_by_label("Kept (%)")).to_have_count(0)
    settled(page)
    page.locator("[name=alpha]").fill("0.7")
    expect(page.locator("#alpha-value")).to_have_text("0.7")
    page.get_by_label("Take the point with the lowest loss").check()
    page.get_by_role("button", name="Merge", exact=True).click()
    expect(page.locator("#id_target_error")).to_contain_text("role of a target")

    page.get_by_label("Target data").select_option(index=1)
    page.get_by_label("Points to be evaluated").fill("3")
    page.get_by_label("Name", exact=True).fill("Merged of two")
    page.get_by_role("button", name="Merge", exact=True).click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)

    expect(page.get_by_role("heading", level=1)).to_have_text("Merged of two")
    expect(page.locator("#judged canvas")).to_be_visible()
    expect(page.get_by_text("The lowest loss on the target is")).to_be_visible()
    rows = page.get_by_role("region", name="How it was judged").locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="best on the target, this checkpoint")).to_have_count(1)
    for parent in ("First of two", "Second of two"):
        expect(page.locator("a.lineage-node", has_text=parent)).to_be_visible()
    look(page)
    page.context.close()
