"""Gains, intervals and disagreement, worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.ensembles.judging import judge

NAMES = ["a", "b"]


def sure(said: list[int], share: float = 0.9) -> np.ndarray:
    """Probabilities of someone who says these."""
    found = np.full((len(said), 2), 1 - share)
    found[np.arange(len(said)), said] = share
    return found


@pytest.fixture
def found() -> dict:
    """Ten examples of class a, first; members have 8 and 6 right, the ensemble 9."""
    labels = np.zeros(10, np.int64)
    first = sure([0] * 8 + [1] * 2)
    second = sure([1] * 4 + [0] * 6, 0.6)
    ensemble = sure([1] + [0] * 9, 0.8)
    return judge(ensemble, [second, first], labels, NAMES, seed=0)


def test_the_best_member_is_the_most_accurate(found: dict) -> None:
    assert found["best"] == 1
    assert [one["accuracy"] for one in found["member_scores"]] == [0.6, 0.8]


def test_gains_are_over_the_mean_and_over_the_best(found: dict) -> None:
    assert found["mean"]["accuracy"] == pytest.approx(0.7)
    gains = found["gains"]
    assert gains["over_mean"]["accuracy"]["gain"] == pytest.approx(0.2)
    assert gains["over_best"]["accuracy"]["gain"] == pytest.approx(0.1)
    low, high = gains["over_best"]["accuracy"]["interval"]
    assert low < 0.1 < high
    loss = [-0.9 * np.log(0.8) - 0.1 * np.log(0.2), -0.8 * np.log(0.9) - 0.2 * np.log(0.1)]
    assert gains["over_best"]["loss"]["gain"] == pytest.approx(loss[1] - loss[0])


def test_a_gain_is_what_was_gained_less_what_was_lost(found: dict) -> None:
    told = found["disagreement"]
    assert (told["gained"], told["lost"]) == (2, 1)
    assert (told["gained"] - told["lost"]) / 10 == pytest.approx(
        found["gains"]["over_best"]["accuracy"]["gain"]
    )


def test_disagreement_says_where_there_was_something_to_gain(found: dict) -> None:
    told = found["disagreement"]
    assert told["pairs"] == [[0, pytest.approx(0.6)], [pytest.approx(0.6), 0]]
    assert told["mean"] == pytest.approx(0.6)
    assert told["examples"] == {
        "all_right": 4,
        "all_wrong": 0,
        "settled_right": 5,
        "settled_wrong": 1,
    }


def test_members_that_are_the_same_leave_nothing_to_gain() -> None:
    one = sure([0, 1, 1, 0])
    told = judge(one, [one, one], np.array([0, 1, 0, 0]), NAMES, seed=0)
    assert told["disagreement"]["mean"] == 0
    assert told["gains"]["over_best"]["accuracy"] == {"gain": 0, "interval": [0, 0]}
