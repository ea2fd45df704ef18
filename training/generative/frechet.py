"""How far apart two sets of images are: the Fréchet distance of their features [0]. NumPy alone.

    d² = ‖μ₁ − μ₂‖² + tr(Σ₁ + Σ₂ − 2 (Σ₁ Σ₂)^½)

Details people get wrong: the root of a product that is not symmetric is not needed, and turns
complex where a covariance has no full rank: tr (Σ₁ Σ₂)^½ is the sum of the roots of the eigenvalues
of Σ₁^½ Σ₂ Σ₁^½, which is symmetric. The distance depends on how many images there are (fewer make
it larger), so that only distances of equally many can be compared; and on what the features are, so
that only those of one judge can.

- [0] Heusel et al., 2017, https://arxiv.org/abs/1706.08500
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Features = npt.NDArray[np.floating[Any]]


def frechet_distance(first: Features, second: Features) -> float:
    """The squared distance of two Gaussians with the sets' means and covariances; 0 or more.

    Args:
        first: [images, width].
        second: [images, width].

    Raises:
        ValueError: Fewer than two images, other widths, or a number that is not finite.
    """
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1]:
        raise ValueError("features of one width are needed")
    if min(len(first), len(second)) < 2:
        raise ValueError("a covariance needs two images or more")
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise ValueError("features that are not finite have no distance")
    mean_1, covariance_1 = _moments(first)
    mean_2, covariance_2 = _moments(second)
    root = _root(covariance_1)
    values = np.linalg.eigvalsh(root @ covariance_2 @ root)
    cross = float(np.sqrt(np.maximum(values, 0)).sum())
    spread = float(np.trace(covariance_1) + np.trace(covariance_2)) - 2 * cross
    return max(0.0, float(np.sum((mean_1 - mean_2) ** 2)) + spread)


def is_rough(images: int, width: int) -> bool:
    """Whether so many images say little: their covariance has no full rank."""
    return images <= width


def _moments(features: Features) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    exact = np.asarray(features, np.float64)
    mean = exact.mean(0)
    return mean, (exact - mean).T @ (exact - mean) / (len(exact) - 1)


def _root(matrix: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """The symmetric root of a covariance; what rounding has made negative counts as zero."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray((vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T)
