"""Ranks of values, equal ones sharing the mean of theirs."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt


def mean_ranks(values: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """From 0; equal values have the mean of their ranks."""
    _, places, counts = np.unique(values, return_inverse=True, return_counts=True)
    return np.asarray((np.cumsum(counts) - (counts + 1) / 2)[places], np.float64)
