"""Cross-entropy over real tokens, with its gradient made in the same pass."""

from __future__ import annotations

from typing import Any

import tensorflow as tf


def cross_entropy_sum(logits: Any, targets: Any, mask: Any) -> tuple[Any, Any]:
    """Σ mask · (logsumexp(logits) − logits[target]) and its gradient.

    The sum, not the mean: sums over micro-batches and replicas add up exactly, and are divided by
    the number of real tokens once. The gradient mask · (softmax − onehot) comes along because the
    exponentials are there already; a tape would pass over [rows, vocab] twice more.

    Args:
        logits: float32 [rows, vocab].
        targets: int32 [rows].
        mask: float32 [rows], 1 where the target is real.

    Returns:
        Scalar, and float32 [rows, vocab].
    """
    top = tf.reduce_max(logits, -1, keepdims=True)
    exponentials = tf.exp(logits - top)
    total = tf.reduce_sum(exponentials, -1, keepdims=True)
    hit = tf.range(tf.shape(logits)[1])[None, :] == targets[:, None]
    chosen = tf.reduce_sum(tf.where(hit, logits, 0.0), -1)
    nll = top[:, 0] + tf.math.log(total[:, 0]) - chosen
    gradient = (exponentials / total - tf.where(hit, 1.0, 0.0)) * mask[:, None]
    return tf.reduce_sum(nll * mask), gradient


#: Fused into two loops by XLA: half the time of graph mode's separate passes on a CPU. The matrix
#: products stay outside, since XLA's are slower there.
cross_entropy_sum_fused = tf.function(cross_entropy_sum, jit_compile=True, autograph=False)


def token_scores(logits: Any, targets: Any, mask: Any) -> dict[str, Any]:
    """Sums for a report: ``loss``, ``correct`` and ``tokens`` over real tokens, scalars."""
    nll = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=targets, logits=logits)
    hits = tf.cast(tf.argmax(logits, -1, output_type=targets.dtype) == targets, tf.float32)
    return {
        "loss": tf.reduce_sum(nll * mask),
        "correct": tf.reduce_sum(hits * mask),
        "tokens": tf.reduce_sum(mask),
    }
