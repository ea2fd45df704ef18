"""Examples that are predicted, with labels or without: texts and images.

Rows of a table are :mod:`training.predicting.given_tables`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.labelled import NUMBER, Labelled, examples_split, read_about
from training.errors import TrainingError
from training.evaluation.classification_report import shown
from training.predicting.targets import Target
from training.predicting.truth import Truth, Value, truth_of

SPLITS = ("train", "validation", "test")
#: Where a PNG says whether it has colours, and what it says of grey.
PNG_COLOUR_TYPE, PNG_GREY = 25, b"\0"


class Given(ABC):
    """Examples in the order of the upload, whatever splits they are in.

    Attributes:
        kind: ``text``, ``image`` or ``table``.
        ids: Place of each in the upload, int64.
        splits: The split of each.
    """

    kind: str
    ids: npt.NDArray[np.int64]
    splits: list[str]

    def __len__(self) -> int:
        return len(self.ids)

    @abstractmethod
    def truth(self, target: Target) -> Truth | None:
        """What the data say of a target; None: nothing at all."""

    @abstractmethod
    def shown(self, place: int) -> dict[str, Any]:
        """An example, as a report shows it: ``id``, ``split``, and what it is."""

    @property
    def counts(self) -> dict[str, int]:
        """Examples of each split."""
        return {name: self.splits.count(name) for name in SPLITS if name in self.splits}


class GivenExamples(Given):
    """Texts or images.

    Args:
        dataset: A prepared data set.
        split: One of them, or ``all``.

    Attributes:
        parts: Each split's examples.
        is_pairs: Whether these are pairs of texts.

    Raises:
        TrainingError: ``split_missing``, ``dataset_is_table``, ``dataset_is_sound``.
    """

    def __init__(self, dataset: Path, split: str) -> None:
        about = read_about(dataset)
        self.kind = str(about["kind"])
        self.parts: list[Labelled] = []
        names: list[str] = []
        for name in SPLITS if split == "all" else (split,):
            part = examples_split(dataset, name, about)
            if part is not None and len(part):
                self.parts.append(part)
                names += [name] * len(part)
        require_split(self.parts, split)
        rows = [row for part in self.parts for row in part.rows]
        ids = np.array([row["id"] for row in rows], np.int64)
        self._order = np.argsort(ids, kind="stable")
        self.ids = ids[self._order]
        self.rows = [rows[place] for place in self._order]
        self.splits = [names[place] for place in self._order]
        self.is_pairs = "text_pair" in rows[0]
        labels: dict[str, Any] | None = about.get("labels")
        #: Tags of words say nothing of a text as a whole.
        self.labels = labels if labels and labels.get("type") != "tags" else None

    def in_order(self, told: npt.NDArray[Any]) -> npt.NDArray[Any]:
        """What was told of the parts, one after the other, in the order of the examples."""
        return np.asarray(told[self._order])

    @property
    def grey(self) -> int:
        """How many of the images are grey: of each a byte is read."""
        found = 0
        for part in self.parts:
            with part.content.open("rb") as file:
                for row in part.rows:
                    file.seek(row["offset"] + PNG_COLOUR_TYPE)
                    found += file.read(1) == PNG_GREY
        return found

    @property
    def number_name(self) -> str | None:
        """What the number of the examples is called; None: they have none."""
        if not self.labels or self.labels.get("type") != "number":
            return None
        return str(self.labels["field"] or NUMBER)

    def truth(self, target: Target) -> Truth | None:
        if not self.labels:
            return None
        told: list[Value] = [_value(row.get("label")) for row in self.rows]
        return truth_of(told, target)

    def shown(self, place: int) -> dict[str, Any]:
        split = self.splits[place]
        return shown(self.kind, split, self.rows[place]) | {"split": split}


def require_split(parts: Sequence[Any], split: str) -> None:
    """Refuse data that have no examples of a split.

    Raises:
        TrainingError: ``split_missing``.
    """
    if not parts:
        name = "train" if split == "all" else split
        raise TrainingError("split_missing", field="split", split=name)


def _value(label: Any) -> Value:
    if label is None or isinstance(label, str):
        return label
    return float(label)
