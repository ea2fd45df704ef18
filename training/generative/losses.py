"""What the methods that make images minimise, for each image; to be traced.

- [0] Kingma and Welling, 2014, "Auto-Encoding Variational Bayes", https://arxiv.org/abs/1312.6114
- [1] Goodfellow et al., 2014, "Generative Adversarial Nets", https://arxiv.org/abs/1406.2661
- [2] Lim and Ye, 2017, "Geometric GAN" (the hinge loss), https://arxiv.org/abs/1705.02894
- [3] Rybkin et al., 2021, "Simple and Effective VAE Training with Calibrated Decoders",
  https://arxiv.org/abs/2006.13202

Details people get wrong: the divergence is summed over the latent numbers and the reconstruction
over the pixels: a mean over pixels weighs the divergence hundreds of times too much, and all
samples become the same.
"""

from __future__ import annotations

import math
from typing import Any, Literal

import tensorflow as tf

Adversarial = Literal["hinge", "non_saturating"]


def divergence(mean: Any, log_variance: Any) -> Any:
    """KL( N(μ, σ²) ‖ N(0, I) ) = ½ Σ (σ² + μ² − 1 − log σ²) [0, appendix B], float32 [batch].

    Args:
        mean: float32 [batch, latent].
        log_variance: float32 [batch, latent].
    """
    return tf.reduce_sum(tf.exp(log_variance) + tf.square(mean) - 1 - log_variance, -1) / 2


def bernoulli(images: Any, logits: Any) -> Any:
    """−log p(x | z) where each value is a probability of ink, summed over pixels, float32 [batch].

    −Σ [ x log s + (1 − x) log(1 − s) ], s the sigmoid of the logit

    Args:
        images: float32 [batch, height, width, channels] in 0..1.
        logits: The same shape.
    """
    each = tf.nn.sigmoid_cross_entropy_with_logits(labels=images, logits=logits)
    return tf.reduce_sum(each, [1, 2, 3])


def gaussian(images: Any, logits: Any, log_deviation: Any) -> Any:
    """−log p(x | z) with one deviation for all pixels [3], summed over pixels, float32 [batch].

    Σ [ ½ ((x − s) / σ)² + log σ + ½ log 2π ], s the sigmoid of the logit

    Args:
        images: float32 [batch, height, width, channels] in 0..1.
        logits: The same shape.
        log_deviation: log σ, float32 scalar.
    """
    error = tf.square((images - tf.sigmoid(logits)) * tf.exp(-log_deviation)) / 2
    return tf.reduce_sum(error + log_deviation + math.log(2 * math.pi) / 2, [1, 2, 3])


def discriminator_loss(real: Any, fake: Any, kind: Adversarial) -> Any:
    """What the discriminator minimises, float32 [batch].

    hinge [2]: max(0, 1 − real) + max(0, 1 + fake); non-saturating [1]: −log s(real) − log(1 −
    s(fake)), s the sigmoid.

    Args:
        real: Scores of real images, float32 [batch].
        fake: Of as many made ones.
        kind: Which.
    """
    if kind == "hinge":
        return tf.nn.relu(1 - real) + tf.nn.relu(1 + fake)
    return tf.nn.softplus(-real) + tf.nn.softplus(fake)


def generator_loss(fake: Any, kind: Adversarial) -> Any:
    """What the generator minimises, float32 [batch].

    hinge: −fake; non-saturating: −log s(fake), whose gradient does not vanish where the
    discriminator is sure, as that of log(1 − s(fake)) does.

    Args:
        fake: Scores of made images, float32 [batch].
        kind: Which.
    """
    return -fake if kind == "hinge" else tf.nn.softplus(-fake)
