"""Small images and archives of them, made on the spot."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from typing import Any

import numpy as np
from PIL import Image


def picture(seed: int, *, size: tuple[int, int] = (24, 20), colour: int | None = None) -> Any:
    """An RGB image (width, height) that no other seed gives; of one channel's colour if asked."""
    random = np.random.default_rng(seed)
    pixels = random.integers(0, 120, (size[1], size[0], 3), np.uint8)
    if colour is not None:
        pixels[..., colour] += 130
    return Image.fromarray(pixels)


def encoded(image: Any, kind: str = "PNG", **options: Any) -> bytes:
    """An image file."""
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def archive(files: Mapping[str, bytes | str], **options: Any) -> bytes:
    """A ZIP of these files."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, **options) as packed:
        for name, content in files.items():
            packed.writestr(name, content)
    return file.getvalue()


def class_folders(
    count: int, *, classes: tuple[str, ...] = ("red", "green", "blue"), **options: Any
) -> dict[str, bytes]:
    """So many PNGs of each class, in its folder; a class is a colour that is easily told."""
    return {
        f"{name}/{number}.png": encoded(picture(1000 * place + number, colour=place % 3, **options))
        for place, name in enumerate(classes)
        for number in range(count)
    }
