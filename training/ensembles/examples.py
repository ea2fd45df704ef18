"""Labelled examples that members are shown: texts, images, rows of a table.

A further kind of data is a class here.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.labelled import Labelled, class_names, labelled_split, read_about
from training.data.table_features import read_features
from training.data.table_rows import Rows
from training.data.tables import read_columns, read_table
from training.data.tokenizers import tokenizer_of
from training.ensembles.members import Member, require_alike
from training.errors import TrainingError
from training.evaluation import baselines
from training.evaluation.classification import Probabilities, log_softmax
from training.evaluation.classification_report import Examples, without_a_model
from training.hashing import file_hash
from training.methods.task_related.wide_deep import class_target, rows_with_a_class
from training.predicting.inputs import inputs_for, network_outputs, statistics_for
from training.predicting.models import TableModel
from training.predicting.outputs import Progress
from training.predicting.overlap import fingerprints

SPLITS = ("train", "validation", "test")


class Shown(ABC):
    """Labelled examples of every split, for some members.

    Attributes:
        kind: Of the data.
        names: The classes, in the data's order.
        splits: Those that there are, by name.
        target: Of tables: the column that is predicted.
    """

    kind: str
    names: list[str]
    splits: Mapping[str, Any]
    target: str = ""

    def split(self, name: str) -> Examples:
        """A split.

        Raises:
            TrainingError: ``split_missing``.
        """
        if name not in self.splits:
            raise TrainingError("split_missing", field="data.path", split=name)
        found: Examples = self.splits[name]
        return found

    @abstractmethod
    def key(self, member: Member, split: str) -> dict[str, Any]:
        """All that a member's predictions depend on beside its weights, as JSON."""

    @abstractmethod
    def log_probabilities(
        self, member: Member, split: str, batch_size: int, progress: Progress
    ) -> npt.NDArray[np.float32]:
        """What a member says of a split, classes in its own order, [rows, classes]; TensorFlow is
        running."""

    @abstractmethod
    def baselines(self, split: str, seed: int) -> dict[str, Probabilities]:
        """What needs no members says of a split."""

    def fingerprints(self, split: str) -> set[str] | None:
        """Each example's content, hashed; None where examples of two data sets cannot be told to
        be the same."""
        return None


class Labels(Shown):
    """Texts or images."""

    def __init__(self, dataset: Path, about: dict[str, Any]) -> None:
        self.kind, self.names = str(about["kind"]), class_names(about)
        found = {name: labelled_split(dataset, name, about) for name in SPLITS}
        self.splits: dict[str, Labelled] = {name: one for name, one in found.items() if one}

    def key(self, member: Member, split: str) -> dict[str, Any]:
        found: dict[str, Any] = {
            "content": file_hash(self.splits[split].content),
            "rows": len(self.splits[split]),
            "config": member.checkpoint.config.model_dump(mode="json"),
            "inputs": member.inputs.model_dump(mode="json"),
        }
        if self.kind == "text":
            return found | {"tokenizer": tokenizer_of(member.checkpoint).sha256}
        mean, deviation = statistics_for(member.checkpoint)
        return found | {"mean": list(mean), "std": list(deviation)}

    def log_probabilities(
        self, member: Member, split: str, batch_size: int, progress: Progress
    ) -> npt.NDArray[np.float32]:
        examples, field = self.splits[split], f"members.{member.number - 1}.checkpoint"
        inputs = inputs_for(member.checkpoint, member.inputs, examples.rows, field)
        found = network_outputs(member.checkpoint, inputs, [examples], batch_size, progress)
        return log_softmax(found).astype(np.float32)

    def baselines(self, split: str, seed: int) -> dict[str, Probabilities]:
        train, scored = self.splits["train"], self.splits[split]
        return without_a_model(self.kind, train, scored, len(self.names), seed)

    def fingerprints(self, split: str) -> set[str] | None:
        return set(fingerprints(self.splits[split], self.kind))


class TableRows(Shown):
    """Rows of a table, for models of tables, each with columns of its own."""

    kind = "table"

    def __init__(self, dataset: Path, members: Sequence[Member]) -> None:
        self._dataset = dataset
        self._features = {}
        for member in members:
            if member.kind == "table":
                features = read_features(member.checkpoint.folder)
                self._features[member.number] = features
                self.target = self.target or features.target
                if features.target != self.target:
                    raise TrainingError(
                        "member_target_differs",
                        field=f"members.{member.number - 1}.checkpoint",
                        number=member.number,
                        found=features.target,
                        wanted=self.target,
                    )
        target = class_target(read_columns(dataset), self.target)
        self.names = list(target.categories)
        self.splits: dict[str, Rows] = {}
        first = next(iter(self._features.values()), None)
        for name in SPLITS:
            table = read_table(dataset, name)
            if table is None or first is None:
                continue
            # Rows without a class are left out alike by all that know the same classes.
            rows = rows_with_a_class(table, first)
            places = np.array(
                [self.names.index(one) if one in self.names else -1 for one in first.classes]
            )
            if len(rows):
                self.splits[name] = Rows(table, rows.places, rows.features, places[rows.labels])

    def key(self, member: Member, split: str) -> dict[str, Any]:
        return {
            "content": file_hash(self._dataset / f"{split}.parquet"),
            "columns": file_hash(self._dataset / "columns.json"),
            "table": file_hash(member.checkpoint.folder / "table.json"),
            "config": member.checkpoint.config.model_dump(mode="json"),
            "categories": "the model's",
        }

    def log_probabilities(
        self, member: Member, split: str, batch_size: int, progress: Progress
    ) -> npt.NDArray[np.float32]:
        model = TableModel(member.checkpoint)
        # By the member's own categories: other data may have fewer in training.
        given = model.given(self._dataset, split)
        (found,) = model.outputs(given, batch_size, progress)
        return log_softmax(found[self.splits[split].places]).astype(np.float32)

    def baselines(self, split: str, seed: int) -> dict[str, Probabilities]:
        from training.evaluation.table_baselines import table_baselines

        train, scored, classes = self.splits["train"], self.splits[split], len(self.names)
        return {
            **table_baselines(train.features, train.labels, scored.features, classes, seed),
            "majority": baselines.majority(train.labels, len(scored), classes),
        }


def read_shown(dataset: Path, members: Sequence[Member]) -> Shown:
    """The examples of a prepared data set, for members that read such and know its classes.

    Raises:
        TrainingError: ``dataset_without_labels``, ``split_missing``, ``member_of_other_data``,
            ``member_classes_differ``, ``member_target_differs``, ``table_*``.
    """
    shown: Shown
    if (dataset / "columns.json").is_file():
        require_alike(members, "table", members[0].classes)
        shown = TableRows(dataset, members)
    else:
        shown = Labels(dataset, read_about(dataset))
    require_alike(members, shown.kind, shown.names)
    shown.split("train")
    return shown
