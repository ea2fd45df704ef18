"""A vector for each image from the last map of a frozen network.

Poolings over the places (i, j) of a map of C channels:

- ``mean``: global average pooling, Σ_ij m_ij / (H W), of Lin et al., 2014, "Network In Network"
- ``max``: global max pooling, the largest value of each channel
- ``mean_max``: both side by side, 2 C values
- ``adaptive_max``: the largest value of each channel in each of 2 × 2 parts, 4 C values
- ``first``: the class token of a vision transformer

Details people get wrong: an image network was trained with one mean and deviation of the pixels,
and other ones cost much of what it knows; an image is scaled in proportion and cropped, since a
squeezed one is another image; a part of adaptive pooling begins at ⌊i H / n⌋ and ends at
⌈(i + 1) H / n⌉, so that parts overlap where n does not divide H.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.features.settings import ImagePooling, Normalisation

#: The parts of a side in ``adaptive_max``.
PARTS = 2
#: Where neither the network nor a person says how large images are.
ANY_PX = 224
#: Side of the images whose pixels are a baseline.
RAW_PX = 16

Pixels = npt.NDArray[np.uint8]
Features = npt.NDArray[np.float32]
Progress = Callable[[float], None]
#: Mean and standard deviation of each channel, of pixels in 0..1.
Statistics = tuple[tuple[float, ...], tuple[float, ...]]

NORMALISATIONS: dict[Normalisation, Statistics] = {
    "imagenet": ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "inception": ((0.5, 0.5, 0.5), (0.5, 0.5, 0.5)),
    "unit": ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
}
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


def raw_pixels(images: Iterable[Pixels]) -> Features:
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


def pool_map(maps: np.ndarray, pooling: ImagePooling) -> Features:
    """One vector an image.

    Args:
        maps: float32 [batch, height, width, channels].
        pooling: See the module; not ``first``, which no map has.

    Returns:
        float32 [batch, channels], twice or four times as many for ``mean_max`` and
        ``adaptive_max``.
    """
    match pooling:
        case "mean":
            found = maps.mean((1, 2))
        case "max":
            found = maps.max((1, 2))
        case "mean_max":
            found = np.concatenate([maps.mean((1, 2)), maps.max((1, 2))], 1)
        case _:
            found = adaptive_max(maps, PARTS).reshape(len(maps), -1)
    return np.asarray(found, np.float32)


def adaptive_max(maps: np.ndarray, parts: int) -> np.ndarray:
    """PyTorch's adaptive max pooling, for any size of map.

    Args:
        maps: [batch, height, width, channels].
        parts: Of each side.

    Returns:
        [batch, parts, parts, channels].
    """
    rows, columns = _edges(maps.shape[1], parts), _edges(maps.shape[2], parts)
    return np.stack(
        [np.stack([maps[:, a:b, c:d].max((1, 2)) for c, d in columns], 1) for a, b in rows],
        1,
    )


def _edges(size: int, parts: int) -> list[tuple[int, int]]:
    return [(i * size // parts, -((i + 1) * size // -parts)) for i in range(parts)]


def image_features(
    model: Any,
    images: Sequence[Any],
    read: Callable[[Any], Pixels],
    pooling: ImagePooling,
    statistics: Statistics,
    *,
    px: int,
    batch_size: int = 32,
    progress: Progress | None = None,
) -> Features:
    """A vector for each image, in the order of the images.

    Args:
        model: A :class:`training.backbones.image_model.ImageModel`.
        images: Any number of whatever ``read`` takes.
        read: Gives an image's pixels, uint8 [height, width, 1 or 3].
        pooling: See the module.
        statistics: From :func:`statistics_of`.
        px: See :func:`fitted`.
        batch_size: Images computed together.
        progress: Told the share that is done.

    Returns:
        float32 [images, width].
    """
    import tensorflow as tf

    channels = model.config.in_channels
    mean, deviation = (np.array(values, np.float32) for values in statistics)

    @tf.function(input_signature=[tf.TensorSpec([None, px, px, channels], tf.uint8)])
    def compute(pixels: Any) -> Any:
        seen = (tf.cast(pixels, tf.float32) / 255.0 - mean) / deviation
        return model.pooled(seen) if pooling == "first" else model.features(seen)

    found: Features | None = None
    for start in range(0, len(images), batch_size):
        some = images[start : start + batch_size]
        pixels = np.stack([fitted(read(image), px, channels) for image in some])
        outcome = compute(pixels).numpy()
        vectors = outcome if pooling == "first" else pool_map(outcome, pooling)
        if found is None:
            found = np.empty([len(images), vectors.shape[1]], np.float32)
        found[start : start + len(some)] = vectors
        if progress is not None:
            progress((start + len(some)) / len(images))
    assert found is not None, "no images"
    return found
