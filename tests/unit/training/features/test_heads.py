"""Heads give what scikit-learn gives, from arrays alone."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.neural_network import MLPClassifier

from training.errors import TrainingError
from training.features import heads
from training.features.heads import HEADS, Head, fit_head, load_head, save_head


def clouds(classes: int, seed: int, rows: int = 120, width: int = 12):
    """Overlapping clouds, one a class, on very different scales."""
    random = np.random.default_rng(seed)
    labels = np.concatenate([np.arange(classes), random.integers(0, classes, rows - classes)])
    centres = random.normal(size=(classes, width)) * 1.2
    scales = np.geomspace(0.1, 50, width)
    return ((centres[labels] + random.normal(size=(rows, width))) * scales).astype(
        np.float32
    ), labels


def standardised(train, other):
    return (other - train.mean(0)) / train.std(0)


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("classes", [2, 4])
def test_logistic_regression_is_scikit_learn_s(classes: int, seed: int) -> None:
    x, y = clouds(classes, seed)
    new, _ = clouds(classes, seed + 10)
    head = fit_head("logistic", x, y, classes, seed)
    theirs = LogisticRegression(C=head.chosen, max_iter=5000, tol=1e-8).fit(standardised(x, x), y)
    expected = theirs.predict_proba(standardised(x, new))
    assert np.abs(head.predict(new) - expected).max() < 2e-3
    assert head.chosen in heads.GRID["logistic"]


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("classes", [2, 3])
def test_the_small_network_is_scikit_learn_s(classes: int) -> None:
    x, y = clouds(classes, 1)
    new, _ = clouds(classes, 11)
    arrays = heads._fit("mlp", 0.1, x, y, classes, 3)
    theirs = MLPClassifier([64], alpha=0.1, max_iter=300, random_state=3)
    theirs.fit(np.asarray(standardised(x, x), np.float32), y)
    expected = theirs.predict_proba(standardised(x, new))
    assert np.abs(Head("mlp", 0.1, arrays).predict(new) - expected).max() < 1e-3


@pytest.mark.parametrize("neighbours", [1, 3, 10])
def test_neighbours_are_scikit_learn_s(neighbours: int, monkeypatch) -> None:
    x, y = clouds(3, 2)
    new, _ = clouds(3, 12)
    head = Head("knn", neighbours, heads._fit("knn", neighbours, x, y, 3, 0))
    theirs = KNeighborsClassifier(neighbours, metric="cosine", algorithm="brute").fit(x, y)
    assert np.allclose(head.predict(new), theirs.predict_proba(new))


def test_prototypes_are_softmax_over_squared_distances() -> None:
    x, y = clouds(3, 4)
    new, _ = clouds(3, 14)
    head = Head("prototype", 3.0, heads._fit("prototype", 3.0, x, y, 3, 0))
    unit = x / np.linalg.norm(x, axis=1, keepdims=True)
    for row, found in zip(new, head.predict(new), strict=True):
        one = row / np.linalg.norm(row)
        scores = [-3.0 * ((one - unit[y == c].mean(0)) ** 2).sum() for c in range(3)]
        expected = np.exp(scores) / np.exp(scores).sum()
        assert np.abs(found - expected).max() < 1e-5


@pytest.mark.parametrize("kind", HEADS)
def test_a_head_that_was_saved_predicts_the_same(kind, tmp_path: Path) -> None:
    x, y = clouds(3, 5)
    head = fit_head(kind, x, y, 3, 0)
    save_head(head, tmp_path / "head", {"classes": ["a", "b", "c"]})
    again, about = load_head(tmp_path / "head")
    assert np.array_equal(again.predict(x), head.predict(x))
    assert about["classes"] == ["a", "b", "c"]
    assert (head.predict(x).argmax(1) == y).mean() > 0.6
    assert np.allclose(head.predict(x).sum(1), 1)


@pytest.mark.parametrize("kind", HEADS)
def test_equal_seeds_give_equal_heads(kind) -> None:
    x, y = clouds(2, 6)
    first, second = (fit_head(kind, x, y, 2, 7) for _ in range(2))
    assert first.chosen == second.chosen
    assert np.array_equal(first.predict(x), second.predict(x))


@pytest.mark.parametrize("kind", HEADS)
def test_one_example_a_class_is_enough(kind) -> None:
    x, y = clouds(3, 8, rows=3)
    head = fit_head(kind, x, y, 3, 0)
    assert head.predict(x).shape == (3, 3)
    assert np.isfinite(head.predict(x)).all()


def test_a_feature_that_never_changes_does_no_harm() -> None:
    x, y = clouds(2, 9)
    x[:, 3] = 5.0
    assert np.isfinite(fit_head("logistic", x, y, 2, 0).predict(x)).all()


@pytest.mark.parametrize("content", ["", "{", '{"version": 9}', '{"version": 1, "kind": "forest"}'])
def test_what_is_no_head_is_refused(content: str, tmp_path: Path) -> None:
    (tmp_path / "head.json").write_text(content)
    with pytest.raises(TrainingError) as caught:
        load_head(tmp_path)
    assert caught.value.code == "checkpoint_invalid"
