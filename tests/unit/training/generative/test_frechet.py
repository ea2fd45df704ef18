"""The distance of two sets of features, against SciPy's root of a product, and where that fails."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.linalg import sqrtm

from training.generative.frechet import frechet_distance, is_rough


def features(count: int, width: int, seed: int) -> Any:
    random = np.random.default_rng(seed)
    mixed = random.standard_normal((count, width)) @ random.standard_normal((width, width))
    return mixed + random.standard_normal(width)


def by_scipy(first: Any, second: Any) -> float:
    covariances = [np.cov(one, rowvar=False) for one in (first, second)]
    root = sqrtm(covariances[0] @ covariances[1])
    apart = np.sum((first.mean(0) - second.mean(0)) ** 2)
    return float(apart + np.trace(covariances[0] + covariances[1] - 2 * root.real))


@pytest.mark.parametrize("seed", range(5))
def test_it_is_scipy_s(seed: int) -> None:
    first, second = features(200, 12, seed), features(150, 12, seed + 100)
    assert frechet_distance(first, second) == pytest.approx(by_scipy(first, second), rel=1e-9)
    assert frechet_distance(second, first) == pytest.approx(by_scipy(first, second), rel=1e-9)


def test_in_one_dimension_it_is_the_formula() -> None:
    first = np.array([[0.0], [2.0]])  # mean 1, variance 2
    second = np.array([[1.0], [9.0]])  # mean 5, variance 32
    expected = 16 + (np.sqrt(32) - np.sqrt(2)) ** 2
    assert frechet_distance(first, second) == pytest.approx(expected)


def test_equal_sets_have_none_and_it_never_falls_below_zero() -> None:
    one = features(30, 40, 1)
    assert frechet_distance(one, one) == pytest.approx(0, abs=1e-6)
    assert frechet_distance(one, one) >= 0


def test_fewer_images_than_numbers_make_no_complex_root() -> None:
    """Singular covariances: each lies on a plane of its own."""
    first, second = features(5, 30, 2), features(6, 30, 3)
    found = frechet_distance(first, second)
    assert np.isfinite(found)
    assert is_rough(5, 30)
    assert not is_rough(31, 30)


def test_a_feature_that_never_fires_counts_for_nothing() -> None:
    first, second = features(80, 6, 5), features(80, 6, 6)
    dead = np.zeros((80, 3))
    wider = [np.concatenate([one, dead], 1) for one in (first, second)]
    assert frechet_distance(*wider) == pytest.approx(frechet_distance(first, second), rel=1e-9)


def test_half_precision_is_computed_in_double() -> None:
    first, second = features(100, 8, 7) * 300, features(100, 8, 8) * 300
    small = [np.asarray(one, np.float32) for one in (first, second)]
    assert frechet_distance(*small) == pytest.approx(by_scipy(first, second), rel=1e-4)


@pytest.mark.parametrize(
    ("first", "second", "said"),
    [
        (np.zeros((1, 3)), np.zeros((5, 3)), "two images"),
        (np.zeros((5, 3)), np.zeros((5, 4)), "one width"),
        (np.full((5, 3), np.nan), np.zeros((5, 3)), "finite"),
    ],
)
def test_what_has_no_distance_is_refused(first: Any, second: Any, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        frechet_distance(first, second)
