"""The conditional variational autoencoder on TensorFlow; see :mod:`.config`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.conditional_vae.config import ConditionalVAEConfig
from training.backbones.generator_model import GeneratorModel

#: Log-variances are kept within this: their exponential must stay finite.
MOST_LOG_VARIANCE = 10.0
#: Log of the smallest deviation of a pixel that is believed: less than two of 255 steps.
LEAST_LOG_DEVIATION = -5.0


class ConditionalVAE(GeneratorModel):
    """Encoder and decoder; ``call`` is the decoder's images.

    Args:
        config: Its shape.
        compute_dtype: Of convolutions and matrix products.
    """

    config: ConditionalVAEConfig

    def encoded(self, images: Any, labels: Any) -> tuple[Any, Any]:
        """Mean and log-variance of q(z | x, y), float32 [batch, latent] each.

        Args:
            images: float32 [batch, height, width, channels] in 0..1.
            labels: int32 [batch].
        """
        x = images
        for step in range(len(self.config.maps) - 1):
            x = tf.nn.relu(self.convolve(x, f"encoder.down.{step}", stride=2))
        x = tf.reshape(x, [-1, self.config.flat])
        x = tf.concat([x, self.of_class("encoder.class", labels)], -1)
        x = tf.nn.relu(self.dense(x, "encoder.hidden"))
        log_variance = self.dense(x, "encoder.log_variance")
        limited = tf.clip_by_value(log_variance, -MOST_LOG_VARIANCE, MOST_LOG_VARIANCE)
        return self.dense(x, "encoder.mean"), limited

    def decoded(self, latents: Any, labels: Any) -> Any:
        """Logits of the pixels, float32 [batch, height, width, channels]."""
        config = self.config
        x = tf.concat([latents, self.of_class("decoder.class", labels)], -1)
        x = tf.nn.relu(self.dense(x, "decoder.hidden"))
        x = tf.nn.relu(self.dense(x, "decoder.inner"))
        x = tf.reshape(x, [-1, *config.maps[0], config.channels[0]])
        for step in range(len(config.maps) - 1):
            x = tf.nn.relu(self.doubled(x, f"decoder.up.{step}"))
        return self.convolve(x, "decoder.image")

    @property
    def log_deviation(self) -> Any:
        """Of each pixel, where its likelihood is Gaussian; float32 scalar."""
        return tf.maximum(self.value("decoder.log_deviation")[0], LEAST_LOG_DEVIATION)

    def images(self, latents: Any, labels: Any) -> Any:
        """The mean of p(x | z, y)."""
        return tf.sigmoid(self.decoded(latents, labels))

    def call(self, latents: Any, labels: Any) -> Any:
        return self.images(latents, labels)
