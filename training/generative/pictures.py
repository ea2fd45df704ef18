"""Images as files that people look at: rows of small ones, as PNG or JPEG."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Pixels = npt.NDArray[np.uint8]

#: Between two images, pixels of this grey.
GAP_PX, GAP_GREY = 2, 128
#: A PNG that is larger becomes a JPEG: an event log keeps them all.
LARGE_BYTES = 16_000
JPEG_QUALITY = 90


def as_pixels(images: npt.NDArray[np.floating[Any]]) -> Pixels:
    """float [images, height, width, channels] in 0..1 → uint8 in 0..255."""
    return np.asarray(np.rint(np.clip(images, 0, 1) * 255), np.uint8)


def in_rows(images: Pixels, columns: int) -> Pixels:
    """Images side by side, so many in a row.

    Args:
        images: uint8 [images, height, width, channels].
        columns: Of the picture.

    Returns:
        uint8 [height, width, channels].
    """
    count, height, width = images.shape[:3]
    lines = -(-count // columns)
    size = (lines * (height + GAP_PX) - GAP_PX, columns * (width + GAP_PX) - GAP_PX)
    found = np.full([*size, images.shape[-1]], GAP_GREY, np.uint8)
    for place, image in enumerate(images):
        line, column = divmod(place, columns)
        top, left = line * (height + GAP_PX), column * (width + GAP_PX)
        found[top : top + height, left : left + width] = image
    return found


def png(picture: Pixels) -> bytes:
    """A picture as PNG."""
    return _written(picture, "PNG", optimize=True)


def as_event(picture: Pixels) -> dict[str, str]:
    """A picture as an event has it: ``image``, base64, and its ``type``."""
    content, kind = png(picture), "image/png"
    if len(content) > LARGE_BYTES:
        content, kind = _written(picture, "JPEG", quality=JPEG_QUALITY), "image/jpeg"
    return {"image": base64.b64encode(content).decode(), "type": kind}


def write_rows(file: Path, rows: Sequence[Pixels], columns: int) -> None:
    """Write a picture with these images, each row beginning on a line of its own."""
    width = rows[0].shape[1:]
    filled = []
    for row in rows:
        missing = -len(row) % columns
        filled.append(np.concatenate([row, np.full([missing, *width], GAP_GREY, np.uint8)]))
    file.write_bytes(png(in_rows(np.concatenate(filled), columns)))


def _written(picture: Pixels, kind: str, **settings: Any) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(picture[..., 0] if picture.shape[-1] == 1 else picture).save(
        file, kind, **settings
    )
    return file.getvalue()
