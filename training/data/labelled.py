"""Labelled texts of a prepared data set, read whole: heads see all of them at once."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.errors import TrainingError


@dataclass(frozen=True)
class LabelledTexts:
    """A split.

    Attributes:
        texts: As prepared.
        labels: Class of each, an index into the data set's names, int64 [texts].
        ids: Place of each in the upload.
        file: Where they were read.
    """

    texts: list[str]
    labels: npt.NDArray[np.int64]
    ids: list[int]
    file: Path

    def __len__(self) -> int:
        return len(self.texts)

    def chosen(self, places: npt.NDArray[np.int64]) -> LabelledTexts:
        """Some of them."""
        return LabelledTexts(
            [self.texts[place] for place in places],
            self.labels[places],
            [self.ids[place] for place in places],
            self.file,
        )


def class_names(dataset: Path) -> list[str]:
    """The classes of a prepared data set, the largest first.

    Raises:
        TrainingError: ``dataset_without_labels``.
    """
    try:
        about: dict[str, Any] = json.loads((dataset / "dataset.json").read_bytes())
        return [str(one["name"]) for one in about["labels"]["classes"]]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError("dataset_without_labels", field="data.path") from error


def labelled_texts(dataset: Path, split: str, names: list[str]) -> LabelledTexts | None:
    """A split with its labels; None where there is no such split.

    Raises:
        TrainingError: ``dataset_without_labels``.
    """
    path = dataset / f"{split}.jsonl"
    if not path.is_file():
        return None
    places = {name: place for place, name in enumerate(names)}
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    try:
        labels = np.array([places[row["label"]] for row in rows], np.int64)
    except KeyError as error:
        raise TrainingError("dataset_without_labels", field="data.path") from error
    return LabelledTexts([row["text"] for row in rows], labels, [row["id"] for row in rows], path)


def few(labels: npt.NDArray[np.int64], count: int, seed: int) -> npt.NDArray[np.int64]:
    """Places of so many examples, each class in its share and with one at least.

    Args:
        labels: Class of each example.
        count: How many are wanted; at least as many as there are classes.
        seed: Decides which.

    Raises:
        TrainingError: ``examples_fewer_than_classes``.
    """
    classes, sizes = np.unique(labels, return_counts=True)
    if count < len(classes):
        raise TrainingError("examples_fewer_than_classes", field="examples", classes=len(classes))
    if count >= len(labels):
        return np.arange(len(labels))
    # One each, and the rest by the largest remainders.
    exact = (count - len(classes)) * (sizes - 1) / max(1, (sizes - 1).sum())
    wanted = 1 + np.floor(exact).astype(int)
    for place in np.argsort(np.floor(exact) - exact, kind="stable")[: count - wanted.sum()]:
        wanted[place] += 1
    random = np.random.default_rng(seed)
    found = [
        random.permutation(np.flatnonzero(labels == one))[:size]
        for one, size in zip(classes, wanted, strict=True)
    ]
    return np.sort(np.concatenate(found))
