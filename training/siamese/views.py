"""Two random views of each image: what stays the same in both is what there is to learn.

As in SimCLR [0]: a random part of the image scaled to its size, mirrored, its colours changed,
grey, blurred. All of it is drawn from the seed given, for each image by itself, so that a resumed
run sees the same.

Details people get wrong: the two views of an image are drawn independently; contrast changes about
the image's own mean and saturation about each pixel's grey; values are cut off at 0 and 1 once, at
the end; the views are normalised after all this, never before.

Other than there, colours change in a fixed order (brightness, contrast, saturation, hue), and hue
is turned in YIQ, where it is an angle.

- [0] Chen et al., 2020, https://arxiv.org/abs/2002.05709, appendix A
"""

from __future__ import annotations

import math
from typing import Any, Final

import numpy as np
import tensorflow as tf

from training.data.pixels import GREY
from training.siamese.settings import ViewsSpec

#: Height over width of the part that is seen, at most, and at least its inverse.
MOST_STRETCH: Final = 4 / 3
#: Share of the views whose colours change.
COLOURED: Final = 0.8
#: How much at strength 1: brightness, contrast, saturation (factors 1 ± this), hue (of a turn).
BRIGHTNESS, CONTRAST, SATURATION, HUE = 0.8, 0.8, 0.8, 0.2
#: Standard deviation of the blur, pixels: from, to.
BLUR_PX: Final = (0.1, 2.0)
#: A blur looks so far, as a share of the side.
BLUR_REACH: Final = 1 / 20

#: RGB → YIQ (NTSC, 1953).
YIQ: Final = np.array(
    [[0.299, 0.587, 0.114], [0.5959, -0.2746, -0.3213], [0.2115, -0.5227, 0.3112]], np.float32
)


class Draws:
    """Random numbers of a view, a new stream for each thing drawn.

    Args:
        seed: int32 [2].
        count: How many images there are.
    """

    def __init__(self, seed: Any, count: Any) -> None:
        self._seed, self._count, self._number = seed, count, 0

    def uniform(self, low: float, high: float) -> Any:
        """float32 [images]."""
        self._number += 1
        seed = tf.random.experimental.stateless_fold_in(self._seed, self._number)
        return tf.random.stateless_uniform([self._count], seed, low, high)

    def chance(self, share: float) -> Any:
        """1 with this probability, else 0: float32 [images]."""
        return tf.cast(self.uniform(0, 1) < share, tf.float32)


def two_views(pixels: Any, seed: Any, spec: ViewsSpec) -> tuple[Any, Any]:
    """Two views of each image.

    Args:
        pixels: uint8 [batch, px, px, channels], 1 or 3 of these.
        seed: int32 [2].
        spec: What is drawn.

    Returns:
        float32 [batch, px, px, channels] in 0..1 each.
    """
    images = tf.cast(pixels, tf.float32) / 255
    fold = tf.random.experimental.stateless_fold_in
    first, second = (one_view(images, fold(seed, number), spec) for number in (0, 1))
    return first, second


def one_view(images: Any, seed: Any, spec: ViewsSpec) -> Any:
    """A view of each image: float32 [batch, px, px, channels] in 0..1, as what comes in."""
    draws = Draws(seed, tf.shape(images)[0])
    images = cropped(images, draws, spec.least_area, flip=spec.flip)
    if spec.colour:
        images = recoloured(images, draws, spec.colour)
    if spec.grey and images.shape[-1] == 3:
        images = _where(draws.chance(spec.grey), tf.repeat(_grey(images), 3, -1), images)
    if spec.blur:
        images = _where(draws.chance(spec.blur), blurred(images, draws), images)
    return tf.clip_by_value(images, 0, 1)


