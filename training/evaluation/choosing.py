"""Fitting a classifier, its setting chosen by cross-validation on the training examples alone.

What is held out for the report, and even what watches training, is left out of it: with 200 labels
in use, not one more decides anything.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.classification import Labels, Probabilities, losses

FOLDS = 5
Places = npt.NDArray[np.int64]


def choose(
    values: Sequence[float],
    labels: Labels,
    seed: int,
    predict: Callable[[float, Places, Places], Probabilities],
) -> float:
    """The value with the highest accuracy over all held-out folds; among equals the lowest loss.

    Each class is in every fold in its share. With a class of one example there is nothing to hold
    out, and the middle value is taken.

    Args:
        values: What is tried, in order.
        labels: Class of each training example.
        seed: Of the folds.
        predict: Value, places fitted on, places held out → probabilities of these.
    """
    from sklearn.model_selection import StratifiedKFold

    folds = min(FOLDS, int(np.bincount(labels)[np.unique(labels)].min()))
    if folds < 2:
        return values[len(values) // 2]
    parts = list(
        StratifiedKFold(folds, shuffle=True, random_state=seed).split(labels[:, None], labels)
    )
    found = []
    for place, value in enumerate(values):
        right, loss = 0, 0.0
        for fitted, held_out in parts:
            probabilities = predict(value, fitted, held_out)
            right += int((probabilities.argmax(1) == labels[held_out]).sum())
            loss += float(losses(probabilities, labels[held_out]).sum())
        found.append((-right, loss, place))
    return values[min(found)[2]]


def fit(model: Any, values: Any, labels: Labels) -> Any:
    """Fit a scikit-learn model. One that has not settled is judged like any other, unwarned."""
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(values, labels)
