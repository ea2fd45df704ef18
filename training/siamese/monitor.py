"""Is anything being learned? Features looked at from outside while they are trained. No TensorFlow.

- Nearest neighbours: the share of images whose most similar training images are of their class.
- Linear probe: logistic regression on the features, Alain and Bengio, 2016.
- Spread [0]: the mean over dimensions of the standard deviation of unit vectors, times √width: 1
  where they point in all directions alike, 0 where all are the same.

Neither alone tells a collapse: a loss that falls to its minimum does not say whether the features
are good or all the same; features can keep their spread and lose what tells images apart.

- [0] Chen and He, 2021, https://arxiv.org/abs/2011.10566, figure 2
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import numpy as np

from training.evaluation.classification import Labels
from training.features.heads import Matrix, neighbours_classes, probe_classes

#: Spread of the projections below which they are all but the same.
COLLAPSED: Final = 0.1
#: Spread that is too little where nearest neighbours have lost something.
NARROW: Final = 0.5
#: By how much neighbours must be better than at the start to speak for projections so close.
SURELY_BETTER: Final = 0.05


def spread(vectors: Matrix) -> float:
    """How far unit vectors are apart, 0 to about 1; 0 where a network gives zeros.

    Args:
        vectors: float32 [examples, width], of any length.
    """
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    unit = vectors / np.maximum(lengths, 1e-12)
    return float(unit.std(0).mean() * np.sqrt(vectors.shape[1]))


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

    Either the projections are all but the same, and closer together than they were, while nearest
    neighbours are not surely better than before the first step; or the projections are narrow and
    the neighbours worse. A random network is narrow too, and one that learns may lose some accuracy
    at first: neither alone is a collapse.

    Args:
        now: ``spread`` of the projections, and ``knn`` where there are labels.
        start: The same before the first step.
    """
    gain = now["knn"] - start["knn"] if "knn" in now else 0.0
    if now["spread"] < min(COLLAPSED, start["spread"]):
        return gain <= SURELY_BETTER
    return now["spread"] < NARROW and gain < 0
