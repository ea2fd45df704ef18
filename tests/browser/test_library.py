"""The library of checkpoints in Chromium: filter, promote, compare, look into the tensors."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Page, expect

from tests.browser.story import (
    CHECKPOINT,
    JOB_S,
    SCREENS,
    People,
    Portal,
    dropped_model,
    overflows,
    violations,
)

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def pair(people: People, portal: Portal) -> tuple[str, str]:
    """The addresses of a model and of its copy with one more layer."""
    page = people.page()
    source = dropped_model(page, portal)
    page.goto(f"{source}/copy")
    layers = page.get_by_label("Layers", exact=True)
    layers.fill(str(int(layers.input_value()) + 1))
    page.get_by_label("Name", exact=True).fill("For the library")
    page.get_by_role("button", name="Copy the weights").click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)
    copy = page.url
    page.context.close()
    return source, copy


def test_the_values_come_on_demand_and_a_histogram_behind_each_name(
    page: Page, pair: tuple[str, str]
) -> None:
    page.goto(pair[1])
    expect(page.get_by_role("columnheader", name="Norm")).to_have_count(0)
    page.get_by_role("button", name="Work out the values").click()
    expect(page.get_by_role("columnheader", name="Norm").first).to_be_visible(timeout=JOB_S * 1000)
    expect(page.locator("#statistics")).not_to_have_attribute("hx-trigger", "every 1s")
    # Another block opens, and in it a drawing, without leaving the page.
    page.evaluate("window.same = true")
    page.locator("summary", has_text="Layer 1").click()
    name = page.locator("summary", has_text="transformer.h.1.mlp.c_fc.weight")
    name.click()
    drawing = page.locator("details", has=name).locator("svg.histogram-drawing")
    expect(drawing).to_be_visible()
    expect(drawing.locator("rect")).to_have_count(40)
    page.get_by_text("As a table").click()
    expect(page.locator(".histogram-table tbody tr")).to_have_count(40)
    assert page.evaluate("window.same") is True
    assert violations(page) == []
    # Kept for everybody: there at once the next time.
    page.reload()
    expect(page.get_by_role("columnheader", name="Norm").first).to_be_visible()


def test_promoted_filtered_and_archived(page: Page, pair: tuple[str, str]) -> None:
    _source, copy = pair
    page.goto(copy)
    page.get_by_label("Reason").fill("Reads best")
    page.get_by_role("button", name="Make it a candidate").click()
    expect(page.locator(".stage-history")).to_contain_text("Reads best")
    page.goto("/checkpoints/")
    row = page.locator("#rows tbody tr", has=page.get_by_role("link", name="For the library"))
    expect(row.locator(".stage-candidate")).to_be_visible()
    expect(row.get_by_role("link", name="Dropped")).to_be_visible()  # its source
    page.get_by_label("Stage").select_option("candidate")
    expect(page).to_have_url(re.compile("stage=candidate"))
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    page.goto(copy)
    page.get_by_role("button", name="Archive").click()
    expect(page.locator(".page-head .stage-archived")).to_be_visible()
    page.goto("/checkpoints/?q=For+the+library")
    expect(page.get_by_text("Nothing fits")).to_be_visible()
    page.get_by_label("Stage").select_option("archived")
    expect(page.locator("#rows tbody tr")).to_have_count(1)
    page.goto(copy)
    page.get_by_role("button", name="Take the stage away").click()
    expect(page.locator(".stage-history li")).to_have_count(3)


def test_two_ticked_stand_side_by_side(page: Page, pair: tuple[str, str]) -> None:
    page.goto("/checkpoints/")
    page.get_by_label("Compare Dropped").check()
    page.get_by_label("Compare For the library").check()
    page.get_by_role("button", name="Compare the ticked ones").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Side by side")
    expect(page.get_by_role("main")).to_contain_text(
        "For the library came from Dropped, 1 generation later."
    )
    differing = page.get_by_role("region", name="Settings that differ")
    expect(differing.get_by_role("rowheader", name="Layers")).to_be_visible()
    expect(differing.get_by_role("rowheader", name="Width")).to_have_count(0)
    tensors = page.locator(".tensor-blocks")
    expect(tensors.locator("summary")).to_have_count(1)  # the layer that is new
    tensors.locator("summary").click()
    expect(tensors.locator("li code").first).to_be_visible()
    assert violations(page) == []
    page.get_by_role("link", name="Ask both").click()
    asked = {page.locator(f"[name={name}]").input_value() for name in ("checkpoint", "beside")}
    assert asked == {address.rsplit("/", 1)[1] for address in pair}


def test_without_javascript_all_of_it_works(people: People, pair: tuple[str, str]) -> None:
    page = people.page(java_script_enabled=False)
    page.goto(pair[1])
    page.locator("summary", has_text="Layer 1").click()
    page.get_by_role("link", name="Show its tensors").locator("visible=true").click()
    expect(page.get_by_text("transformer.h.1.mlp.c_fc.weight")).to_be_visible()
    page.get_by_role("button", name="Put it into production").click()
    expect(page.locator(".page-head .stage-production")).to_be_visible()
    page.get_by_role("button", name="Take the stage away").click()
    expect(page.locator(".page-head .stage")).to_have_count(0)
    page.context.close()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_on_a_phone_one_clicks_through_the_lineage(
    people: People, pair: tuple[str, str], theme: str
) -> None:
    source, copy = pair
    page = people.page(viewport=SCREENS["phone"], color_scheme=theme)
    page.goto(source)
    steps = page.locator(".lineage-steps")
    expect(steps).to_be_visible()
    expect(page.locator(".lineage")).to_be_hidden()
    steps.get_by_role("link", name="For the library").click()
    expect(page).to_have_url(copy)
    steps.get_by_role("link", name="Dropped").click()
    expect(page).to_have_url(source)
    compare = "/checkpoints/compare?ids=" + ",".join(one.rsplit("/", 1)[1] for one in pair)
    for path in (source, copy, "/checkpoints/", compare):
        page.goto(path)
        assert violations(page) + overflows(page) == []
    page.context.close()
