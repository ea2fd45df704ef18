"""What made images are measured by, with a judge whose answers are known."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from training.generative.frechet import frechet_distance
from training.generative.measures import (
    Reference,
    beaten_by,
    class_means,
    compared,
    copying,
    measured,
    nearest,
    noise,
    real_ones,
    spread,
)


class Bright:
    """Takes bright images for class 1; its features are the means of the halves."""

    kind, width, accuracy, examples = "trained", 2, 0.75, 8

    def look(self, images: Any) -> tuple[Any, Any]:
        halves = np.stack([images[:, :2].mean((1, 2, 3)), images[:, 2:].mean((1, 2, 3))], 1)
        return halves.astype(np.float32), (images.mean((1, 2, 3)) > 0.5).astype(np.int64)


JUDGE: Any = Bright()
LABELS = np.array([0, 0, 1, 1, 0, 1, 0, 1])


def images_of(labels: Any, seed: int = 0) -> Any:
    """Dark ones of class 0, bright ones of class 1."""
    random = np.random.default_rng(seed)
    found = 0.2 + 0.6 * labels[:, None, None, None] + 0.1 * random.random((len(labels), 4, 4, 1))
    return found.astype(np.float32)


def reference() -> Reference:
    return Reference(LABELS, JUDGE.look(images_of(LABELS, 9))[0])


def test_class_accuracy_counts_what_is_taken_for_what_was_meant() -> None:
    meant = LABELS.copy()
    meant[:3] = 1 - meant[:3]  # three are made as the other class
    found = measured(JUDGE, reference(), images_of(meant))
    assert found["class_accuracy"] == pytest.approx(5 / 8)
    assert found["classes"] == {0: pytest.approx(0.5), 1: pytest.approx(0.75)}
    features = JUDGE.look(images_of(meant))[0]
    assert found["frechet"] == pytest.approx(frechet_distance(features, reference().features))


def test_a_table_has_the_floor_the_means_and_the_ceiling() -> None:
    known = images_of(LABELS, 3)
    sides = {
        "model": images_of(LABELS, 4),
        "real": known,
        "means": class_means([known[one == LABELS] for one in (0, 1)], LABELS),
        "noise": noise(known.shape, 0),
    }
    found = compared(JUDGE, reference(), sides, 0.75)
    assert found["sides"]["real"]["class_accuracy"] == 0.75  # the judge's own, on held-out ones
    assert found["sides"]["noise"]["frechet"] > found["sides"]["model"]["frechet"]
    assert set(found["classes"]) == {0, 1}
    assert found["judge"] == {"kind": "trained", "accuracy": 0.75, "examples": 8}
    assert not found["rough"]


def test_what_does_not_beat_the_means_is_told() -> None:
    sides = {name: {"frechet": value} for name, value in (("means", 5.0), ("noise", 9.0))}
    assert beaten_by(sides | {"model": {"frechet": 4.9}}) == []
    assert beaten_by(sides | {"model": {"frechet": 5.0}}) == ["means"]
    assert beaten_by(sides | {"model": {"frechet": 9.5}}) == ["means", "noise"]


def test_class_means_are_the_mean_images() -> None:
    images = images_of(LABELS)
    found = class_means([images[one == LABELS] for one in (0, 1)], np.array([1, 0, 1]))
    assert np.allclose(found[0], images[LABELS == 1].mean(0))
    assert np.array_equal(found[0], found[2])


def test_real_ones_are_of_the_wanted_classes_and_twice_only_where_they_must() -> None:
    labels = np.array([0, 0, 0, 1])
    found = real_ones(labels, np.array([0, 1, 0, 1, 0]), seed=2)
    assert list(labels[found]) == [0, 1, 0, 1, 0]
    assert len(set(found[[0, 2, 4]])) == 3
    assert list(found[[1, 3]]) == [3, 3]


def test_nearest_images_are_the_nearest_by_their_pixels() -> None:
    random = np.random.default_rng(0)
    images = random.random((70, 3, 3, 1)).astype(np.float32)
    known = random.random((20, 3, 3, 1)).astype(np.float32)
    places, distances = nearest(images, known, 2)
    apart = np.sqrt(np.square(images[:, None] - known[None]).mean((2, 3, 4)))
    assert np.array_equal(places, np.argsort(apart, 1)[:, :2])
    assert np.allclose(distances, np.sort(apart, 1)[:, :2], atol=1e-4)


def test_copies_lie_nearer_to_training_images_than_real_ones_do() -> None:
    random = np.random.default_rng(1)
    known = random.random((50, 6, 6, 1)).astype(np.float32)
    real = random.random((50, 6, 6, 1)).astype(np.float32)
    copied = copying(known[:20] + 0.001, real, known)
    assert copied["copies"]
    assert copied["images"] == 20
    assert not copying(random.random((20, 6, 6, 1)).astype(np.float32), real, known)["copies"]


def test_what_is_looked_at_is_spread_over_a_split_that_stands_class_by_class() -> None:
    assert list(spread(10, 4)) == [0, 2, 5, 7]
    assert list(spread(3, 9)) == [0, 1, 2]
    assert len(spread(0, 9)) == 0
    # One class is made afresh, the other is copied: half of what is tried is of each.
    random = np.random.default_rng(2)
    known = random.random((300, 4, 4, 1)).astype(np.float32)
    fresh = random.random((500, 4, 4, 1)).astype(np.float32)
    found = copying(np.concatenate([fresh[:200], known + 0.001]), fresh[200:], known)
    assert found["copies"]
