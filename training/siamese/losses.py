"""What the methods on two views minimise, for each example; to be traced.

Vectors are [batch, width] and of any length: they are brought to length one here, by
z / max(‖z‖, 1e-12) as PyTorch does.

- [0] Chen et al., 2020, "A Simple Framework for Contrastive Learning of Visual Representations"
  (SimCLR, NT-Xent), https://arxiv.org/abs/2002.05709
- [1] van den Oord et al., 2018, "Representation Learning with Contrastive Predictive Coding"
  (InfoNCE), https://arxiv.org/abs/1807.03748
- [2] He et al., 2020, "Momentum Contrast for Unsupervised Visual Representation Learning" (a queue
  of negatives), https://arxiv.org/abs/1911.05722
- [3] Grill et al., 2020, "Bootstrap Your Own Latent", https://arxiv.org/abs/2006.07733
- [4] Chen and He, 2021, "Exploring Simple Siamese Representation Learning",
  https://arxiv.org/abs/2011.10566
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

#: Added to a score that must not count.
NEVER = -1e9


def unit(z: Any) -> Any:
    """Vectors brought to length one, float32 [batch, width]."""
    z = tf.cast(z, tf.float32)
    square = tf.reduce_sum(tf.square(z), -1, keepdims=True)
    # The square root has no derivative at zero; a vector of zeros stays one, without a gradient.
    return z / tf.sqrt(tf.maximum(square, 1e-24))


def nt_xent(
    first: Any,
    second: Any,
    temperature: float,
    mask: Any,
    everyone: tuple[Any, Any, Any] | None = None,
    offset: Any = 0,
) -> Any:
    """SimCLR's loss [0]: which of the 2N − 1 other views is the other view of this image?

    ℓ(i, j) = −log( exp(s_ij / T) / Σ_{k ≠ i} exp(s_ik / T) ), s the cosine, averaged over both
    directions. The sum runs over the positive and 2 N − 2 negatives, those of the same view too.

    Args:
        first: Projections of the first views [batch, width].
        second: Of the second views.
        temperature: T.
        mask: float32 [batch], 0 where a row is none: it is nobody's negative then.
        everyone: The same three of all devices together; None: there is only this one.
        offset: Place of this batch's first row among everyone's.

    Returns:
        float32 [batch].
    """
    first, second = unit(first), unit(second)
    rows = tf.shape(first)[0]
    if everyone is None:
        everyone = (first, second, mask)
    all_first, all_second, all_mask = unit(everyone[0]), unit(everyone[1]), everyone[2]
    count = tf.shape(all_first)[0]
    candidates = tf.concat([all_first, all_second], 0)
    hidden = NEVER * (1 - tf.concat([all_mask, all_mask], 0))[None]
    own = tf.range(rows) + offset

    def direction(anchors: Any, at: Any, other: Any) -> Any:
        scores = tf.matmul(anchors, candidates, transpose_b=True) / temperature
        scores += hidden + NEVER * tf.one_hot(at, 2 * count)
        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=other, logits=scores)

    return (direction(first, own, own + count) + direction(second, own + count, own)) / 2


def info_nce(queries: Any, keys: Any, queue: Any, temperature: float) -> Any:
    """InfoNCE [1] with a queue of negatives [2]: which key is this query's?

    −log( exp(q·k₊ / T) / ( exp(q·k₊ / T) + Σ_{k in the queue} exp(q·k / T) ) )

    Args:
        queries: [batch, width].
        keys: The positive of each, [batch, width].
        queue: Negatives, [length, width], of length one already.
        temperature: T.

    Returns:
        float32 [batch].
    """
    queries, keys = unit(queries), unit(keys)
    positive = tf.reduce_sum(queries * keys, -1, keepdims=True)
    negative = tf.matmul(queries, queue, transpose_b=True)
    scores = tf.concat([positive, negative], -1) / temperature
    labels = tf.zeros([tf.shape(scores)[0]], tf.int32)
    return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=scores)


def cosine(a: Any, b: Any) -> Any:
    """Cosine of the pairs of two batches, float32 [batch]."""
    return tf.reduce_sum(unit(a) * unit(b), -1)


def byol_loss(predictions: tuple[Any, Any], targets: tuple[Any, Any]) -> Any:
    """BYOL's loss [3]: squared distance of unit vectors, 2 − 2 cos, each view predicting the other.

    Args:
        predictions: Of the first and of the second views, [batch, width] each.
        targets: Projections of the same views by the target network.

    Returns:
        float32 [batch], 0 to 8.
    """
    return 4 - 2 * cosine(predictions[0], targets[1]) - 2 * cosine(predictions[1], targets[0])


def simsiam_loss(predictions: tuple[Any, Any], targets: tuple[Any, Any]) -> Any:
    """SimSiam's loss [4]: the negative cosine, each view predicting the other, averaged.

    Args:
        predictions: Of the first and of the second views, [batch, width] each.
        targets: Projections of the same views.

    Returns:
        float32 [batch], −1 to 1.
    """
    return -(cosine(predictions[0], targets[1]) + cosine(predictions[1], targets[0])) / 2
