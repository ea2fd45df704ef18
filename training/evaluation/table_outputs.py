"""What a model of tables says of many rows, some thousands at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from training.data.order import spread_batches
from training.data.table_features import Features

#: Rows that are predicted at a time.
PREDICTED = 4096


def outputs_of(
    call: Callable[[tuple[Any, ...]], Sequence[Any]], features: Features
) -> list[np.ndarray]:
    """What a model's heads say of each row.

    Args:
        call: In a graph: what :meth:`Features.take` gives, as tensors → each head's outputs.
        features: Of the rows.

    Returns:
        float64 [rows, outputs] of each head.
    """
    import tensorflow as tf

    compute = tf.function(call, autograph=False)
    count = len(features)
    found: list[list[np.ndarray]] = []
    for rows, real in spread_batches(count, min(count, PREDICTED)):
        said = compute(tuple(tf.constant(array) for array in features.take(rows)))
        found.append([one.numpy()[:real].astype(np.float64) for one in said])
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]
