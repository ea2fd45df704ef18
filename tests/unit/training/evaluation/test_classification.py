"""Scores of predicted classes, against plain loops and scikit-learn."""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.linear_model import LogisticRegression

from training.evaluation.choosing import choose, logistic_path
from training.evaluation.classification import (
    area_under_curve,
    classification_scores,
    losses,
    worst_predictions,
)

NAMES = ["bad", "fair", "good"]


def predictions(rows: int, classes: int, seed: int, skill: float = 1.5):
    random = np.random.default_rng(seed)
    labels = random.integers(0, classes, rows)
    scores = random.normal(size=(rows, classes))
    scores[np.arange(rows), labels] += skill
    exact = np.exp(scores)
    return exact / exact.sum(1, keepdims=True), labels


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize("classes", [2, 3])
def test_scores_are_scikit_learn_s(classes: int, seed: int) -> None:
    probabilities, labels = predictions(150, classes, seed)
    predicted = probabilities.argmax(1)
    found = classification_scores(probabilities, labels, NAMES[:classes])
    assert found["accuracy"] == pytest.approx(metrics.accuracy_score(labels, predicted))
    assert found["macro_f1"] == pytest.approx(metrics.f1_score(labels, predicted, average="macro"))
    assert found["loss"] == pytest.approx(metrics.log_loss(labels, probabilities))
    assert found["confusion"] == metrics.confusion_matrix(labels, predicted).tolist()
    if classes == 2:
        auc = metrics.roc_auc_score(labels, probabilities[:, 1])
    else:
        auc = metrics.roc_auc_score(labels, probabilities, multi_class="ovr", average="macro")
    assert found["auc"] == pytest.approx(auc)
    for place, row in enumerate(found["classes"]):
        assert row["examples"] == (labels == place).sum()
        assert row["recall"] == pytest.approx((predicted[labels == place] == place).mean())
        assert row["precision"] == pytest.approx((labels[predicted == place] == place).mean())


def test_calibration_is_that_of_a_plain_loop() -> None:
    probabilities, labels = predictions(400, 3, 5)
    found = classification_scores(probabilities, labels, NAMES)
    error = 0.0
    for bin in range(10):
        low, high = bin / 10, (bin + 1) / 10
        rows = [
            n
            for n in range(400)
            if low <= probabilities[n].max() < high or (bin == 9 and probabilities[n].max() == 1)
        ]
        if not rows:
            continue
        confidence = sum(probabilities[n].max() for n in rows) / len(rows)
        right = sum(probabilities[n].argmax() == labels[n] for n in rows) / len(rows)
        (told,) = [one for one in found["calibration"] if one["from"] == low]
        assert told["examples"] == len(rows)
        assert (told["confidence"], told["accuracy"]) == pytest.approx((confidence, right))
        error += len(rows) / 400 * abs(right - confidence)
    assert found["ece"] == pytest.approx(error)


def test_a_class_that_is_never_predicted_counts_as_nothing() -> None:
    labels = np.array([0, 0, 1, 2])
    probabilities = np.eye(3)[[0, 0, 1, 1]]
    found = classification_scores(probabilities, labels, NAMES)
    assert found["classes"][2]["f1"] == 0
    assert found["macro_f1"] == pytest.approx((1 + 2 / 3 + 0) / 3)


def test_the_area_needs_every_class() -> None:
    probabilities, _ = predictions(20, 3, 0)
    assert area_under_curve(probabilities, np.zeros(20, int)) is None


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_interval_of_accuracy_is_the_binomial_s(seed: int) -> None:
    probabilities, labels = predictions(600, 2, seed)
    found = classification_scores(probabilities, labels, NAMES[:2], seed)
    low, high = found["intervals"]["accuracy"]
    width = 1.96 * np.sqrt(found["accuracy"] * (1 - found["accuracy"]) / 600)
    assert low == pytest.approx(found["accuracy"] - width, abs=0.008)
    assert high == pytest.approx(found["accuracy"] + width, abs=0.008)
    low, high = found["intervals"]["macro_f1"]
    assert low < found["macro_f1"] < high


def test_one_sure_mistake_costs_much_and_not_all() -> None:
    assert losses(np.array([[1.0, 0.0]]), np.array([1]))[0] == pytest.approx(27.6, abs=0.1)


def test_the_worst_come_first_and_wrong_ones_before_right_ones() -> None:
    probabilities = np.array([[0.9, 0.1], [0.45, 0.55], [0.51, 0.49], [0.2, 0.8]])
    labels = np.array([0, 0, 0, 0])
    found = worst_predictions(probabilities, labels, ["no", "yes"], 3)
    assert [one["place"] for one in found] == [3, 1, 2]
    assert found[0] == {
        "place": 3,
        "label": "no",
        "predicted": "yes",
        "probability": 0.8,
        "loss": pytest.approx(-np.log(0.2)),
    }


def test_nothing_to_score_is_an_error() -> None:
    with pytest.raises(ValueError, match="no examples"):
        classification_scores(np.zeros((0, 2)), np.zeros(0, int), NAMES[:2])


def test_choosing_looks_at_held_out_examples_only() -> None:
    labels = np.repeat([0, 1], 15)
    seen: dict[float, list[int]] = {1.0: [], 2.0: []}

    def predict(fitted, held_out):
        assert not set(fitted) & set(held_out)
        assert set(labels[held_out]) == {0, 1}
        right = np.eye(2)[labels[held_out]]
        for value in (1.0, 2.0):
            seen[value] += list(held_out)
            yield right if value == 2.0 else right[:, ::-1]

    assert choose([1.0, 2.0], labels, 0, predict) == 2.0
    assert sorted(seen[1.0]) == sorted(seen[2.0]) == list(range(30))


def test_equally_accurate_values_are_told_apart_by_their_loss() -> None:
    labels = np.repeat([0, 1], 10)

    def predict(fitted, held_out):
        right = np.eye(2)[labels[held_out]]
        return [value * right + (1 - value) * (1 - right) for value in (0.6, 0.9, 0.7)]

    assert choose([0.6, 0.9, 0.7], labels, 0, predict) == 0.9


def test_with_a_class_of_one_example_the_middle_is_taken() -> None:
    def predict(fitted, held_out):
        raise AssertionError("there is nothing to hold out")

    assert choose([1.0, 2.0, 3.0], np.array([0, 0, 1]), 0, predict) == 2.0


def test_a_path_of_strengths_predicts_as_each_fit_alone_does() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1, 2], 40)
    values = random.normal(size=(120, 12)) + np.eye(3, 12)[labels]
    unseen = random.normal(size=(50, 12))
    strengths = (0.01, 0.1, 1.0)
    found = list(logistic_path(strengths, values, labels, unseen))
    for strength, path in zip(strengths, found, strict=True):
        alone = LogisticRegression(C=strength, tol=1e-8, max_iter=5000).fit(values, labels)
        assert np.abs(path - alone.predict_proba(unseen)).max() < 0.01
