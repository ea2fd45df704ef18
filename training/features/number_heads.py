"""Heads that predict a number from features: fitted by scikit-learn, kept as arrays.

- ``ridge``: ridge regression on standardised features, the linear probe of a number
- ``mlp``: a network with one hidden layer on the same, trained on standardised numbers
- ``knn``: the mean number of the nearest neighbours by cosine

Details people get wrong: the penalty does not hold for the bias, so that the mean costs nothing;
what a head says is in the numbers' own units, whatever it was fitted in; the scale of features and
numbers, and all that is chosen, come from the training split alone.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np

from training.data.numbers import Numbers
from training.evaluation.choosing import Places, choose_by_error, fit
from training.features.geometry import (
    Matrix,
    as_float32,
    nearest,
    scale_of,
    standardised,
    unit_vectors,
)

NumberHeadKind = Literal["ridge", "mlp", "knn"]
NUMBER_HEADS: tuple[NumberHeadKind, ...] = get_args(NumberHeadKind)

#: What is tried, by kind: penalty, weight decay, neighbours.
GRID: dict[NumberHeadKind, tuple[float, ...]] = {
    "ridge": (0.1, 1.0, 10.0, 100.0, 1_000.0, 10_000.0),
    "mlp": (100.0, 10.0, 1.0, 0.1),
    "knn": (1, 3, 5, 10, 20, 50),
}
#: Of the hidden layer, and how often all rows are gone over at most.
HIDDEN, MLP_EPOCHS = 64, 300


@dataclass(frozen=True)
class NumberHead:
    """A fitted regressor.

    Attributes:
        kind: See the module.
        chosen: The value of :data:`GRID` that did best.
        arrays: All that predicting needs, float32, by name.
    """

    kind: NumberHeadKind
    chosen: float
    arrays: Mapping[str, np.ndarray]

    def pooled(self, features: Matrix) -> Matrix:
        """What is read: the features themselves, float32 [rows, width]."""
        return features

    def predict(self, features: Matrix) -> Numbers:
        """The number of each row, in the units of those that it was fitted on, float64 [rows].

        Args:
            features: float32 [rows, width].
        """
        arrays = self.arrays
        if self.kind == "knn":
            near = nearest(features, arrays["features"], round(self.chosen))
            found = [arrays["numbers"].astype(np.float64)[places].mean(1) for places in near]
            return np.concatenate(found) if found else np.zeros(0)
        x = standardised(features, arrays)
        if self.kind == "mlp":
            x = np.maximum(x @ arrays["kernel.0"] + arrays["bias.0"], 0)
            return np.asarray(x @ arrays["kernel.1"] + arrays["bias.1"], np.float64)[:, 0]
        return np.asarray(x @ arrays["kernel"] + arrays["bias"], np.float64)[:, 0]


def fit_number_head(
    kind: NumberHeadKind, features: Matrix, numbers: Numbers, seed: int
) -> NumberHead:
    """Fit a head, its setting chosen from :data:`GRID` by cross-validation.

    Args:
        kind: See the module.
        features: float32 [rows, width].
        numbers: Of each row; not all equal.
        seed: Of what is random: the folds, and the MLP's start and order.
    """
    values = GRID[kind]
    if kind == "knn":  # a fold leaves out a fifth
        values = tuple(value for value in values if value <= len(numbers) // 2) or values[:1]

    def predict(fitted: Places, held_out: Places) -> Iterator[Numbers]:
        for value in values:
            arrays = _fit(kind, value, features[fitted], numbers[fitted], seed)
            yield NumberHead(kind, value, arrays).predict(features[held_out])

    chosen = choose_by_error(values, numbers, seed, predict)
    return NumberHead(kind, chosen, _fit(kind, chosen, features, numbers, seed))


def _fit(
    kind: NumberHeadKind, value: float, features: Matrix, numbers: Numbers, seed: int
) -> dict[str, np.ndarray]:
    if kind == "knn":
        return as_float32({"features": unit_vectors(features), "numbers": numbers})
    arrays = scale_of(features)
    mean, deviation = numbers.mean(), numbers.std() or 1.0
    x, y = standardised(features, arrays), (numbers - mean) / deviation
    fitted = _fitted(kind, value, x, y, seed)
    if kind == "ridge":
        kernel, bias = fitted.coef_[:, None], fitted.intercept_
        return as_float32(
            arrays | {"kernel": kernel * deviation, "bias": np.array([bias * deviation + mean])}
        )
    (first, second), (bias, last) = fitted.coefs_, fitted.intercepts_
    return as_float32(
        arrays
        | {
            "kernel.0": first,
            "bias.0": bias,
            "kernel.1": second * deviation,
            "bias.1": last * deviation + mean,
        }
    )


def _fitted(kind: NumberHeadKind, value: float, x: Matrix, y: Numbers, seed: int) -> Any:
    from sklearn.linear_model import Ridge
    from sklearn.neural_network import MLPRegressor

    if kind == "ridge":
        return fit(Ridge(value), x.astype(np.float64), y)
    made = MLPRegressor(
        hidden_layer_sizes=[HIDDEN], alpha=value, max_iter=MLP_EPOCHS, random_state=seed
    )
    return fit(made, x, y)
