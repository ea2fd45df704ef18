"""Images as a network is shown them: scaled, cropped, normalised.

Details people get wrong: an image network was trained with one mean and deviation of the pixels,
and other ones cost much of what it knows; an image is scaled in proportion and cropped, since a
squeezed one is another image.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Any, Literal

import numpy as np
import numpy.typing as npt
from pydantic import Field

from training.errors import gettext_noop as _

#: Where neither the network nor a person says how large images are.
ANY_PX = 224
#: The smallest images that are seen.
LEAST_PX = 16
#: Side of the images whose pixels are a baseline.
RAW_PX = 16

Pixels = npt.NDArray[np.uint8]
#: Mean and standard deviation of each channel, of pixels in 0..1.
Statistics = tuple[tuple[float, ...], tuple[float, ...]]

Normalisation = Literal["auto", "imagenet", "inception", "unit"]
NORMALISATIONS: dict[Normalisation, Statistics] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
#: The same as settings, wherever a person may choose what a network is shown.
ImagePx = Annotated[
    int | None,
    Field(
        ge=LEAST_PX,
        le=1024,
        title=_("Image size (pixels)"),
        description=_(
            "Images are scaled to this shorter side and their middle square is seen; empty: the "
            "network's own size, or 224."
        ),
    ),
]
ImageNormalisation = Annotated[
    Normalisation,
    Field(
        title=_("Normalisation of images"),
        description=_(
            "What the network was trained with: ImageNet's mean and deviation, the range -1 to 1, "
            "or 0 to 1. Auto: what it came with, else ImageNet's."
        ),
    ),
]
#: How much of grey each colour is (ITU-R BT.601).
GREY = (0.299, 0.587, 0.114)


def statistics_of(chosen: Normalisation, card: dict[str, Any], channels: int) -> Statistics:
    """Mean and deviation that pixels are normalised by.

    Args:
        chosen: As asked for; ``auto``: the checkpoint's own, else ImageNet's.
        card: The checkpoint's; ``images`` has ``mean`` and ``std`` where they are known.
        channels: Of the network, 1 or 3; for grey, the channels' mean is taken.
    """
    own = card.get("images")
    if chosen != "auto":
        mean, deviation = NORMALISATIONS[chosen]
    elif own is not None:
        mean, deviation = tuple(own["mean"]), tuple(own["std"])
    else:
        mean, deviation = NORMALISATIONS["imagenet"]
    if len(mean) != channels:
        middle = (sum(mean) / len(mean),), (sum(deviation) / len(deviation),)
        mean, deviation = (tuple(values * channels) for values in middle)
    return mean, deviation


def fitted(pixels: Pixels, px: int, channels: int) -> Pixels:
    """The middle square of an image whose shorter side is scaled to ``px``.

    Args:
        pixels: uint8 [height, width, 1 or 3].
        px: Side of the square.
        channels: 1 or 3 wanted; grey becomes three equal channels, colour is weighed to grey.

    Returns:
        uint8 [px, px, channels].
    """
    from PIL import Image

    height, width = pixels.shape[:2]
    if (height, width) != (px, px):
        image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        side = min(height, width)
        left, top = (width - side) / 2, (height - side) / 2
        box = (left, top, left + side, top + side)
        image = image.resize((px, px), Image.Resampling.BICUBIC, box=box)
        pixels = np.asarray(image, np.uint8).reshape(px, px, -1)
    if pixels.shape[-1] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, -1)
    return np.asarray(np.rint(pixels @ np.array(GREY)), np.uint8)[..., None]


def raw_pixels(images: Iterable[Pixels]) -> npt.NDArray[np.float32]:
    """Images as rows of pixels: what a network's features must beat.

    Args:
        images: uint8 [height, width, 1 or 3] each, of any size.

    Returns:
        float32 in 0..1, [images, :data:`RAW_PX`² · 3], each image squeezed into a square.
    """
    from PIL import Image

    found = []
    for pixels in images:
        image = Image.fromarray(np.broadcast_to(pixels, (*pixels.shape[:2], 3)))
        seen = image.resize((RAW_PX, RAW_PX), Image.Resampling.BICUBIC)
        found.append(np.asarray(seen, np.float32).ravel() / 255)
    return np.stack(found)
