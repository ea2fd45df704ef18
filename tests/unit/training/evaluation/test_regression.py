"""Errors of predicted numbers, against scikit-learn."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from sklearn import metrics

from training.evaluation.regression import regression_report, regression_scores


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
    found = regression_report("test", Few(), Few(), predicted, 0)
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
