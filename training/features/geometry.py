"""Directions, scales and neighbours of features."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import numpy.typing as npt

Matrix = npt.NDArray[np.float32]

#: Cosines that are in memory at a time.
_COSINES = 1 << 24


def unit_vectors(features: Matrix) -> Matrix:
    """The same directions, of length one; zeros stay."""
    norms = np.linalg.norm(features, axis=1, keepdims=True)
    return np.asarray(features / np.maximum(norms, 1e-12), np.float32)


def scale_of(features: Matrix) -> dict[str, np.ndarray]:
    """``mean`` and ``scale`` (deviation) of each dimension; one that never changes is left as it
    is."""
    mean, scale = features.mean(0), features.std(0)
    scale[scale < 1e-6] = 1.0
    return {"mean": mean, "scale": scale}


def standardised(features: Matrix, arrays: Mapping[str, np.ndarray]) -> Matrix:
    """Features in standard units.

    Args:
        features: float32 [rows, width].
        arrays: Has what :func:`scale_of` gives.
    """
    return np.asarray((features - arrays["mean"]) / arrays["scale"], np.float32)


def as_float32(arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """The same numbers, as they are kept."""
    return {name: np.asarray(array, np.float32) for name, array in arrays.items()}


def nearest(features: Matrix, known: Matrix, count: int) -> Iterator[npt.NDArray[np.int64]]:
    """Places of the nearest by cosine, in no order, a slice of rows at a time: [rows, count].

    Args:
        features: float32 [rows, width].
        known: Of length one, float32 [examples, width].
        count: Neighbours; at most as many as are known.
    """
    rows = max(1, _COSINES // len(known))
    for start in range(0, len(features), rows):
        cosine = unit_vectors(features[start : start + rows]) @ known.T
        yield np.argpartition(-cosine, count - 1, axis=1)[:, :count]
