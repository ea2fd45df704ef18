"""The loss of several tasks on rows that may lack some labels; fixed or learned weights [0].

    L = Σ_t  1/n_t Σ_{r has t}  w_t ℓ_rt                        fixed
        Σ_t  1/n_t Σ_{r has t}  e^{−s_t} ℓ_rt + s_t / 2         learned, t has classes
        Σ_t  1/n_t Σ_{r has t}  e^{−s_t} ℓ_rt / 2 + s_t / 2     learned, t is a number

with ℓ the cross-entropy of a row (nats) or its squared error, n_t the rows of the batch that have a
label of t, and s_t = log σ_t², which is trained with all else.

Details people get wrong: s is learned rather than σ, so that nothing divides by zero; a number's
term has the half, a class's has not (equations 7 and 10 of the paper); a task is averaged over the
rows that have *its* label, else one with few labels would hardly count.

- [0] Kendall, Gal & Cipolla, 2018, "Multi-Task Learning Using Uncertainty to Weigh Losses",
  https://arxiv.org/abs/1705.07115
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf


def row_losses(outputs: Sequence[Any], labels: Any, is_number: Sequence[bool]) -> Any:
    """Cross-entropy or squared error of each row in each task, whether it has a label or not.

    Args:
        outputs: Of each head, float32 [batch, outputs].
        labels: Places of classes, or numbers in standard units, float32 [batch, tasks].
        is_number: Of each task.

    Returns:
        float32 [batch, tasks].
    """
    found = []
    for place, said in enumerate(outputs):
        wanted = labels[:, place]
        if is_number[place]:
            found.append(tf.square(said[:, 0] - wanted))
        else:
            classes = tf.cast(wanted, tf.int32)
            found.append(tf.nn.sparse_softmax_cross_entropy_with_logits(classes, said))
    return tf.stack(found, 1)


def weigh(
    losses: Any,
    is_number: Sequence[bool],
    weights: Sequence[float],
    log_variances: Sequence[Any],
) -> Any:
    """Losses of rows as they count.

    Args:
        losses: From :func:`row_losses`.
        is_number: Of each task.
        weights: Of each, where they are fixed.
        log_variances: s of each, float32 scalars; none: the weights are fixed.

    Returns:
        float32 [batch, tasks].
    """
    if not log_variances:
        return losses * tf.constant(list(weights), tf.float32)
    s = tf.stack(list(log_variances))
    halves = tf.constant([0.5 if number else 1.0 for number in is_number], tf.float32)
    return halves * tf.exp(-s) * losses + 0.5 * s


def row_weights(present: npt.NDArray[np.bool_]) -> npt.NDArray[np.float32]:
    """What makes the mean over rows of the sum over tasks a sum of each task's own mean.

    Args:
        present: Which labels there are, [batch, tasks].

    Returns:
        batch / n_t where there is one, else 0: float32 [batch, tasks].
    """
    labelled = np.maximum(present.sum(0), 1)
    return (present * (len(present) / labelled)).astype(np.float32)
