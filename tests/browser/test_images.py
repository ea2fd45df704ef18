"""A ZIP of images comes in, is looked at, and a head is fitted on a network's features of it."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import Locator, Page, expect
from safetensors.numpy import save

from tests.browser.story import (
    CHECKPOINT,
    DESK,
    HEAD,
    JOB_S,
    PHONE,
    VERSION,
    drop,
    overflows,
    until,
    upload,
    violations,
    wait_state,
)
from tests.pictures import archive, class_folders, encoded, picture
from training.backbones.densenet.config import DenseNetConfig
from training.backbones.image_config import ImageConfig
from training.backbones.resnet.config import ResNetConfig
from training.backbones.shufflenet.config import PRESETS as SHUFFLENETS
from training.weights.initial import initial_weights

pytestmark = pytest.mark.slow


def drawn(images: Locator) -> int:
    """How many of the images have arrived and been decoded."""
    return int(images.evaluate_all("all => all.filter(one => one.naturalWidth > 0).length"))


def imported(page: Page, name: str, config: ImageConfig) -> str:
    """A network that was dropped as a file of weights; its key."""
    weights = dict(initial_weights(config, 0).items())
    page.goto("/checkpoints/import?tab=folder")
    drop(page, "[data-drop]", [("model.safetensors", save(weights))])
    expect(page.locator(".upload-file")).to_have_count(1)
    page.get_by_label("Name", exact=True).fill(name)
    page.get_by_role("button", name="Import", exact=True).click()
    page.wait_for_url(CHECKPOINT, timeout=JOB_S * 1000)
    return page.url.rsplit("/", 1)[1]


def another_head(page: Page, version: str, network: str, pooling: str) -> None:
    """The form of a head that needs little time."""
    page.goto(version)
    page.get_by_role("link", name="Fit a head").click()
    page.get_by_label("Checkpoint", exact=True).select_option(network)
    page.get_by_label("Pooling", exact=True).select_option(pooling)
    page.get_by_label("Compare with random weights").uncheck()
    page.locator("details.more > summary").click()
    page.get_by_label("Image size (pixels)", exact=True).fill("48")
    page.get_by_label("Map and neighbours").uncheck()


def test_images_are_seen_and_told_apart(page: Page) -> None:
    shuffle = imported(page, "Shuffle", SHUFFLENETS["shufflenet_v2_x0_5"])
    dense = imported(page, "Dense", DenseNetConfig(depths=[1, 2], growth=8, stem=16))
    grouped = imported(page, "Grouped", ResNetConfig(depths=[1, 1], groups=4, group_width=4))

    # One class only cannot be told apart; what was uploaded is kept for other settings.
    broken = encoded(picture(1))[:150]
    files = class_folders(20, size=(40, 30)) | {"red/broken.png": broken, "one/1.png": broken}
    few = archive(files | {"one/2.png": encoded(picture(77))})
    upload(page, "colours.zip", few, "Colours", test_percent="25", longest_px="32")
    wait_state(page, "#version", "failed")
    expect(page.get_by_role("alert")).to_contain_text("The class one has 1 different examples")
    page.get_by_role("link", name="Check again with other settings").click()
    page.get_by_label("Leave out rare classes").check()
    page.get_by_role("button", name=re.compile("Check")).click()
    page.wait_for_url(VERSION)
    wait_state(page, "#version", "succeeded")

    classes = page.get_by_role("region", name="Classes", exact=True)
    expect(classes).to_contain_text("3 classes from the folders")
    warnings = page.get_by_role("region", name="Worth knowing")
    expect(warnings).to_contain_text("2 images could not be read")
    preview = page.get_by_role("region", name="Preview").locator("img")
    expect(preview).to_have_count(32)
    preview.last.scroll_into_view_if_needed()
    until(lambda: drawn(preview) == 32, 30, "32 images that are drawn")
    size = preview.first.evaluate("one => [one.naturalWidth, one.naturalHeight]")
    assert size == [32, 24]
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []
    page.set_viewport_size(DESK)

    page.goto("/")
    expect(page.get_by_role("listitem").filter(has_text="Colours")).to_contain_text("61 images")
    page.go_back()

    # Runs learn from text, and are offered none of it.
    version = page.url
    page.goto("/runs/new")
    expect(page.get_by_label("Data", exact=True).get_by_text("Colours")).to_have_count(0)
    page.goto(version)

    page.get_by_role("link", name="Fit a head").click()
    page.get_by_label("Checkpoint", exact=True).select_option(shuffle)
    page.get_by_label("Pooling", exact=True).select_option("last")
    page.locator("details.more > summary").click()
    page.get_by_label("Image size (pixels)", exact=True).fill("48")
    page.get_by_role("button", name="Fit the head").click()
    expect(page.locator("#id_pooling_error")).to_contain_text("nothing to pool that way")
    page.get_by_label("Pooling", exact=True).select_option("adaptive_max")
    page.get_by_role("button", name="Fit the head").click()

    page.wait_for_url(HEAD)
    wait_state(page, "#head", "succeeded", timeout_s=2 * JOB_S)
    verdict = page.get_by_role("region", name="Was it worth it?").first
    expect(verdict).to_contain_text("15 examples it never saw")
    # The classes are colours, which pixels alone tell apart.
    expect(verdict.get_by_role("row", name=re.compile("raw pixels"))).to_contain_text("100.0%")
    made = page.get_by_role("region", name="How it was made")
    expect(made).to_contain_text("48")
    head = page.url
    worst = page.get_by_role("region", name="Where it is most wrong").locator("img")
    expect(worst).to_have_count(15)
    worst.last.scroll_into_view_if_needed()
    until(lambda: drawn(worst) == 15, 30, "15 images that are drawn")
    assert violations(page) == []
    page.set_viewport_size(PHONE)
    assert overflows(page) == []

    # The map: a point is followed without loading the page, and by its address with it.
    page.set_viewport_size(DESK)
    page.goto(head)
    page.get_by_role("link", name="Map and neighbours").click()
    points = page.locator(".map-points a")
    expect(points).to_have_count(57)
    item = page.get_by_role("region", name=re.compile("^Example"))
    expect(item.locator("img")).to_have_count(9)
    assert violations(page) == []
    page.evaluate("window.stays = true")
    points.nth(40).locator("circle").dispatch_event("click")
    expect(page).to_have_url(re.compile(r"item=40$"))
    assert page.evaluate("window.stays") is True
    shown = item.get_by_role("heading", level=2).inner_text()
    ring = page.locator("[data-map-ring]")
    x = ring.get_attribute("cx")
    item.locator(".images a").first.click()
    expect(item.get_by_role("heading", level=2)).not_to_have_text(shown)
    assert ring.get_attribute("cx") != x
    page.goto(page.url.split("?")[0] + "?item=40")
    expect(item.get_by_role("heading", level=2)).to_have_text(shown)
    page.get_by_role("list", name="Classes").get_by_role("link", name=re.compile("red")).click()
    expect(page.locator(".map-points circle.faded")).to_have_count(38)
    expect(item.get_by_role("heading", level=2)).to_have_text(shown)
    page.set_viewport_size(PHONE)
    assert overflows(page) == []

    # A ResNeXt's features, each channel's maximum, and the nearest of them.
    page.set_viewport_size(DESK)
    another_head(page, version, grouped, "max")
    page.get_by_label("Head", exact=True).select_option("knn")
    page.get_by_role("button", name="Fit the head").click()
    page.wait_for_url(HEAD)
    wait_state(page, "#head", "succeeded", timeout_s=2 * JOB_S)
    made = page.get_by_role("region", name="How it was made")
    expect(made).to_contain_text("nearest neighbours")
    expect(made).to_contain_text("512")

    # On a DenseNet's map attention is learned over the places, with a linear probe alone.
    another_head(page, version, dense, "attention")
    page.get_by_label("Head", exact=True).select_option("knn")
    page.get_by_role("button", name="Fit the head").click()
    expect(page.locator("#id_head_error")).to_contain_text("linear probe: choose that head")
    page.get_by_label("Head", exact=True).select_option("linear")
    page.get_by_role("button", name="Fit the head").click()
    page.wait_for_url(HEAD)
    wait_state(page, "#head", "succeeded", timeout_s=2 * JOB_S)
    expect(page.get_by_role("region", name="How it was made")).to_contain_text("places an example")
    assert violations(page) == []
