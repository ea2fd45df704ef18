"""What a model's heads say of many examples, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.order import Rows, spread_batches
from training.data.table_features import Features

#: Rows of a table that are predicted at a time.
PREDICTED = 4096
#: Seconds between two words about how far it is.
TOLD_EVERY_S = 1.0

Progress = Callable[[float], None]
Outputs = npt.NDArray[np.float64]


def outputs_of(
    call: Callable[[tuple[Any, ...]], Sequence[Any]],
    take: Callable[[Rows], Sequence[np.ndarray]],
    count: int,
    batch_size: int,
    progress: Progress | None = None,
) -> list[Outputs]:
    """What each head says of each example.

    Every batch is of the same size, so that the graph is compiled once.

    Args:
        call: In a graph: arrays as tensors → each head's outputs, [batch, outputs].
        take: Examples by their places → the arrays.
        count: Examples; one at least.
        batch_size: Of them at a time.
        progress: Told the share that is done, about once a second.

    Returns:
        float64 [examples, outputs] of each head.
    """
    import tensorflow as tf

    compute = tf.function(call, autograph=False)
    told, done = time.monotonic(), 0
    found: list[list[Outputs]] = []
    for rows, real in spread_batches(count, min(count, batch_size)):
        said = compute(tuple(tf.constant(array) for array in take(rows)))
        found.append([one.numpy()[:real].astype(np.float64) for one in said])
        done += real
        if progress is not None and time.monotonic() - told > TOLD_EVERY_S:
            told = time.monotonic()
            progress(done / count)
    return [np.concatenate(parts) for parts in zip(*found, strict=True)]


def table_outputs(
    call: Callable[[tuple[Any, ...]], Sequence[Any]],
    features: Features,
    progress: Progress | None = None,
) -> list[Outputs]:
    """The same of rows of a table.

    Args:
        call: In a graph: what :meth:`Features.take` gives, as tensors → each head's outputs.
        features: Of the rows.
        progress: As above.
    """
    return outputs_of(call, features.take, len(features), PREDICTED, progress)
