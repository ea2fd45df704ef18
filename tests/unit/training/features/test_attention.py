"""Attention pooling: the mean where it begins, its formula and gradients, and what it finds."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

from training.errors import TrainingError
from training.features import attention as module
from training.features.attention import (
    Objective,
    attended,
    attention,
    deviations,
    places_seen,
    room_for,
)
from training.features.heads import fit_head, load_head, save_head


def marked(rows: int, seed: int, classes: int = 3, places: int = 12, channels: int = 8):
    """One place of each row tells its class, and a channel tells which place that is."""
    random = np.random.default_rng(seed)
    labels = np.arange(rows) % classes
    values = random.normal(size=(rows, places, channels)).astype(np.float32)
    values[:, :, :classes] *= 3  # what all places say of classes is noise
    values[:, :, -1] = 0
    at = random.integers(0, places, rows)
    values[np.arange(rows), at, :classes] = 3 * np.eye(classes)[labels]
    values[np.arange(rows), at, -1] = 4
    return values, labels


def start(values: np.ndarray, labels: np.ndarray, classes: int) -> dict[str, np.ndarray]:
    pooled = np.nanmean(values, 1)
    return dict(fit_head("logistic", pooled, labels, classes, 0).arrays)


def plain(values: np.ndarray, query: np.ndarray) -> np.ndarray:
    """Row by row, place by place."""
    found = []
    for row in values:
        real = row[~np.isnan(row[:, 0])].astype(np.float64)
        scores = np.array([np.exp(place @ query) for place in real])
        found.append(sum(s * place for s, place in zip(scores / scores.sum(), real, strict=True)))
    return np.stack(found)


def ragged(values: np.ndarray) -> np.ndarray:
    values = values.copy()
    for row in range(len(values)):
        values[row, 1 + row % values.shape[1] :] = np.nan
    return values


@pytest.mark.parametrize("lengths", ["all alike", "ragged"])
def test_places_are_weighed_as_the_formula_says(lengths: str, monkeypatch) -> None:
    monkeypatch.setattr(module, "SLICE_BYTES", 4 * 12 * 8 * 7)  # seven rows a slice
    values, _labels = marked(30, 0)
    values = values if lengths == "all alike" else ragged(values)
    query = np.random.default_rng(1).normal(size=8) / 3
    assert np.abs(attended(values, query) - plain(values, query)).max() < 1e-5
    weights = attention(values, query)
    assert np.abs(weights.sum(1) - 1).max() < 1e-6
    assert not weights[np.isnan(values[:, :, 0])].any()
    assert np.abs(attended(values, np.zeros(8)) - np.nanmean(values, 1)).max() < 1e-5
    counts = (~np.isnan(values[:, :, 0])).sum(1)
    assert places_seen(values, np.zeros(8)) == pytest.approx(counts.mean(), rel=1e-4)
    assert places_seen(values, query) < 0.9 * counts.mean()
    real = values.reshape(-1, 8)
    expected = np.nanstd(real.astype(np.float64), 0)
    assert np.abs(deviations(values) / np.where(expected > 0, expected, 1) - 1).max() < 1e-5


@pytest.mark.parametrize("classes", [2, 3])
def test_the_gradient_is_that_of_the_objective(classes: int) -> None:
    values, labels = marked(20, 2, classes)
    values = ragged(values)
    objective = Objective(values, labels, start(values, labels, classes), 0.7)
    objective.penalty = 0.3
    random = np.random.default_rng(3)
    at = random.normal(size=8 + 8 * classes + classes) / 2
    _loss, gradient = objective(at)
    for place in range(len(at)):
        step = np.zeros(len(at))
        step[place] = 1e-2
        # Fourth order: float32 inside leaves little room for smaller steps.
        ahead, behind, far, farther = (objective(at + k * step)[0] for k in (1, -1, 2, -2))
        slope = (8 * (ahead - behind) - (far - farther)) / 12e-2
        assert abs(slope - gradient[place]) < 1e-3 * max(0.1, abs(gradient[place]))


@pytest.mark.parametrize("classes", [2, 4])
def test_it_begins_at_scikit_learn_s_regression_on_the_mean(classes: int) -> None:
    """There the gradient by kernel and bias is nothing: it is that objective's minimum."""
    values, labels = marked(60, 4, classes)
    pooled = values.mean(1)
    first = start(values, labels, classes)
    chosen = fit_head("logistic", pooled, labels, classes, 0).chosen
    objective = Objective(values, labels, first, chosen)
    at = np.concatenate([np.zeros(8), first["kernel"].ravel(), first["bias"]])
    loss, gradient = objective(at)
    scaled = (pooled - pooled.mean(0)) / np.where(pooled.std(0) > 1e-6, pooled.std(0), 1)
    theirs = LogisticRegression(C=chosen, max_iter=5000, tol=1e-10).fit(scaled, labels)
    logs = np.log(theirs.predict_proba(scaled)[np.arange(60), labels])
    expected = -logs.mean() + 0.5 * (theirs.coef_**2).sum() / (chosen * 60)
    assert loss == pytest.approx(expected, rel=1e-5)
    assert np.abs(gradient[8:]).max() < 1e-4
    assert np.abs(gradient[:8]).max() > 0.01


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_it_finds_the_place_that_tells(seed: int, tmp_path) -> None:
    values, labels = marked(150, seed)
    new, wanted = marked(300, seed + 10)
    head = fit_head("logistic", values, labels, 3, seed)
    mean = fit_head("logistic", values.mean(1), labels, 3, seed)
    alike = (mean.predict(new.mean(1)).argmax(1) == wanted).mean()
    assert (head.predict(new).argmax(1) == wanted).mean() >= max(0.9, alike + 0.2)
    assert places_seen(new, head.arrays["query"]) < 6
    save_head(head, tmp_path / "head", {"classes": ["a", "b", "c"]})
    again, _about = load_head(tmp_path / "head")
    assert np.array_equal(again.predict(new), head.predict(new))


def test_places_count_alike_where_attention_finds_nothing() -> None:
    random = np.random.default_rng(0)
    labels = np.arange(60) % 2
    values = random.normal(size=(60, 10, 30)).astype(np.float32)
    values[:, :, 0] += 2 * labels[:, None]  # every place tells
    head = fit_head("logistic", values, labels, 2, 0)
    mean = fit_head("logistic", values.mean(1), labels, 2, 0)
    new = random.normal(size=(400, 10, 30)).astype(np.float32)
    wanted = np.arange(400) % 2
    new[:, :, 0] += 2 * wanted[:, None]
    alike = (mean.predict(new.mean(1)).argmax(1) == wanted).mean()
    assert (head.predict(new).argmax(1) == wanted).mean() >= alike - 0.01


def test_more_than_memory_holds_is_refused_before_it_is_taken() -> None:
    with pytest.raises(TrainingError) as caught:
        room_for(100_000, 49, 1280)
    assert (caught.value.code, caught.value.field) == ("attention_too_large", "pooling")
    assert caught.value.params["size"] == "23.4"
