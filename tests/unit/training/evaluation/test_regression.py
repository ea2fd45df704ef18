"""Errors of predicted numbers, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy import stats
from sklearn import metrics

from training.evaluation.regression import POINTS, regression_report, regression_scores


def numbers(rows: int, seed: int) -> tuple[Any, Any]:
    random = np.random.default_rng(seed)
    labels = random.normal(40, 12, rows)
    return labels + random.normal(1, 5, rows), labels


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_errors_are_scikit_learn_s(seed: int) -> None:
    predicted, labels = numbers(200, seed)
    found = regression_scores(predicted, labels)
    assert found["rmse"] == pytest.approx(metrics.root_mean_squared_error(labels, predicted))
    assert found["mae"] == pytest.approx(metrics.mean_absolute_error(labels, predicted))
    assert found["r2"] == pytest.approx(metrics.r2_score(labels, predicted))
    assert found["examples"] == 200


def test_intervals_hold_the_score_and_shrink_with_more_rows() -> None:
    widths = []
    for rows in (50, 2000):
        found = regression_scores(*numbers(rows, 3), seed=1)
        for name in ("rmse", "mae", "r2"):
            low, high = found["intervals"][name]
            assert low < found[name] < high
        low, high = found["intervals"]["rmse"]
        widths.append(high - low)
    assert widths[1] < widths[0] / 3
    assert found == regression_scores(*numbers(2000, 3), seed=1)


def test_labels_that_are_all_equal_have_no_share_of_variance() -> None:
    found = regression_scores(np.array([1.0, 3.0]), np.array([2.0, 2.0]))
    assert (found["r2"], found["intervals"]["r2"]) == (None, None)
    assert found["rmse"] == 1
    # Three times a tenth has a mean that is not a tenth.
    found = regression_scores(np.array([0.2, 0.3, 0.1]), np.full(3, 0.1))
    assert (found["r2"], found["intervals"]["r2"]) == (None, None)
    with pytest.raises(ValueError, match="no examples"):
        regression_scores(np.zeros(0), np.zeros(0))


class Few:
    labels = np.array([1.0, 2.0, 9.0])
    rows = ({"id": 4, "values": []}, {"id": 5, "values": []}, {"id": 6, "values": []})

    def __len__(self) -> int:
        return 3


def test_what_is_farthest_off_comes_first_and_who_is_better_is_named() -> None:
    predicted = {
        "model": np.array([1.5, 2.0, 5.0]),
        "mean": np.array([4.0, 4.0, 4.0]),
        "boosting": np.array([1.0, 2.0, 8.0]),
    }
    found = regression_report("table", "test", Few(), Few(), predicted, 0)
    assert [one["id"] for one in found["predictions"]] == [6, 4, 5]
    assert found["predictions"][0] == {
        "id": 6,
        "values": [],
        "label": 9.0,
        "predicted": 5.0,
        "error": -4.0,
    }
    assert found["beaten_by"] == ["boosting"]
    assert list(found["scores"]) == ["model", "mean", "boosting"]


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_correlations_are_scipy_s_with_equal_values_among_them(seed: int) -> None:
    predicted, labels = (values.round(-1) for values in numbers(60, seed))
    found = regression_scores(predicted, labels)
    assert found["pearson"] == pytest.approx(stats.pearsonr(predicted, labels).statistic)
    assert found["spearman"] == pytest.approx(stats.spearmanr(predicted, labels).statistic)


def test_one_number_for_all_is_correlated_with_nothing() -> None:
    labels = np.array([1.1, 2.2, 4.4])
    found = regression_scores(np.full(3, labels.mean()), labels)
    assert (found["pearson"], found["spearman"]) == (None, None)
    assert regression_scores(2 * labels - 7, labels)["pearson"] == pytest.approx(1)


def test_the_chart_has_low_and_high_numbers_whatever_their_count() -> None:
    class Many(Few):
        labels = np.random.default_rng(0).normal(0, 1, 5000)
        rows = tuple({"id": place, "values": []} for place in range(5000))

        def __len__(self) -> int:
            return 5000

    found = regression_report("table", "test", Few(), Many(), {"model": Many.labels + 1}, 0)
    points = np.array(found["points"])
    assert points.shape == (POINTS, 2)
    assert points[:, 1] == pytest.approx(points[:, 0] + 1)
    assert (points[0, 0], points[-1, 0]) == (Many.labels.min(), Many.labels.max())


def test_texts_and_images_are_shown_as_classifiers_show_them() -> None:
    class Texts(Few):
        rows = tuple({"id": n, "text": "x" * 900, "label": 1.0} for n in range(3))

    found = regression_report("text", "test", Texts(), Texts(), {"model": np.zeros(3)}, 0)
    worst = found["predictions"][0]
    assert (worst["id"], len(worst["text"]), worst["label"]) == (2, 400, 9.0)
