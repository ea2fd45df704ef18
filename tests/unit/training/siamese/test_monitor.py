"""How features are watched while they are trained: their spread, nearest neighbours, a probe."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from training.siamese.monitor import accuracies, dimensions, has_collapsed, spread

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


RANDOM = {"spread": 0.09, "dimensions": 12.9, "knn": 0.79}


@pytest.mark.parametrize(
    ("spread", "dims", "knn", "collapsed"),
    [
        # As measured on digits. BYOL without predictor, without stop-gradient: all the same.
        (0.017, 1.8, 0.678, True),
        (0.007, 42.1, 0.684, True),
        # SimSiam without stop-gradient: all on a line, whatever their spread.
        (0.219, 1.0, 0.666, True),
        (0.797, 1.0, 0.440, True),
        # SimCLR, MoCo, BYOL and SimSiam as they should be; MoCo at its first look.
        (0.989, 29.6, 0.900, False),
        (0.722, 9.0, 0.720, False),
        (0.802, 3.5, 0.864, False),
        (0.937, 3.1, 0.854, False),
        # A random network, and one that has learned something however narrow it is.
        (0.09, 12.9, 0.79, False),
        (0.05, 1.2, 0.85, False),
        # Few images: neighbours may be as good as before by chance.
        (0.03, 5.0, 0.82, True),
    ],
)
def test_a_collapse_is_told_by_spread_or_dimensions_unless_neighbours_are_better(
    spread: float, dims: float, knn: float, collapsed: bool
) -> None:
    now = {"spread": spread, "dimensions": dims, "knn": knn}
    assert has_collapsed(now, RANDOM) is collapsed


@pytest.mark.parametrize(("now", "collapsed"), [(0.09, False), (0.05, True), (0.4, False)])
def test_without_labels_spread_and_dimensions_alone_tell(now: float, collapsed: bool) -> None:
    start = {"spread": 0.09, "dimensions": 12.9}
    assert has_collapsed({"spread": now, "dimensions": 9.0}, start) is collapsed
    assert has_collapsed({"spread": now, "dimensions": 1.1}, start) is True
    # Where a network begins wide, it has to come all but together.
    assert has_collapsed({"spread": 0.15, "dimensions": 9.0}, start | {"spread": 0.5}) is False


def test_dimensions_are_counted_by_the_variance_along_each() -> None:
    random = np.random.default_rng(5)
    wide = random.standard_normal((4000, 16)).astype(np.float32)
    assert dimensions(wide) == pytest.approx(16, rel=0.02)
    # As for any length, and of either product.
    assert dimensions(wide * 7) == pytest.approx(dimensions(wide), rel=1e-5)
    few = random.standard_normal((12, 300)).astype(np.float32)
    unit = few / np.linalg.norm(few, axis=1, keepdims=True)
    values = np.linalg.eigvalsh(np.cov(unit.T))
    assert dimensions(few) == pytest.approx(values.sum() ** 2 / np.square(values).sum(), rel=1e-4)


def test_on_a_line_there_is_one_dimension_and_the_spread_says_nothing() -> None:
    signs = np.where(np.arange(100) % 2, 1, -1)[:, None]
    line = (signs * np.ones((1, 64))).astype(np.float32)
    assert dimensions(line) == pytest.approx(1)
    assert spread(line) == pytest.approx(1)
    assert dimensions(np.ones((50, 8), np.float32)) == 1
    assert dimensions(np.zeros((50, 8), np.float32)) == 1
