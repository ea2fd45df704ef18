"""How well classes are told apart: scores, a table of classes, confusion, calibration, intervals.

    accuracy = (1/N) Σ [argmax p_n = y_n]
    macro-F1 = (1/C) Σ_c F1_c
    ECE      = Σ_b (N_b / N) |accuracy_b − confidence_b|        over bins b of the confidence [0]

- [0] Guo et al., 2017, "On Calibration of Modern Neural Networks"
- Efron, 1979, "Bootstrap Methods: Another Look at the Jackknife"

Details people get wrong: macro-F1 counts a class that is never predicted as 0 and does not leave it
out; AUC of several classes is the mean of one against the rest; an interval of macro-F1 needs the
whole resampled confusion, not resampled per-class values.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from training.evaluation.area_interval import area_interval

#: Of the confidence, equally wide.
CALIBRATION_BINS = 10
RESAMPLES = 1000
#: Percentiles of a 95 % interval.
INTERVAL = (2.5, 97.5)
#: Probabilities are kept this far from 0 in the loss, so that one sure mistake is not infinite.
LEAST = 1e-12

Labels = npt.NDArray[np.int64]
Probabilities = npt.NDArray[np.float64]


def softmax(scores: npt.NDArray[Any]) -> Probabilities:
    """Probabilities of rows of scores, float64 [rows, classes]."""
    shares = np.exp(scores.astype(np.float64) - scores.max(-1, keepdims=True))
    return np.asarray(shares / shares.sum(-1, keepdims=True))


def log_softmax(scores: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    """Their logarithms, exact also where a probability is none that a float can hold."""
    shifted = scores.astype(np.float64) - scores.max(-1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(-1, keepdims=True)))


def classification_scores(
    probabilities: Probabilities, labels: Labels, names: Sequence[str], seed: int = 0
) -> dict[str, Any]:
    """Everything that a report says about predicted classes.

    Args:
        probabilities: [examples, classes], rows sum to 1.
        labels: The true classes, 0..classes − 1.
        names: Of the classes.
        seed: Of the resampling.

    Returns:
        ``accuracy``, ``macro_f1``, ``auc`` (None where not every class is among the labels),
        ``loss`` (mean cross-entropy, nats), ``ece``, ``examples``; ``intervals`` ``{accuracy,
        macro_f1: [low, high]}``, 95 %, by the percentile bootstrap, and of ``auc`` by
        :mod:`training.evaluation.area_interval` (None where a class has fewer than two
        examples); ``classes`` ``[{name, precision, recall, f1, examples}]``; ``confusion``
        [true][predicted]; ``calibration`` ``[{from, to, examples, confidence, accuracy}]``, bins
        with nothing in them left out.

    Raises:
        ValueError: No examples.
    """
    from sklearn.metrics import confusion_matrix, precision_recall_fscore_support

    if not len(labels):
        raise ValueError("no examples to score")
    count = len(names)
    predicted = probabilities.argmax(1)
    precision, recall, f1, support = precision_recall_fscore_support(
        labels, predicted, labels=range(count), zero_division=0.0
    )
    calibration = _calibration(probabilities.max(1), predicted == labels)
    return {
        "accuracy": float((predicted == labels).mean()),
        "macro_f1": float(f1.mean()),
        "auc": area_under_curve(probabilities, labels),
        "loss": float(losses(probabilities, labels).mean()),
        "ece": float(
            sum(b["examples"] * abs(b["accuracy"] - b["confidence"]) for b in calibration)
            / len(labels)
        ),
        "examples": len(labels),
        "intervals": {
            **_intervals(predicted, labels, count, seed),
            "auc": area_interval(probabilities, labels),
        },
        "classes": [
            {
                "name": name,
                "precision": float(precision[place]),
                "recall": float(recall[place]),
                "f1": float(f1[place]),
                "examples": int(support[place]),
            }
            for place, name in enumerate(names)
        ],
        "confusion": confusion_matrix(labels, predicted, labels=range(count)).tolist(),
        "calibration": calibration,
    }


def losses(probabilities: Probabilities, labels: Labels) -> npt.NDArray[np.float64]:
    """Cross-entropy of each example, nats."""
    likely = probabilities[np.arange(len(labels)), labels]
    return np.asarray(-np.log(np.maximum(likely, LEAST)))


def area_under_curve(probabilities: Probabilities, labels: Labels) -> float | None:
    """Area under the ROC curve; of several classes the mean of each against the rest."""
    from sklearn.metrics import roc_auc_score

    count = probabilities.shape[1]
    if len(np.unique(labels)) < count:
        return None
    truth = np.eye(count)[labels]
    return float(np.mean([roc_auc_score(truth[:, c], probabilities[:, c]) for c in range(count)]))


def worst_predictions(
    probabilities: Probabilities, labels: Labels, names: Sequence[str], most: int
) -> list[dict[str, Any]]:
    """The examples with the highest loss, wrong ones first.

    Returns:
        ``[{place, label, predicted, probability (of the predicted class), loss}]``; ``place`` is
        the row.
    """
    loss = losses(probabilities, labels)
    predicted = probabilities.argmax(1)
    order = np.lexsort((-loss, predicted == labels))[:most]
    return [
        {
            "place": int(row),
            "label": names[labels[row]],
            "predicted": names[predicted[row]],
            "probability": float(probabilities[row, predicted[row]]),
            "loss": float(loss[row]),
        }
        for row in order
    ]


def _calibration(
    confidence: npt.NDArray[np.float64], right: npt.NDArray[np.bool_]
) -> list[dict[str, Any]]:
    places = np.minimum((confidence * CALIBRATION_BINS).astype(int), CALIBRATION_BINS - 1)
    return [
        {
            "from": place / CALIBRATION_BINS,
            "to": (place + 1) / CALIBRATION_BINS,
            "examples": int((places == place).sum()),
            "confidence": float(confidence[places == place].mean()),
            "accuracy": float(right[places == place].mean()),
        }
        for place in np.unique(places).tolist()
    ]


def _intervals(predicted: Labels, labels: Labels, count: int, seed: int) -> dict[str, list[float]]:
    """By resampling the examples; memory does not grow with the number of classes squared."""
    random = np.random.default_rng(seed)
    found: dict[str, list[float]] = {"accuracy": [], "macro_f1": []}
    for _ in range(RESAMPLES):
        rows = random.integers(0, len(labels), len(labels))
        true, said = labels[rows], predicted[rows]
        right = np.bincount(true[true == said], minlength=count)
        both = np.bincount(true, minlength=count) + np.bincount(said, minlength=count)
        found["accuracy"].append(right.sum() / len(labels))
        found["macro_f1"].append(float((2 * right / np.maximum(both, 1)).mean()))
    return {name: np.percentile(values, INTERVAL).tolist() for name, values in found.items()}
