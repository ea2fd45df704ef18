"""The interval of an area under the curve: the paper's formula pair by pair, and resampling."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tests.unit.training.evaluation.test_classification import NAMES, predictions
from training.evaluation.area_interval import DEVIATIONS, area_interval
from training.evaluation.classification import classification_scores
from training.evaluation.ranks import mean_ranks


def test_two_classes_have_the_interval_of_the_papers_formula() -> None:
    """Every pair of a positive and a negative, equal scores counting half."""
    probabilities, labels = predictions(90, 2, seed=3, skill=0.8)
    scores = np.round(probabilities[:, 1], 1)  # so that some are equal
    above = scores[labels == 1][:, None] - scores[labels == 0][None, :]
    wins = (above > 0) + 0.5 * (above == 0)
    deviation = np.sqrt(
        wins.mean(1).var(ddof=1) / len(wins) + wins.mean(0).var(ddof=1) / wins.shape[1]
    )
    found = area_interval(np.stack([1 - scores, scores], 1), labels)
    wanted = wins.mean() + np.array([-1, 1]) * DEVIATIONS * deviation
    np.testing.assert_allclose(found, wanted, rtol=1e-12)
    assert wins.mean() == pytest.approx(roc_auc_score(labels, scores))


@pytest.mark.parametrize(("classes", "skill"), [(2, 0.8), (3, 1.0), (4, 0.5)])
def test_it_is_as_wide_as_the_spread_of_resampled_areas(classes: int, skill: float) -> None:
    """Resampled within each class, as the formula has it."""
    probabilities, labels = predictions(500, classes, seed=1, skill=skill)
    random, areas = np.random.default_rng(0), []
    places = [np.flatnonzero(labels == one) for one in range(classes)]
    truth = np.eye(classes)
    for _ in range(300):
        rows = np.concatenate([random.choice(one, len(one)) for one in places])
        areas.append(roc_auc_score(truth[labels[rows]], probabilities[rows]))
    found = area_interval(probabilities, labels)
    assert found is not None
    low, high = found
    assert (high - low) / (2 * DEVIATIONS) == pytest.approx(np.std(areas), rel=0.1)
    assert (low + high) / 2 == pytest.approx(roc_auc_score(truth[labels], probabilities))


def test_the_true_area_lies_in_nineteen_of_twenty_intervals() -> None:
    """Scores of two normal distributions a deviation apart: the area is Φ(1/√2) = 0.7602."""
    random, inside = np.random.default_rng(7), 0
    labels = np.repeat([0, 1], [60, 90])
    for _ in range(400):
        scores = random.normal(size=150) + labels
        found = area_interval(np.stack([-scores, scores], 1), labels)
        assert found is not None
        inside += found[0] <= 0.76025 <= found[1]
    assert 0.92 <= inside / 400 <= 0.98


def test_a_report_has_it_and_says_nothing_where_a_class_has_one_example() -> None:
    probabilities, labels = predictions(60, 3, seed=2)
    found = classification_scores(probabilities, labels, NAMES)
    low, high = found["intervals"]["auc"]
    assert 0 <= low < found["auc"] < high <= 1
    labels = np.where(np.arange(60) == 0, 2, labels % 2)
    found = classification_scores(probabilities, labels, NAMES)
    assert found["auc"] is not None
    assert found["intervals"]["auc"] is None


def test_equal_values_share_their_ranks() -> None:
    assert mean_ranks(np.array([3.0, 1, 3, 2])).tolist() == [2.5, 0, 2.5, 1]
