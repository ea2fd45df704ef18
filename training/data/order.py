"""In which order a run sees examples: computed from (seed, epoch), so that a step says it all.

A resumed run needs no position but its step, and no generator hides state.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

Rows = npt.NDArray[np.int64]


@functools.lru_cache(maxsize=4)
def order(seed: int, epoch: int, n: int) -> Rows:
    """The permutation of 0 … n − 1 in which an epoch sees its examples (read-only)."""
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, epoch], np.uint64)))
    found = generator.permutation(n)
    found.flags.writeable = False
    return found


def rows_of_batch(seed: int, index: int, batch_size: int, n: int) -> Rows:
    """The examples of batch number ``index`` (from 0) of an endless run; epochs follow without a
    seam.

    With gradient accumulation, count micro-batches: ``step * accumulation + part``.
    """
    places = np.arange(index * batch_size, (index + 1) * batch_size)
    epochs, positions = places // n, places % n
    rows = np.empty(batch_size, np.int64)
    for epoch in np.unique(epochs):
        here = epochs == epoch
        rows[here] = order(seed, int(epoch), n)[positions[here]]
    return rows


def spread_batches(n: int, batch_size: int, limit: int | None = None) -> Iterator[tuple[Rows, int]]:
    """Batches for evaluation, each of the same size: rows, and how many of them are real.

    Args:
        n: Examples of the split.
        batch_size: Rows of a batch; the last is filled up with row 0.
        limit: Most batches. When it leaves examples out, those taken are spread evenly over the
            split, so that a look sees all of it and not only its first part.
    """
    count = n if limit is None else min(n, limit * batch_size)
    rows = np.arange(count) * n // max(count, 1)
    for start in range(0, count, batch_size):
        chosen = rows[start : start + batch_size]
        missing = batch_size - len(chosen)
        yield np.concatenate([chosen, np.zeros(missing, np.int64)]), len(chosen)
