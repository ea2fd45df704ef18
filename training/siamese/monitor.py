"""Is anything being learned? Features looked at from outside while they are trained. No TensorFlow.

- Nearest neighbours: the share of images whose most similar training images are of their class.
- Linear probe: logistic regression on the features, Alain and Bengio, 2016.
- Spread [0]: the mean over dimensions of the standard deviation of unit vectors, times √width: 1
  where they point in all directions alike, 0 where all are the same.
- Dimensions [1]: (Σ λ)² / Σ λ², λ the eigenvalues of the unit vectors' covariance: in how many
  directions they vary, 1 where all lie on a line.

A loss that falls to its minimum does not say whether the features are good or all the same. Neither
does one of these alone: a batch norm at a projector's end keeps the spread where all images lie on
one line, and a random network's vectors hardly differ, in many directions.

- [0] Chen and He, 2021, https://arxiv.org/abs/2011.10566, figure 2
- [1] Jing et al., 2022, "Understanding Dimensional Collapse in Contrastive Self-supervised
  Learning", https://arxiv.org/abs/2110.09348
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from training.evaluation.classification import Labels
from training.features.geometry import Matrix, unit_vectors
from training.features.heads import neighbours_classes, probe_classes

#: Spread of the projections below which they are all but the same.
COLLAPSED: Final = 0.1
#: Dimensions below which they all but lie on a line.
ON_A_LINE: Final = 1.5
#: By how much neighbours must be better than at the start to speak against either.
SURELY_BETTER: Final = 0.05


def spread(vectors: Matrix) -> float:
    """How far unit vectors are apart, 0 to about 1; 0 where a network gives zeros.

    Args:
        vectors: float32 [examples, width], of any length.
    """
    return float(unit_vectors(vectors).std(0).mean() * np.sqrt(vectors.shape[1]))


def dimensions(vectors: Matrix) -> float:
    """In how many directions unit vectors vary, 1 to their width; 1 where they do not.

    Args:
        vectors: float32 [examples, width], of any length.
    """
    centred = unit_vectors(vectors).astype(np.float64)
    centred -= centred.mean(0)
    examples, width = centred.shape
    # Both products have the same eigenvalues, but for zeros.
    product = centred @ centred.T if examples < width else centred.T @ centred
    total = np.trace(product)
    return float(total**2 / np.square(product).sum()) if total > 1e-12 else 1.0


def accuracies(
    known: Matrix, labels: Labels, features: Matrix, truth: Labels, neighbours: int
) -> dict[str, float]:
    """Share of examples told right by nearest neighbours (``knn``) and by a ``probe``.

    Args:
        known: Features of the training split, [examples, width].
        labels: Their classes.
        features: What is classified.
        truth: Their classes.
        neighbours: How many decide.
    """
    return {
        "knn": float((neighbours_classes(known, labels, features, neighbours) == truth).mean()),
        "probe": float((probe_classes(known, labels, features) == truth).mean()),
    }


def has_collapsed(now: Mapping[str, float], start: Mapping[str, float]) -> bool:
    """Whether features are becoming the same for all images.

    The projections are all but the same, and closer together than they were, or all but on a line;
    and nearest neighbours are not surely better than before the first step.

    Args:
        now: ``spread`` and ``dimensions`` of the projections, and ``knn`` where there are labels.
        start: The same before the first step.
    """
    close = now["spread"] < min(COLLAPSED, start["spread"])
    better = "knn" in now and now["knn"] - start["knn"] > SURELY_BETTER
    return (close or now["dimensions"] < ON_A_LINE) and not better
