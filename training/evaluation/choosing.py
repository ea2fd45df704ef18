"""Fitting what predicts classes or numbers, its setting chosen by cross-validation.

That is done on the training examples alone. What is held out for the report, and even what watches
training, is left out of it: with 200 labels in use, not one more decides anything.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.numbers import Numbers
from training.evaluation.classification import Labels, Probabilities, losses

FOLDS = 5
#: Of a fit that only chooses. To a tolerance of 1e-6 in float64 it takes six times as long, and of
#: 1,328 examples held out in turn it changed 6 answers at most.
CHOOSING_ITERATIONS = 200

Places = npt.NDArray[np.int64]


def choose(
    values: Sequence[float],
    labels: Labels,
    seed: int,
    predict: Callable[[Places, Places], Iterable[Probabilities]],
) -> float:
    """The value with the highest accuracy over all held-out folds; among equals the lowest loss.

    Each class is in every fold in its share. With a class of one example there is nothing to hold
    out, and the middle value is taken.

    Args:
        values: What is tried, in order.
        labels: Class of each training example.
        seed: Of the folds.
        predict: Places fitted on, places held out → probabilities of these, for each value.
    """
    from sklearn.model_selection import StratifiedKFold

    folds = min(FOLDS, int(np.bincount(labels)[np.unique(labels)].min()))
    if folds < 2:
        return values[len(values) // 2]
    right, loss = np.zeros(len(values), int), np.zeros(len(values))
    parts = StratifiedKFold(folds, shuffle=True, random_state=seed)
    for fitted, held_out in parts.split(labels[:, None], labels):
        for place, probabilities in enumerate(predict(fitted, held_out)):
            right[place] += (probabilities.argmax(1) == labels[held_out]).sum()
            loss[place] += losses(probabilities, labels[held_out]).sum()
    return values[int(np.lexsort((loss, -right))[0])]


def choose_by_error(
    values: Sequence[float],
    numbers: Numbers,
    seed: int,
    predict: Callable[[Places, Places], Iterable[Numbers]],
) -> float:
    """The value with the least squared error over all held-out folds.

    The middle one where there are fewer than two examples a fold.

    Args:
        values: What is tried, in order.
        numbers: Of each training example.
        seed: Of the folds.
        predict: Places fitted on, places held out → what these are said to be, for each value.
    """
    from sklearn.model_selection import KFold

    if len(numbers) < 2 * FOLDS:
        return values[len(values) // 2]
    errors = np.zeros(len(values))
    for fitted, held_out in KFold(FOLDS, shuffle=True, random_state=seed).split(numbers):
        for place, said in enumerate(predict(fitted, held_out)):
            errors[place] += np.square(said - numbers[held_out]).sum()
    return values[int(errors.argmin())]


def logistic_path(
    strengths: Sequence[float], values: Any, labels: Labels, held_out: Any
) -> Iterator[Probabilities]:
    """What logistic regression predicts at each inverse regularisation, from the lowest on.

    Each fit begins where the one before ended, and none goes further than choosing needs.

    Args:
        strengths: Rising.
        values: [examples, width], dense or sparse.
        labels: Their classes.
        held_out: What is predicted, as ``values``.
    """
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(warm_start=True, max_iter=CHOOSING_ITERATIONS)
    for strength in strengths:
        model.C = strength
        yield np.asarray(fit(model, values, labels).predict_proba(held_out))


def fit(model: Any, values: Any, labels: npt.NDArray[Any]) -> Any:
    """Fit a scikit-learn model of classes or numbers.

    One that has not settled is judged like any other, unwarned.

    On one thread: the matrices are as thin as there are classes, and handing each product to all
    cores took four to six times as long (1,328 rows of 768 numbers, ten classes, two cores).
    """
    from sklearn.exceptions import ConvergenceWarning
    from threadpoolctl import threadpool_limits

    with warnings.catch_warnings(), threadpool_limits(1):
        warnings.simplefilter("ignore", ConvergenceWarning)
        return model.fit(values, labels)
