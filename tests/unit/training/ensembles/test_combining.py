"""Combinations against NumPy, SciPy and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import minimize
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler

from training.ensembles.combining import (
    LEAST_STACKED,
    Combined,
    combine,
    fit_weights,
)
from training.ensembles.spec import Combination
from training.errors import TrainingError
from training.evaluation.classification import log_softmax

NAMES = ["a", "b", "c"]


@pytest.fixture(scope="module")
def labels() -> np.ndarray:
    return np.arange(240) % 3


@pytest.fixture(scope="module")
def told(labels: np.ndarray) -> np.ndarray:
    """Log probabilities of three members, of which the first is good and the last knows little."""
    random = np.random.default_rng(7)
    logits = random.normal(size=(3, 240, 3))
    for member, strength in enumerate((1.5, 1.3, 0.1)):
        logits[member, np.arange(240), labels] += strength
    return log_softmax(logits).astype(np.float32)


def test_the_mean_is_that_of_probabilities(told: np.ndarray, labels: np.ndarray) -> None:
    found = combine("mean", told, labels, NAMES, 0).predict(told)
    assert found == pytest.approx(np.exp(told.astype(np.float64)).mean(0), abs=1e-6)


def test_the_mean_of_logits_forgets_what_only_moves_a_row(
    told: np.ndarray, labels: np.ndarray
) -> None:
    """Logits that are off by a constant in each row give the same, as softmax does."""
    random = np.random.default_rng(1)
    raw = told + random.normal(size=(3, 240, 1)) * 5
    mean = np.exp(raw.mean(0))
    found = combine("logits", told, labels, NAMES, 0).predict(told)
    assert found == pytest.approx(mean / mean.sum(1, keepdims=True), abs=1e-5)


def test_weights_are_those_of_the_least_log_loss(told: np.ndarray, labels: np.ndarray) -> None:
    """Against another optimiser and another way to stay on the simplex, and against its corners."""
    weights = fit_weights(told, labels)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0
    shares = np.exp(told.astype(np.float64))

    def loss(values: np.ndarray) -> float:
        mixed = np.einsum("m,mrc->rc", values, shares)
        return float(-np.log(mixed[np.arange(240), labels]).mean())

    def free(values: np.ndarray) -> float:
        chosen = np.exp(values - values.max())
        return loss(chosen / chosen.sum())

    other = minimize(free, np.zeros(3), method="Nelder-Mead", options={"xatol": 1e-6})
    assert loss(weights) == pytest.approx(other.fun, abs=1e-5)
    for corner in np.eye(3):
        assert loss(weights) <= loss(corner) + 1e-9
    assert weights[0] > weights[1] > weights[2]


def test_at_the_weights_no_member_would_do_more_for_the_loss(
    told: np.ndarray, labels: np.ndarray
) -> None:
    """Karush, Kuhn and Tucker: the gradient is −1 where a weight is, and no steeper where none is.

    Σ w ∂L/∂w = −1 for the mean of logarithms, whatever the members.
    """
    worse = told[[0, 1, 2, 2]].copy()
    worse[3] = log_softmax(-told[0])
    weights = fit_weights(worse, labels)
    likely = np.exp(worse[:, np.arange(240), labels].astype(np.float64))
    gradient = -(likely / (weights @ likely)).mean(1)
    assert weights[3] == 0
    assert gradient[weights > 0] == pytest.approx(-1, abs=1e-4)
    assert (gradient >= -1 - 1e-4).all()


def test_stacking_is_scikit_learn_s_logistic_regression(
    told: np.ndarray, labels: np.ndarray
) -> None:
    made = combine("stacking", told, labels, NAMES, 0)
    values = np.concatenate(list(np.maximum(told, np.log(LEAST_STACKED))), axis=1)
    scaler = StandardScaler().fit(values)
    reference = LogisticRegression(C=made.head.chosen, max_iter=5000, tol=1e-8).fit(
        scaler.transform(values), labels
    )
    unseen = told[:, ::-1]
    wanted = reference.predict_proba(scaler.transform(values[::-1]))
    assert made.predict(unseen) == pytest.approx(wanted, abs=1e-4)


def test_stacking_of_two_classes_gives_both(labels: np.ndarray, told: np.ndarray) -> None:
    rows = labels < 2
    two = log_softmax(told[:, rows, :2])
    made = combine("stacking", two, labels[rows], NAMES[:2], 0)
    found = made.predict(two)
    assert found.sum(1) == pytest.approx(1)
    assert (found.argmax(1) == labels[rows]).mean() > 0.8


def test_a_member_that_was_sure_and_wrong_does_not_break_it(labels: np.ndarray) -> None:
    sure = np.full((2, 240, 3), -80.0, np.float32)
    sure[0, np.arange(240), (labels + 1) % 3] = 0
    sure[1, np.arange(240), labels] = 0
    assert fit_weights(sure, labels) == pytest.approx([0, 1], abs=1e-6)
    for kind in ("mean", "logits", "weights", "stacking"):
        found = combine(kind, sure, labels, NAMES, 0).predict(sure)
        assert np.isfinite(found).all()
        assert found.sum(1) == pytest.approx(1)


def test_stacking_needs_every_class(told: np.ndarray, labels: np.ndarray) -> None:
    rows = labels < 2
    with pytest.raises(TrainingError, match="no example of c") as refused:
        combine("stacking", told[:, rows], labels[rows], NAMES, 0)
    assert (refused.value.code, refused.value.field) == ("stacking_lacks_class", "combination")


@pytest.mark.parametrize("kind", ["mean", "logits", "weights", "stacking"])
def test_what_was_kept_predicts_the_same(
    kind: Combination, told: np.ndarray, labels: np.ndarray
) -> None:
    made = combine(kind, told, labels, NAMES, 0)
    chosen = made.head.chosen if made.head else 0.0
    again = Combined.of(kind, made.arrays(), chosen)
    assert np.array_equal(again.predict(told), made.predict(told))
