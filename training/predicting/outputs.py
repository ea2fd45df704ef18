"""What a model's heads say of many examples, a batch at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
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
    """What each head says of each example; see :func:`outputs_by_batch`.

    Returns:
        float64 [examples, outputs] of each head.
    """
    batches = outputs_by_batch(call, take, count, batch_size, progress)
    return [np.concatenate(parts) for parts in zip(*(said for _, said in batches), strict=True)]


def outputs_by_batch(
    call: Callable[[tuple[Any, ...]], Sequence[Any]],
    take: Callable[[Rows], Sequence[np.ndarray]],
    count: int,
    batch_size: int,
    progress: Progress | None = None,
) -> Iterator[tuple[list[np.ndarray], list[Outputs]]]:
    """Examples as they are shown, and what each head says of them, a batch at a time.

    Every batch is of the same size, so that the graph is compiled once; what only fills the last
    one is left out.

    Args:
        call: In a graph: arrays as tensors → each head's outputs, [batch, …].
        take: Examples by their places → the arrays.
        count: Examples; one at least.
        batch_size: Of them at a time.
        progress: Told the share that is done, about once a second.

    Yields:
        The arrays, and each head's outputs in float64.
    """
    import tensorflow as tf

    compute = tf.function(call, autograph=False)
    told, done = time.monotonic(), 0
    for rows, real in spread_batches(count, min(count, batch_size)):
        arrays = take(rows)
        said = compute(tuple(tf.constant(array) for array in arrays))
        yield (
            [array[:real] for array in arrays],
            [one.numpy()[:real].astype(np.float64) for one in said],
        )
        done += real
        if progress is not None and time.monotonic() - told > TOLD_EVERY_S:
            told = time.monotonic()
            progress(done / count)


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
