"""Labelled examples of a prepared data set; a split is read whole, since heads see all at once."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import numpy.typing as npt
from pydantic import Field

from training.errors import TrainingError
from training.errors import gettext_noop as _

Places = npt.NDArray[np.int64]

#: What a number is called that stands in no column.
NUMBER = "number"

#: How many examples are learned from, as a setting; see :func:`few`.
FewExamples = Annotated[
    int | None,
    Field(
        ge=2,
        title=_("Training examples"),
        description=_("Use only so many labelled examples, each class in its share; empty: all."),
    ),
]


@dataclass(frozen=True)
class Labelled:
    """A split.

    Attributes:
        rows: Its lines, as prepared: ``id`` and, of texts, ``text``, and of pairs ``text_pair``; of
            images and sounds, where they lie.
        labels: Class of each, an index into the data set's names, int64 [examples]; -1: none. Or
            its number, float64; or of a sentence the tags of its words, int32 [words] each.
        content: The file that the examples' content is in.
    """

    rows: list[dict[str, Any]]
    labels: npt.NDArray[Any]
    content: Path

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def texts(self) -> list[str]:
        """The texts; the two of a pair one after the other."""
        return [whole_text(row) for row in self.rows]

    def pixels(self, row: dict[str, Any]) -> npt.NDArray[np.uint8]:
        """An image, or the picture of a sound, uint8 [height, width, 1 or 3]."""
        from training.data.image_files import read_png

        with self.content.open("rb") as file:
            file.seek(row["offset"])
            return read_png(file.read(row["size"]))

    def chosen(self, places: Places) -> Labelled:
        """Some of them."""
        return Labelled([self.rows[place] for place in places], self.labels[places], self.content)


def whole_text(row: Mapping[str, Any]) -> str:
    """A text, or the two of a pair on lines of their own, for what knows no pairs."""
    return f"{row['text']}\n{row['text_pair']}" if "text_pair" in row else str(row["text"])


def read_about(dataset: Path, *, sounds: bool = False) -> dict[str, Any]:
    """``dataset.json``.

    Args:
        dataset: The prepared data set.
        sounds: Whether sounds are read too.

    Raises:
        TrainingError: ``dataset_without_labels``: it is no prepared data set at all;
            ``dataset_is_table``, ``dataset_is_sound``: it is one that is not read here.
    """
    try:
        about: dict[str, Any] = json.loads((dataset / "dataset.json").read_bytes())
    except (OSError, ValueError) as error:
        raise TrainingError("dataset_without_labels", field="data.path") from error
    if about.get("kind") == "table":
        raise TrainingError("dataset_is_table", field="data.path")
    if about.get("kind") == "sound" and not sounds:
        raise TrainingError("dataset_is_sound", field="data.path")
    return about


def class_names(about: dict[str, Any]) -> list[str]:
    """The classes of a prepared data set, the largest first.

    Raises:
        TrainingError: ``dataset_without_labels``, ``labels_are_numbers``, ``labels_are_tags``.
    """
    labels = _labels(about)
    if labels.get("type") == "tags":
        raise TrainingError("labels_are_tags", field="data.path")
    if "classes" not in labels:
        raise TrainingError("labels_are_numbers", field="data.path")
    return [str(one["name"]) for one in labels["classes"]]


def labelled_split(dataset: Path, split: str, about: dict[str, Any]) -> Labelled | None:
    """A split, each example of which has a label; None where there is no such split.

    Raises:
        TrainingError: ``dataset_without_labels``.
    """
    found = examples_split(dataset, split, about)
    if found is not None and (found.labels < 0).any():
        raise TrainingError("dataset_without_labels", field="data.path")
    return found


def examples_split(dataset: Path, split: str, about: dict[str, Any]) -> Labelled | None:
    """A split, whether it has labels or not; None where there is no such split."""
    path = dataset / f"{split}.jsonl"
    if not path.is_file():
        return None
    classes = (about.get("labels") or {}).get("classes", ())
    places = {str(one["name"]): place for place, one in enumerate(classes)}
    with path.open(encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    labels = np.array([places.get(row.get("label"), -1) for row in rows], np.int64)
    content = path if about["kind"] == "text" else dataset / f"{split}.zip"
    return Labelled(rows, labels, content)


def number_name(about: dict[str, Any]) -> str:
    """What the number of a prepared data set's examples is called.

    Raises:
        TrainingError: ``dataset_without_labels``, ``labels_are_classes``, ``labels_are_tags``.
    """
    labels = _labels(about)
    if labels.get("type") == "tags":
        raise TrainingError("labels_are_tags", field="data.path")
    if labels.get("type") != "number":
        raise TrainingError("labels_are_classes", field="data.path")
    return str(labels["field"] or NUMBER)


def numbered_split(dataset: Path, split: str, about: dict[str, Any]) -> Labelled | None:
    """A split, each example of which has a number; None where there is no such split.

    Raises:
        TrainingError: ``dataset_without_labels``, ``labels_are_classes``.
    """
    number_name(about)
    found = examples_split(dataset, split, about)
    if found is None:
        return None
    numbers = np.array([row["label"] for row in found.rows], np.float64)
    return Labelled(found.rows, numbers, found.content)


def _labels(about: Mapping[str, Any]) -> dict[str, Any]:
    labels: dict[str, Any] | None = about.get("labels")
    if not labels:
        raise TrainingError("dataset_without_labels", field="data.path")
    return labels


def tag_names(about: Mapping[str, Any]) -> list[str]:
    """The tags of a prepared data set's words, the commonest in training first.

    Raises:
        TrainingError: ``labels_are_not_tags``.
    """
    labels = about.get("labels") or {}
    if labels.get("type") != "tags":
        raise TrainingError("labels_are_not_tags", field="data.path")
    return [str(one["name"]) for one in labels["tags"]]


def tagged_split(
    dataset: Path, split: str, about: dict[str, Any], names: Sequence[str]
) -> Labelled | None:
    """A split of sentences; None where there is no such split.

    Args:
        dataset: Where.
        split: Which.
        about: ``dataset.json``.
        names: The tags; each label is the places of its sentence's in them, int32 [words].

    Raises:
        TrainingError: ``labels_are_not_tags``.
    """
    tag_names(about)
    found = examples_split(dataset, split, about)
    if found is None:
        return None
    places = {name: place for place, name in enumerate(names)}
    labels = np.empty(len(found.rows), object)
    for row, one in enumerate(found.rows):
        labels[row] = np.array([places[tag] for tag in one["tags"]], np.int32)
    return Labelled(found.rows, labels, found.content)


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
