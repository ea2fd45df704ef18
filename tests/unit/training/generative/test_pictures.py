"""Rows of images as files."""

from __future__ import annotations

import base64
import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from training.generative.pictures import (
    GAP_GREY,
    GAP_PX,
    LARGE_BYTES,
    as_event,
    as_pixels,
    in_rows,
    write_rows,
)


def opened(event: dict[str, str]) -> Any:
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(event["image"]))))


def test_pixels_are_rounded_and_cut_off() -> None:
    found = as_pixels(np.array([[[[-1.0], [0.5], [2.0]]]]))
    assert found.ravel().tolist() == [0, 128, 255]


@pytest.mark.parametrize("channels", [1, 3])
def test_a_row_holds_every_image_in_its_place(channels: int) -> None:
    images = np.random.default_rng(0).integers(0, 256, (5, 4, 4, channels)).astype(np.uint8)
    picture = in_rows(images, 3)
    assert picture.shape == (4 + GAP_PX + 4, 3 * 4 + 2 * GAP_PX, channels)
    event = as_event(picture)
    assert event["type"] == "image/png"
    pixels = opened(event).reshape(picture.shape)
    step = 4 + GAP_PX
    assert np.array_equal(pixels[:4, step : step + 4], images[1])
    assert np.array_equal(pixels[step:, :4], images[3])
    assert (pixels[step:, 2 * step :] == GAP_GREY).all()


def test_a_large_picture_is_a_jpeg() -> None:
    images = np.random.default_rng(0).integers(0, 256, (8, 64, 64, 3)).astype(np.uint8)
    event = as_event(in_rows(images, 8))
    assert event["type"] == "image/jpeg"
    assert opened(event).shape == (64, 8 * 64 + 7 * GAP_PX, 3)
    assert len(base64.b64decode(event["image"])) > LARGE_BYTES


def test_each_row_begins_on_a_line_of_its_own(tmp_path: Path) -> None:
    rows = [np.full((count, 4, 4, 1), 255, np.uint8) for count in (3, 2)]
    write_rows(tmp_path / "rows.png", rows, 3)
    pixels = np.asarray(Image.open(tmp_path / "rows.png"))
    assert pixels.shape == (4 + GAP_PX + 4, 3 * 4 + 2 * GAP_PX)
    assert (pixels[-4:, -4:] == GAP_GREY).all()
