"""What a head says of an example: one of some classes, or a number.

A further kind of label is a class here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.labelled import (
    Labelled,
    Places,
    class_names,
    few,
    labelled_split,
    number_name,
    numbered_split,
)
from training.data.numbers import Numbers, few_numbers
from training.errors import TrainingError
from training.evaluation import classification_report, number_baselines
from training.evaluation.classification import Probabilities
from training.evaluation.regression import regression_report
from training.features.heads import Head, HeadChoice, HeadKind, fit_head
from training.features.number_heads import NumberHead, fit_number_head

#: Parts that numbers are cut into where a map has a colour for each.
PARTS = 5


class Answers(ABC):
    """Labels of one kind: how they are read, learned, scored and shown.

    Attributes:
        about: What a head's ``head.json`` says of them.
    """

    about: Mapping[str, Any]

    @abstractmethod
    def require(self, head: HeadChoice, pooling: str) -> None:
        """Refuse a head that does not go with them.

        Raises:
            TrainingError: ``head_needs_classes``, ``attention_needs_classes``.
        """

    def require_examples(self, examples: int | None) -> None:
        """Refuse fewer training examples than can be learned from; None: all there are.

        Raises:
            TrainingError: ``examples_fewer_than_classes``.
        """
        return

    @abstractmethod
    def split(self, dataset: Path, split: str, about: dict[str, Any]) -> Labelled | None:
        """A split of a prepared data set; None where there is no such split."""

    @abstractmethod
    def few(self, labels: npt.NDArray[Any], count: int, seed: int) -> Places:
        """Places of so many training examples, each kind of label in its share."""

    @abstractmethod
    def fit(
        self, head: HeadChoice, features: np.ndarray, labels: npt.NDArray[Any], seed: int
    ) -> Head | NumberHead:
        """A head on features of the training examples in use."""

    @abstractmethod
    def without_a_model(
        self, kind: str, train: Labelled, scored: Labelled, seed: int
    ) -> Mapping[str, npt.NDArray[np.float64]]:
        """What a head must beat: its predictions of the scored examples."""

    @abstractmethod
    def report(
        self,
        kind: str,
        split: str,
        train: Labelled,
        scored: Labelled,
        predicted: Mapping[str, npt.NDArray[np.float64]],
        seed: int,
    ) -> dict[str, Any]:
        """The fields of a report."""

    @abstractmethod
    def groups(self, labels: npt.NDArray[Any]) -> tuple[list[str], npt.NDArray[np.int64]]:
        """What a map tells apart by colour: names, and the place of each example's."""

    @abstractmethod
    def told(self, label: Any) -> dict[str, Any]:
        """What a point of a map says of its label, beside its group."""

    @abstractmethod
    def said(self, predicted: Any) -> Any:
        """What was predicted of one example, for people."""


class Classes(Answers):
    """One class each.

    Args:
        about: ``dataset.json``.

    Raises:
        TrainingError: ``dataset_without_labels``, ``labels_are_numbers``.
    """

    def __init__(self, about: dict[str, Any]) -> None:
        self.names = class_names(about)
        self.about = {"classes": self.names}

    def require(self, head: HeadChoice, pooling: str) -> None:
        return

    def require_examples(self, examples: int | None) -> None:
        if examples is not None and examples < len(self.names):
            raise TrainingError(
                "examples_fewer_than_classes", field="examples", classes=len(self.names)
            )

    def split(self, dataset: Path, split: str, about: dict[str, Any]) -> Labelled | None:
        return labelled_split(dataset, split, about)

    def few(self, labels: npt.NDArray[Any], count: int, seed: int) -> Places:
        return few(labels, count, seed)

    def fit(
        self, head: HeadChoice, features: np.ndarray, labels: npt.NDArray[Any], seed: int
    ) -> Head:
        kind: HeadKind = "logistic" if head == "linear" else head
        return fit_head(kind, features, labels, len(self.names), seed)

    def without_a_model(
        self, kind: str, train: Labelled, scored: Labelled, seed: int
    ) -> Mapping[str, Probabilities]:
        return classification_report.without_a_model(kind, train, scored, len(self.names), seed)

    def report(
        self,
        kind: str,
        split: str,
        train: Labelled,
        scored: Labelled,
        predicted: Mapping[str, Probabilities],
        seed: int,
    ) -> dict[str, Any]:
        return classification_report.classification_report(
            kind, split, train, scored, self.names, predicted, seed
        )

    def groups(self, labels: npt.NDArray[Any]) -> tuple[list[str], npt.NDArray[np.int64]]:
        return self.names, labels

    def told(self, label: Any) -> dict[str, Any]:
        return {}

    def said(self, predicted: Probabilities) -> str:
        return self.names[int(predicted.argmax())]


class Number(Answers):
    """One number each.

    Args:
        about: ``dataset.json``.

    Raises:
        TrainingError: ``dataset_without_labels``, ``labels_are_classes``.
    """

    def __init__(self, about: dict[str, Any]) -> None:
        self.name = number_name(about)
        self.about = {"target": self.name}

    def require(self, head: HeadChoice, pooling: str) -> None:
        if head == "prototype":
            raise TrainingError("head_needs_classes", field="head")
        if pooling == "attention":
            raise TrainingError("attention_needs_classes", field="pooling")

    def split(self, dataset: Path, split: str, about: dict[str, Any]) -> Labelled | None:
        return numbered_split(dataset, split, about)

    def few(self, labels: npt.NDArray[Any], count: int, seed: int) -> Places:
        return few_numbers(labels, count, seed)

    def fit(
        self, head: HeadChoice, features: np.ndarray, labels: npt.NDArray[Any], seed: int
    ) -> NumberHead:
        if labels.min() == labels.max():
            raise TrainingError(
                "numbers_constant_in_training", field="data.path", value=f"{labels[0]:g}"
            )
        assert head != "prototype"
        return fit_number_head("ridge" if head == "linear" else head, features, labels, seed)

    def without_a_model(
        self, kind: str, train: Labelled, scored: Labelled, seed: int
    ) -> Mapping[str, Numbers]:
        return number_baselines.without_a_model(kind, train, scored, seed)

    def report(
        self,
        kind: str,
        split: str,
        train: Labelled,
        scored: Labelled,
        predicted: Mapping[str, Numbers],
        seed: int,
    ) -> dict[str, Any]:
        return {
            "target": self.name,
            **regression_report(kind, split, train, scored, predicted, seed),
        }

    def groups(self, labels: npt.NDArray[Any]) -> tuple[list[str], npt.NDArray[np.int64]]:
        """Up to :data:`PARTS` parts of about one size, from the lowest; equal numbers go together.

        A part is called by the lowest and highest number in it.
        """
        edges = np.unique(np.quantile(labels, np.arange(1, PARTS) / PARTS))
        _, parts = np.unique(np.searchsorted(edges, labels), return_inverse=True)
        names = []
        for part in range(int(parts.max()) + 1):
            low, high = labels[parts == part].min(), labels[parts == part].max()
            names.append(f"{low:.4g}" if low == high else f"{low:.4g} – {high:.4g}")
        return names, parts

    def told(self, label: Any) -> dict[str, Any]:
        return {"number": float(label)}

    def said(self, predicted: Any) -> float:
        return float(predicted)


def answers_of(about: dict[str, Any]) -> Answers:
    """Those that a prepared data set's labels ask for.

    Args:
        about: ``dataset.json``.

    Raises:
        TrainingError: ``dataset_without_labels``.
    """
    return Number(about) if (about.get("labels") or {}).get("type") == "number" else Classes(about)
