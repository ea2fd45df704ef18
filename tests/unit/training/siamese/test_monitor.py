"""How features are watched while they are trained: their spread, nearest neighbours, a probe."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.siamese.monitor import accuracies, has_collapsed, spread

Arrays = tuple[np.ndarray, np.ndarray]


def gaussian(seed: int, rows: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)


def clouds(seed: int, rows: int, classes: int = 3, apart: float = 8.0) -> Arrays:
    """Features in a cloud for each class, and the classes."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    centres = apart * np.eye(6)[:classes]
    return (centres[labels] + random.normal(size=(rows, 6))).astype(np.float32), labels


# --- spread ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("width", [8, 128, 512])
def test_in_all_directions_alike_the_spread_is_one(width: int) -> None:
    assert spread(gaussian(0, 4000, width)) == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize("length", [0.0, 1e-6, 1.0, 1e4])
def test_the_same_for_all_it_is_nothing(length: float) -> None:
    same = np.repeat(np.float32(length) * gaussian(1, 1, 32), 50, axis=0)
    assert spread(same) == pytest.approx(0, abs=1e-5)


def test_nearly_the_same_for_all_it_is_little() -> None:
    near = 10 + gaussian(2, 500, 64)
    assert 0 < spread(near) < 0.15


def test_collapsed_to_a_line_it_is_less_than_one_though_not_little() -> None:
    """What the mean over dimensions does not see: two points, as far apart as can be."""
    direction = gaussian(3, 1, 64)
    signs = np.where(np.arange(200) % 2, 1, -1)[:, None]
    assert 0.5 < spread((signs * direction).astype(np.float32)) < 1


@given(st.integers(0, 10_000), st.integers(2, 40), st.integers(2, 40))
@settings(max_examples=30)
def test_how_long_vectors_are_does_not_matter(seed: int, rows: int, width: int) -> None:
    vectors = gaussian(seed, rows, width)
    lengths = np.random.default_rng(seed).uniform(0.01, 100, (rows, 1)).astype(np.float32)
    assert spread(vectors * lengths) == pytest.approx(spread(vectors), abs=1e-4)
    assert 0 <= spread(vectors) <= 1 + 1e-6


# --- what features are good for -------------------------------------------------------------------


@pytest.mark.parametrize("neighbours", [1, 5, 20])
def test_what_is_easily_told_is_told(neighbours: int) -> None:
    (known, labels), (features, truth) = clouds(0, 90), clouds(1, 60)
    assert accuracies(known, labels, features, truth, neighbours) == {"knn": 1.0, "probe": 1.0}


def test_what_says_nothing_is_guessed() -> None:
    (_features, labels), (_others, truth) = clouds(0, 300), clouds(1, 600)
    found = accuracies(gaussian(2, 300, 6), labels, gaussian(3, 600, 6), truth, 20)
    assert all(0.2 < value < 0.47 for value in found.values())


def test_features_that_are_all_the_same_tell_nothing() -> None:
    (_features, labels), (_others, truth) = clouds(0, 90), clouds(1, 60)
    found = accuracies(np.ones([90, 6], np.float32), labels, np.ones([60, 6], np.float32), truth, 5)
    assert all(value == pytest.approx(1 / 3) for value in found.values())
    zeros = np.zeros([90, 6], np.float32)
    assert accuracies(zeros, labels, zeros[:60], truth, 5).keys() == {"knn", "probe"}


def test_wrong_answers_count_as_wrong() -> None:
    (known, labels), (features, truth) = clouds(0, 90), clouds(1, 60)
    wrong = np.where(np.arange(60) < 15, (truth + 1) % 3, truth)
    found = accuracies(known, labels, features, wrong, 5)
    assert found == {"knn": 0.75, "probe": 0.75}


@pytest.mark.parametrize("missing", [0, 1, 2])
def test_a_class_of_which_the_sample_has_none_is_never_told_and_the_others_are(
    missing: int,
) -> None:
    (known, labels), (features, truth) = clouds(0, 90), clouds(1, 60)
    seen = labels != missing
    found = accuracies(known[seen], labels[seen], features, truth, 5)
    assert found == {"knn": pytest.approx(2 / 3), "probe": pytest.approx(2 / 3)}


def test_fewer_images_than_neighbours_all_decide() -> None:
    (known, labels), (features, truth) = clouds(0, 7), clouds(1, 60)
    # Three of the first class, two of each other one.
    assert accuracies(known, labels, features, truth, 200)["knn"] == pytest.approx(1 / 3)


def test_a_sample_of_one_class_is_all_that_it_knows() -> None:
    (known, labels), (features, truth) = clouds(0, 90), clouds(1, 60)
    one = labels == 1
    found = accuracies(known[one], labels[one], features, truth, 5)
    assert found == {"knn": pytest.approx(1 / 3), "probe": pytest.approx(1 / 3)}


def test_neighbours_are_near_by_direction_and_not_by_distance() -> None:
    """Each class has a direction of its own, at every length."""
    random = np.random.default_rng(5)
    labels = np.arange(60) % 2
    directions = np.array([[1.0, 0.2], [0.2, 1.0]])[labels]
    known = (directions * random.uniform(0.01, 100, (60, 1))).astype(np.float32)
    found = accuracies(known, labels, known[::-1], labels[::-1], 3)
    assert found["knn"] == 1


RANDOM = {"spread": 0.09, "knn": 0.79}


@pytest.mark.parametrize(
    ("now", "collapsed"),
    [
        # As measured on digits: BYOL without predictor, without stop-gradient, SimSiam without.
        ({"spread": 0.072, "knn": 0.686}, True),
        ({"spread": 0.014, "knn": 0.650}, True),
        ({"spread": 0.244, "knn": 0.742}, True),
        ({"spread": 0.392, "knn": 0.664}, True),
        # MoCo, whose features are worse at first and spread all the same.
        ({"spread": 0.722, "knn": 0.720}, False),
        # A random network, and one that has learned something however narrow it is.
        (RANDOM, False),
        ({"spread": 0.05, "knn": 0.85}, False),
        # Few images: neighbours may be as good as before by chance.
        ({"spread": 0.03, "knn": 0.79}, True),
        ({"spread": 0.03, "knn": 0.82}, True),
    ],
)
def test_with_labels_a_collapse_takes_a_narrow_spread_and_lost_neighbours(
    now: dict[str, float], collapsed: bool
) -> None:
    assert has_collapsed(now, RANDOM) is collapsed


@pytest.mark.parametrize(("now", "collapsed"), [(0.09, False), (0.05, True), (0.4, False)])
def test_without_labels_the_spread_alone_tells(now: float, collapsed: bool) -> None:
    assert has_collapsed({"spread": now}, {"spread": 0.09}) is collapsed
    # Where a network begins wide, it has to come all but together.
    assert has_collapsed({"spread": 0.15}, {"spread": 0.5}) is False