def cropped(images: Any, draws: Draws, least_area: float, *, flip: bool) -> Any:
    """A random part of each, scaled to its size bilinearly, and maybe mirrored."""
    area = draws.uniform(least_area, 1)
    # A large part can be stretched less: no side is longer than the image's.
    most = tf.minimum(math.log(MOST_STRETCH), -tf.math.log(area))
    ratio = tf.exp(draws.uniform(-1, 1) * most / 2)
    height, width = tf.sqrt(area) * ratio, tf.sqrt(area) / ratio
    top, left = draws.uniform(0, 1) * (1 - height), draws.uniform(0, 1) * (1 - width)
    right = left + width
    if flip:  # a box whose right side lies left of its left side is seen from behind
        turned = draws.chance(0.5) > 0
        left, right = tf.where(turned, right, left), tf.where(turned, left, right)
    boxes = tf.stack([top, left, top + height, right], -1)
    return tf.image.crop_and_resize(
        images, boxes, tf.range(tf.shape(images)[0]), images.shape[1:3], "bilinear"
    )


def recoloured(images: Any, draws: Draws, strength: float) -> Any:
    """Brightness, contrast, saturation and hue changed, in :data:`COLOURED` of the images."""

    def factor(most: float) -> Any:
        return _each(draws.uniform(max(0.0, 1 - most * strength), 1 + most * strength))

    changed = images * factor(BRIGHTNESS)
    mean = tf.reduce_mean(_grey(changed), [1, 2, 3], keepdims=True)
    changed = mean + (changed - mean) * factor(CONTRAST)
    if images.shape[-1] == 3:
        grey = _grey(changed)
        changed = grey + (changed - grey) * factor(SATURATION)
        angle = 2 * math.pi * draws.uniform(-HUE * strength, HUE * strength)
        changed = _turned(changed, angle)
    return _where(draws.chance(COLOURED), changed, images)


def blurred(images: Any, draws: Draws) -> Any:
    """Gaussian blur, its width drawn from :data:`BLUR_PX`; edges are repeated."""
    reach = max(1, round(images.shape[1] * BLUR_REACH))
    deviation = draws.uniform(*BLUR_PX)
    offsets = np.arange(-reach, reach + 1, dtype=np.float32)
    weights = tf.exp(-tf.square(offsets[None] / deviation[:, None]) / 2)
    weights /= tf.reduce_sum(weights, -1, keepdims=True)
    _batch, height, width, channels = images.shape
    down, right = (tf.tensordot(weights, _shifts(side, reach), 1) for side in (height, width))
    images = tf.matmul(down, tf.reshape(images, [-1, height, width * channels]))
    images = tf.reshape(images, [-1, height, width, channels])
    return tf.einsum("bij,bhjc->bhic", right, images)


def _shifts(side: int, reach: int) -> np.ndarray:
    """What moves a line's values by −reach … reach, float32 [2 · reach + 1, side, side]."""
    places = np.arange(side)
    moved = [np.clip(places + shift, 0, side - 1) for shift in range(-reach, reach + 1)]
    return np.stack([np.eye(side, dtype=np.float32)[one] for one in moved])


def _turned(images: Any, angle: Any) -> Any:
    """Hues turned by an angle [batch], in radians."""
    cos, sin = tf.cos(angle), tf.sin(angle)
    zero, one = tf.zeros_like(cos), tf.ones_like(cos)
    rows = [[one, zero, zero], [zero, cos, -sin], [zero, sin, cos]]
    turn = tf.stack([tf.stack(row, -1) for row in rows], -2)
    whole = tf.matmul(tf.matmul(np.linalg.inv(YIQ)[None], turn), YIQ[None])
    shape = tf.shape(images)
    flat = tf.reshape(images, [shape[0], -1, 3])
    return tf.reshape(tf.matmul(flat, whole, transpose_b=True), shape)


def _grey(images: Any) -> Any:
    """[batch, px, px, 1]."""
    if images.shape[-1] == 1:
        return images
    return tf.reduce_sum(images * tf.constant(GREY), -1, keepdims=True)


def _each(values: Any) -> Any:
    return values[:, None, None, None]


def _where(chosen: Any, these: Any, others: Any) -> Any:
    return tf.where(_each(chosen) > 0, these, others)
