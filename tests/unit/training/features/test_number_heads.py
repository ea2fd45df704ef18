"""Heads on numbers give what scikit-learn gives, in the numbers' own units."""

from pathlib import Path

import numpy as np
import pytest
from sklearn.linear_model import Ridge, RidgeCV
from sklearn.model_selection import KFold
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPRegressor

from training.errors import TrainingError
from training.features import number_heads
from training.features.heads import load_head, save_head
from training.features.number_heads import GRID, NUMBER_HEADS, NumberHead, fit_number_head


def line(seed: int, rows: int = 120, width: int = 12):
    """A plane with noise, far from 0, over features on very different scales."""
    random = np.random.default_rng(seed)
    plain = random.normal(size=(rows, width))
    weights = np.random.default_rng(99).normal(size=width)
    numbers = 1_000 + 50 * (plain @ weights + random.normal(size=rows))
    return (plain * np.geomspace(0.1, 50, width)).astype(np.float32), numbers


def standardised(train, other):
    return (other - train.mean(0)) / train.std(0)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_ridge_is_scikit_learn_s_and_so_is_its_penalty(seed: int) -> None:
    x, y = line(seed)
    new, _ = line(seed + 10)
    head = fit_number_head("ridge", x, y, seed)
    theirs = Ridge(head.chosen).fit(standardised(x, x).astype(np.float64), y)
    assert np.abs(head.predict(new) - theirs.predict(standardised(x, new))).max() < 0.01
    folds = KFold(5, shuffle=True, random_state=seed)
    errors = [
        sum(
            np.square(
                Ridge(penalty)
                .fit(standardised(x[fitted], x[fitted]), y[fitted])
                .predict(standardised(x[fitted], x[held_out]))
                - y[held_out]
            ).sum()
            for fitted, held_out in folds.split(x)
        )
        for penalty in GRID["ridge"]
    ]
    assert head.chosen == GRID["ridge"][int(np.argmin(errors))]
    # Chosen by leaving one out, the penalty would be near.
    near = RidgeCV(GRID["ridge"]).fit(standardised(x, x), y).alpha_
    assert abs(GRID["ridge"].index(near) - GRID["ridge"].index(head.chosen)) <= 1


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_the_small_network_is_scikit_learn_s() -> None:
    x, y = line(1)
    new, _ = line(11)
    arrays = number_heads._fit("mlp", 0.1, x, y, 3)
    theirs = MLPRegressor(hidden_layer_sizes=[64], alpha=0.1, max_iter=300, random_state=3)
    theirs.fit(np.asarray(standardised(x, x), np.float32), (y - y.mean()) / y.std())
    expected = theirs.predict(standardised(x, new)) * y.std() + y.mean()
    assert np.abs(NumberHead("mlp", 0.1, arrays).predict(new) - expected).max() < 0.05


@pytest.mark.parametrize("neighbours", [1, 3, 10])
def test_neighbours_are_scikit_learn_s(neighbours: int, monkeypatch) -> None:
    monkeypatch.setattr("training.features.geometry._COSINES", 500)  # some rows at a time
    x, y = line(2)
    new, _ = line(12)
    head = NumberHead("knn", neighbours, number_heads._fit("knn", neighbours, x, y, 0))
    theirs = KNeighborsRegressor(neighbours, metric="cosine", algorithm="brute").fit(x, y)
    assert np.allclose(head.predict(new), theirs.predict(new), atol=1e-3)


@pytest.mark.parametrize("kind", NUMBER_HEADS)
def test_a_head_that_was_saved_predicts_the_same(kind, tmp_path: Path) -> None:
    x, y = line(5)
    head = fit_number_head(kind, x, y, 0)
    save_head(head, tmp_path / "head", {"target": "price"})
    again, about = load_head(tmp_path / "head")
    assert isinstance(again, NumberHead)
    assert (again.kind, again.chosen, about["target"]) == (kind, head.chosen, "price")
    assert np.array_equal(again.predict(x), head.predict(x))
    assert np.sqrt(np.square(head.predict(x) - y).mean()) < 0.9 * y.std()


@pytest.mark.parametrize("kind", NUMBER_HEADS)
def test_equal_seeds_give_equal_heads_and_other_units_the_same_one(kind) -> None:
    x, y = line(6)
    first, second, other = (fit_number_head(kind, x, one, 7) for one in (y, y, y / 1_000 - 5))
    assert np.array_equal(first.predict(x), second.predict(x))
    assert first.chosen == other.chosen
    assert np.allclose(first.predict(x), (other.predict(x) + 5) * 1_000, atol=0.5)


@pytest.mark.parametrize("kind", NUMBER_HEADS)
def test_two_examples_are_enough(kind) -> None:
    x, y = line(8, rows=2)
    assert np.isfinite(fit_number_head(kind, x, y, 0).predict(x)).all()
    assert fit_number_head(kind, x, y, 0).predict(x[:0]).shape == (0,)


def test_a_kind_that_tells_classes_apart_is_none_of_a_number(tmp_path: Path) -> None:
    save_head(NumberHead("ridge", 1.0, {}), tmp_path / "head", {"target": "price"})
    about = tmp_path / "head" / "head.json"
    about.write_text(about.read_text().replace("ridge", "prototype"))
    with pytest.raises(TrainingError) as caught:
        load_head(tmp_path / "head")
    assert caught.value.code == "checkpoint_invalid"
