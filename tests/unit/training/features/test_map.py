"""Neighbours against scikit-learn; a layout that keeps who is near whom."""

import numpy as np
import pytest
from sklearn.datasets import load_digits
from sklearn.manifold import trustworthiness
from sklearn.neighbors import NearestNeighbors

from training.features.map import lay_out, neighbours


@pytest.fixture(scope="module")
def digits() -> tuple[np.ndarray, np.ndarray]:
    data = load_digits()
    return data.data[:300].astype(np.float32), data.target[:300]


def test_neighbours_are_those_of_scikit_learn(digits) -> None:
    features, _labels = digits
    found, cosine = neighbours(features, 5)
    theirs = NearestNeighbors(n_neighbors=6, metric="cosine").fit(features)
    distance, _places = theirs.kneighbors(features)
    assert np.abs((1 - distance[:, 1:]) - cosine).max() < 1e-5
    assert (found != np.arange(len(features))[:, None]).all()
    assert (np.diff(cosine, axis=1) <= 0).all()


def test_there_are_no_more_neighbours_than_others() -> None:
    found, cosine = neighbours(np.eye(3, dtype=np.float32), 8)
    assert found.shape == cosine.shape == (3, 2)


def test_a_layout_keeps_who_is_near_whom_and_follows_from_its_seed(digits) -> None:
    features, labels = digits
    places = lay_out(features, 0)
    assert places.min(0).tolist() == [0, 0]
    assert places.max(0).tolist() == [1, 1]
    assert trustworthiness(features, places, n_neighbors=8, metric="cosine") > 0.95
    nearest = NearestNeighbors(n_neighbors=6).fit(places).kneighbors(places)[1][:, 1:]
    assert (labels[nearest] == labels[:, None]).mean() > 0.85
    assert np.array_equal(places, lay_out(features, 0))


@pytest.mark.parametrize("count", [2, 3, 9, 12])
def test_few_examples_and_copies_are_laid_out_too(count) -> None:
    features = np.ones((count, 4), np.float32)
    features[0] = [1, 2, 3, 4]
    places = lay_out(features, 0)
    assert places.shape == (count, 2)
    assert np.isfinite(places).all()
