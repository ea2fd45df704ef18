"""A vector for each image from the last map of a frozen network.

Poolings over the places (i, j) of a map of C channels:

- ``mean``: global average pooling, Σ_ij m_ij / (H W), of Lin et al., 2014, "Network In Network"
- ``max``: global max pooling, the largest value of each channel
- ``mean_max``: both side by side, 2 C values
- ``adaptive_max``: the largest value of each channel in each of 2 × 2 parts, 4 C values
- ``first``: the class token of a vision transformer
- ``attention``: none yet; all m_ij are kept for :mod:`training.features.attention`

Details people get wrong: a part of adaptive pooling begins at ⌊i H / n⌋ and ends at
⌈(i + 1) H / n⌉, so that parts overlap where n does not divide H. What a network is shown of an
image stands in :mod:`training.data.pixels`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.pixels import Pixels, Statistics, fitted
from training.features.attention import room_for
from training.features.settings import ImagePooling

#: The parts of a side in ``adaptive_max``.
PARTS = 2

Features = npt.NDArray[np.float32]
Progress = Callable[[float], None]


def pool_map(maps: np.ndarray, pooling: ImagePooling) -> Features:
    """One vector an image.

    Args:
        maps: float32 [batch, height, width, channels].
        pooling: See the module; not ``first``, which no map has.

    Returns:
        float32 [batch, channels], twice or four times as many for ``mean_max`` and
        ``adaptive_max``; of ``attention`` [batch, height · width, channels].
    """
    match pooling:
        case "mean":
            found = maps.mean((1, 2))
        case "max":
            found = maps.max((1, 2))
        case "mean_max":
            found = np.concatenate([maps.mean((1, 2)), maps.max((1, 2))], 1)
        case "attention":
            found = maps.reshape(len(maps), -1, maps.shape[3])
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
        float32 [images, width]; of ``attention`` [images, places, channels].

    Raises:
        TrainingError: ``attention_too_large``.
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
            found = (
                room_for(len(images), *vectors.shape[1:])
                if vectors.ndim == 3
                else np.empty([len(images), vectors.shape[1]], np.float32)
            )
        found[start : start + len(some)] = vectors
        if progress is not None:
            progress((start + len(some)) / len(images))
    assert found is not None, "no images"
    return found
