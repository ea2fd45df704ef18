"""Intervals of a ratio of two sums over examples, by resampling the examples.

- Efron, 1979, "Bootstrap Methods: Another Look at the Jackknife"

Details people get wrong: the mean loss per token of several texts is a ratio of sums; resampling
tokens instead of texts makes intervals far too narrow, since a text's tokens go together.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from training.evaluation.classification import INTERVAL, RESAMPLES


def ratio_interval(
    above: npt.NDArray[np.number], below: npt.NDArray[np.number], seed: int
) -> list[float]:
    """95 % interval of Σ above / Σ below, by the percentile bootstrap.

    Args:
        above: Of each example.
        below: Of each example; positive.
        seed: Of the resampling: of equal numbers of examples always the same draws, so that sides
            are compared on the same ones.
    """
    random, count = np.random.default_rng(seed), len(above)
    drawn = np.stack([random.integers(0, count, count) for _ in range(RESAMPLES)])
    ratios = above[drawn].sum(1) / below[drawn].sum(1)
    low, high = np.percentile(ratios, INTERVAL)
    return [float(low), float(high)]
