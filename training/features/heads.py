"""Small classifiers on features: fitted by scikit-learn, kept as arrays.

- ``logistic``: multinomial logistic regression on standardised features, the "linear probe" of
  Alain and Bengio, 2016, "Understanding intermediate layers using linear classifier probes"
- ``mlp``: the same with one hidden layer
- ``knn``: the share of each class among the nearest neighbours by cosine
- ``prototype``: softmax over the negative squared distances to the classes' means, of Snell et al.,
  2017, "Prototypical Networks for Few-shot Learning", on features of length one

Details people get wrong: the scale of the features comes from the training split alone; what is
chosen (strength of the regularisation, number of neighbours) is chosen by cross-validation there,
never on what the report scores.

Heads that predict a number are in :mod:`training.features.number_heads`. Features of every place,
[rows, places, channels], are pooled by attention that is learned with a
logistic regression: :mod:`training.features.attention`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from training.durable import durable_folder, json_bytes
from training.errors import TrainingError
from training.evaluation.choosing import Places, choose, fit, logistic_path
from training.evaluation.classification import Labels, Probabilities, softmax
from training.features.attention import (
    CHOOSING_ITERATIONS,
    ITERATIONS,
    PENALTIES,
    attended,
    attention_path,
)
from training.features.geometry import (
    Matrix,
    as_float32,
    nearest,
    scale_of,
    standardised,
    unit_vectors,
)
from training.features.number_heads import HIDDEN, MLP_EPOCHS, NUMBER_HEADS, NumberHead
from training.weights.tensors import open_tensors, write_tensors

HeadKind = Literal["logistic", "mlp", "knn", "prototype"]
HEADS: tuple[HeadKind, ...] = get_args(HeadKind)

#: What is tried, by kind: inverse regularisation, weight decay, neighbours, inverse temperature.
GRID: dict[HeadKind, tuple[float, ...]] = {
    "logistic": (0.001, 0.01, 0.1, 1.0, 10.0),
    "mlp": (10.0, 1.0, 0.1, 0.01),
    "knn": (1, 3, 5, 10, 20, 50),
    "prototype": (1.0, 3.0, 10.0, 30.0, 100.0),
}
#: Inverse regularisation of a probe that nothing is chosen for.
PROBE_STRENGTH = 0.1
HEAD_VERSION = 1
WEIGHTS_FILE, ABOUT_FILE = "head.safetensors", "head.json"

#: A head in a few words, whatever it predicts: the linear one is logistic or ridge regression.
HeadChoice = Literal["linear", "mlp", "knn", "prototype"]


@dataclass(frozen=True)
class Head:
    """A fitted classifier.

    Attributes:
        kind: See the module.
        chosen: The value of :data:`GRID` that did best.
        arrays: All that predicting needs, float32 or int64, by name.
    """

    kind: HeadKind
    chosen: float
    arrays: Mapping[str, np.ndarray]

    def pooled(self, features: np.ndarray) -> Matrix:
        """What the classifier reads, float32 [rows, width]; arguments as :meth:`predict`."""
        return features if features.ndim == 2 else attended(features, self.arrays["query"])

    def predict(self, features: np.ndarray) -> Probabilities:
        """Probability of each class, float64 [rows, classes].

        Args:
            features: float32 [rows, width], or [rows, places, channels], as those that it was
                fitted on.
        """
        arrays, features = self.arrays, self.pooled(features)
        match self.kind:
            case "logistic":
                return softmax(standardised(features, arrays) @ arrays["kernel"] + arrays["bias"])
            case "mlp":
                x = np.maximum(
                    standardised(features, arrays) @ arrays["kernel.0"] + arrays["bias.0"], 0
                )
                return softmax(x @ arrays["kernel.1"] + arrays["bias.1"])
            case "knn":
                return _neighbours(features, arrays, round(self.chosen))
            case "prototype":
                means = arrays["means"]
                # The squared length of the features is the same for every class.
                return softmax(
                    self.chosen * (2 * unit_vectors(features) @ means.T - (means**2).sum(1))
                )


def save_head(head: Head | NumberHead, folder: Path, about: Mapping[str, Any]) -> None:
    """Write ``head.safetensors`` and ``head.json`` durably.

    Args:
        head: What was fitted.
        folder: Replaced if it is there.
        about: What it reads and tells apart, see ``docs/formats.md``.

    Raises:
        TrainingError: ``disk_full_writing``.
    """
    with durable_folder(folder, point="head", what="the head") as temporary:
        write_tensors(temporary / WEIGHTS_FILE, head.arrays, point="head")
        document = {"version": HEAD_VERSION, "kind": head.kind, "chosen": head.chosen, **about}
        (temporary / ABOUT_FILE).write_bytes(json_bytes(document))


def load_head(folder: Path) -> tuple[Head | NumberHead, dict[str, Any]]:
    """A head that was saved, and what it was saved with; with a ``target`` it predicts numbers.

    Raises:
        TrainingError: ``checkpoint_invalid`` or ``weights_*``.
    """
    try:
        about = json.loads((folder / ABOUT_FILE).read_bytes())
        made, kinds = (NumberHead, NUMBER_HEADS) if "target" in about else (Head, HEADS)
        if about.pop("version") != HEAD_VERSION or about["kind"] not in kinds:
            raise ValueError("another version or kind")
        kind, chosen = about["kind"], float(about["chosen"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise TrainingError("checkpoint_invalid", file=ABOUT_FILE, detail=str(error)) from error
    tensors = open_tensors(folder / WEIGHTS_FILE)
    return made(kind, chosen, {name: np.array(tensors[name]) for name in tensors}), about


def fit_head(kind: HeadKind, features: np.ndarray, labels: Labels, classes: int, seed: int) -> Head:
    """Fit a head, its setting chosen from :data:`GRID` by cross-validation.

    Args:
        kind: See the module.
        features: float32 [rows, width]; for ``logistic`` [rows, places, channels] too.
        labels: Class of each row; every class is there.
        classes: How many there are.
        seed: Of what is random: the folds, and the MLP's start and order.
    """
    if features.ndim == 3:
        return _attentive(features, labels, classes, seed)
    values = GRID[kind]
    if kind == "knn":  # a fold leaves out a fifth, or a half where examples are few
        values = tuple(value for value in values if value <= len(labels) // 2) or values[:1]

    def predict(fitted: Places, held_out: Places) -> Iterator[Probabilities]:
        if kind == "logistic":
            scale = scale_of(features[fitted])
            seen, unseen = (standardised(features[rows], scale) for rows in (fitted, held_out))
            yield from logistic_path(values, seen, labels[fitted], unseen)
            return
        for value in values:
            arrays = _fit(kind, value, features[fitted], labels[fitted], classes, seed)
            yield Head(kind, value, arrays).predict(features[held_out])

    chosen = choose(values, labels, seed, predict)
    return Head(kind, chosen, _fit(kind, chosen, features, labels, classes, seed))


def _attentive(values: np.ndarray, labels: Labels, classes: int, seed: int) -> Head:
    """Logistic regression with attention pooling, its penalty chosen like the strength."""
    alike = attended(values, np.zeros(values.shape[2]))
    strength = fit_head("logistic", alike, labels, classes, seed).chosen

    def path(penalties: Sequence[float], rows: Places, iterations: int) -> Iterator[Head]:
        start = _fit("logistic", strength, alike[rows], labels[rows], classes, seed)
        for arrays in attention_path(
            penalties, values[rows], labels[rows], start, strength, iterations
        ):
            yield Head("logistic", strength, arrays)

    def predict(fitted: Places, held_out: Places) -> Iterator[Probabilities]:
        for head in path(PENALTIES, fitted, CHOOSING_ITERATIONS):
            yield head.predict(values[held_out])

    penalty = choose(PENALTIES, labels, seed, predict)
    tried = PENALTIES[: PENALTIES.index(penalty) + 1]
    *_others, head = path(tried, np.arange(len(labels)), ITERATIONS)
    return head


def neighbours_classes(known: Matrix, labels: Labels, features: Matrix, count: int) -> Labels:
    """The commonest class among so many nearest neighbours by cosine, nothing chosen.

    Args:
        known: float32 [examples, width].
        labels: Their classes.
        features: What is classified, float32 [rows, width].
        count: Neighbours; at most as many as are known.

    Returns:
        int64 [rows].
    """
    arrays = _fit("knn", count, known, labels, int(labels.max()) + 1, seed=0)
    return np.asarray(_neighbours(features, arrays, min(count, len(known))).argmax(1))


def probe_classes(known: Matrix, labels: Labels, features: Matrix) -> Labels:
    """What a linear probe whose strength is not chosen takes features for: quick enough to watch a
    training by. Arguments as :func:`neighbours_classes`."""
    if (labels == labels[0]).all():  # nothing to tell apart
        return np.full(len(features), labels[0])
    scale = scale_of(known)
    seen, unseen = standardised(known, scale), standardised(features, scale)
    (probabilities,) = logistic_path((PROBE_STRENGTH,), seen, labels, unseen)
    # Its columns are the classes that there are, which of a part of the data can be fewer.
    return np.asarray(np.unique(labels)[probabilities.argmax(1)])


def _fit(
    kind: HeadKind, value: float, features: Matrix, labels: Labels, classes: int, seed: int
) -> dict[str, np.ndarray]:
    if kind == "knn":
        return {"features": unit_vectors(features), "labels": labels, "classes": np.array(classes)}
    if kind == "prototype":
        unit = unit_vectors(features)
        return {"means": np.stack([unit[labels == one].mean(0) for one in range(classes)])}
    arrays = scale_of(features)
    x = standardised(features, arrays)
    fitted = _fitted(kind, value, x, labels, seed)
    if kind == "logistic":
        kernel, bias = fitted.coef_.T, fitted.intercept_
        if classes == 2:  # scikit-learn keeps one score for two classes
            kernel, bias = np.hstack([-kernel, kernel]) / 2, np.concatenate([-bias, bias]) / 2
        return as_float32(arrays | {"kernel": kernel, "bias": bias})
    (first, second), (bias, last) = fitted.coefs_, fitted.intercepts_
    if classes == 2:
        second, last = np.hstack([-second, second]) / 2, np.concatenate([-last, last]) / 2
    return as_float32(
        arrays | {"kernel.0": first, "bias.0": bias, "kernel.1": second, "bias.1": last}
    )


def _fitted(kind: HeadKind, value: float, x: np.ndarray, labels: Labels, seed: int) -> Any:
    from sklearn.linear_model import LogisticRegression
    from sklearn.neural_network import MLPClassifier

    made: Any
    if kind == "logistic":
        # At the default tolerance and in float32, probabilities are off by up to 0.03.
        made, x = LogisticRegression(C=value, max_iter=2000, tol=1e-6), x.astype(np.float64)
    else:
        made = MLPClassifier([HIDDEN], alpha=value, max_iter=MLP_EPOCHS, random_state=seed)
    return fit(made, x, labels)


def _neighbours(features: Matrix, arrays: Mapping[str, np.ndarray], count: int) -> Probabilities:
    """The share of each class among the nearest."""
    labels, classes = arrays["labels"], int(arrays["classes"])
    one_hot = np.eye(classes)[labels]
    found = [one_hot[places].mean(1) for places in nearest(features, arrays["features"], count)]
    return np.concatenate(found) if found else np.zeros((0, classes))
