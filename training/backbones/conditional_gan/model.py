"""Generator and projection discriminator on TensorFlow; see :mod:`.config`."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import tensorflow as tf

from training.backbones.conditional_gan.config import (
    AVERAGE,
    GENERATOR,
    VECTOR,
    ConditionalGANConfig,
)
from training.backbones.generator_model import GeneratorModel, leaky, unit_pixels

#: Keeps a vector of zeros one.
LEAST_NORM = 1e-12


class ConditionalGAN(GeneratorModel):
    """Both networks; ``call`` is the generator's images.

    Args:
        config: Its shape.
        compute_dtype: Of convolutions and matrix products.
        average: Whether it also has a running average of the generator's weights, under names that
            begin with ``average.``.
    """

    config: ConditionalGANConfig

    def __init__(
        self,
        config: ConditionalGANConfig,
        *,
        compute_dtype: str = "float32",
        average: bool = False,
    ) -> None:
        more = [
            replace(one, name=f"{AVERAGE}.{one.name}", trained=False)
            for one in (config.generator() if average else ())
        ]
        super().__init__(config, compute_dtype=compute_dtype, extra=more)

    # --- the generator -------------------------------------------------------------------------

    def images(self, latents: Any, labels: Any, average: bool = False) -> Any:
        """Images in 0..1; see :meth:`GeneratorModel.images`.

        Args:
            latents: float32 [batch, latent].
            labels: int32 [batch].
            average: By the average of the generator's weights.
        """
        config, part = self.config, f"{AVERAGE}.{GENERATOR}" if average else GENERATOR
        condition = tf.concat([latents, self.of_class(f"{part}.class", labels)], -1)
        x = self.dense(condition, f"{part}.inner")
        x = tf.reshape(x, [-1, *config.maps[0], config.channels[0]])
        last = len(config.maps) - 1
        for step in range(last + 1):
            scale, shift = tf.split(self.dense(condition, f"{part}.norm.{step}"), 2, -1)
            x = unit_pixels(x) * (1 + scale[:, None, None]) + shift[:, None, None]
            x = leaky(x)
            if step < last:
                x = self.doubled(x, f"{part}.up.{step}")
        return tf.sigmoid(self.convolve(x, f"{part}.image"))

    def call(self, latents: Any, labels: Any) -> Any:
        return self.images(latents, labels)

    # --- the discriminator ---------------------------------------------------------------------

    def seen(self, images: Any) -> Any:
        """φ(x): what the discriminator makes of images, float32 [batch, pooled].

        Args:
            images: float32 [batch, height, width, channels] in 0..1.
        """
        x, last = 2 * images - 1, len(self.config.seen) - 1
        for step in range(last + 1):
            stride = 1 if step == last else 2
            x = leaky(self.convolve(x, f"discriminator.down.{step}", stride))
        return tf.reduce_sum(x, [1, 2])

    def scores(self, images: Any, labels: Any) -> Any:
        """D(x, y) = ⟨e_y, φ(x)⟩ + ψ(φ(x)), float32 [batch]; above zero: taken for real."""
        seen = self.seen(images)
        projected = tf.reduce_sum(self.of_class("discriminator.class", labels) * seen, -1)
        return projected + self.dense(seen, "discriminator.score")[:, 0]

    def matrix(self, name: str) -> Any:
        """A weight; in the discriminator divided by its largest singular value [0].

        - [0] Miyato et al., 2018, https://arxiv.org/abs/1802.05957
        """
        weight = self.value(name)
        if f"{name}{VECTOR}" not in self.named_variables:
            return weight
        flat = tf.reshape(weight, [weight.shape[0], -1])
        left, right = singular_vectors(flat, self.value(f"{name}{VECTOR}"))
        # σ = uᵀ W v, its vectors held fixed: the gradient is that of the largest singular value.
        sigma = tf.tensordot(left, tf.linalg.matvec(flat, right), 1)
        return weight / sigma

    def next_vectors(self) -> dict[str, Any]:
        """The vectors after one more power iteration, by name; weights as they are now."""
        found = {}
        for name in self.followed_names():
            if not name.endswith(VECTOR):
                continue
            weight = self.value(name.removesuffix(VECTOR))
            flat = tf.reshape(weight, [weight.shape[0], -1])
            found[name] = singular_vectors(flat, self.value(name))[0]
        return found


def singular_vectors(matrix: Any, left: Any) -> tuple[Any, Any]:
    """One power iteration towards the vectors of the largest singular value; no gradient.

    Args:
        matrix: [rows, columns].
        left: [rows], of any length.

    Returns:
        Left [rows] and right [columns], of length one.
    """
    matrix = tf.stop_gradient(matrix)
    right = _unit(tf.linalg.matvec(matrix, left, transpose_a=True))
    return _unit(tf.linalg.matvec(matrix, right)), right


def _unit(vector: Any) -> Any:
    return vector / tf.maximum(tf.norm(vector), LEAST_NORM)
