"""The targets of a table as tasks: their classes, or how a number is standardised.

They stand in the checkpoint's ``table.json`` beside the columns. Classes, mean and deviation are
those of the training rows that have a label; a source's, where it has the same target.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from training.data.table_features import TABLE_FILE, TableFeatures
from training.data.tables import NO_CLASS, Table, TableColumn, TargetValues
from training.durable import json_bytes
from training.errors import TrainingError

Values = npt.NDArray[np.float32]
Mask = npt.NDArray[np.bool_]

_PLAIN = re.compile(r"^[A-Za-z0-9_-]{1,40}$")


@dataclass(frozen=True)
class TableTask:
    """One target.

    Attributes:
        name: Of its column.
        classes: In the order of the outputs; empty: it is a number.
        mean: Of a number's labels in the training rows.
        deviation: The same; 1 for classes.
    """

    name: str
    classes: tuple[str, ...] = ()
    mean: float = 0.0
    deviation: float = 1.0

    @property
    def is_number(self) -> bool:
        return not self.classes

    @property
    def type(self) -> str:
        """``number`` or ``category``."""
        return "number" if self.is_number else "category"

    @property
    def key(self) -> str:
        return task_key(self.name)

    @property
    def outputs(self) -> int:
        """Of its head."""
        return 1 if self.is_number else len(self.classes)

    def labels(self, table: Table) -> tuple[Values, Mask]:
        """What is to be predicted in each row, and where there is something.

        Returns:
            float32 [rows]: the place of the class, or the number in standard units, 0 where there
            is none; bool [rows].
        """
        target = target_of(table, self.name)
        if self.is_number:
            values = (target.values.astype(np.float64) - self.mean) / self.deviation
            return np.where(target.present, values, 0).astype(np.float32), target.present
        places = {name: place for place, name in enumerate(self.classes)}
        ours = np.array([places.get(one, NO_CLASS) for one in target.column.categories], np.int64)
        found = ours[np.maximum(target.values.astype(np.int64), 0)]
        present = target.present & (found >= 0)
        return np.where(present, found, 0).astype(np.float32), present

    def in_units(self, standard: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
        """Numbers in standard units as the column has them."""
        return np.asarray(standard * self.deviation + self.mean)


def task_key(name: str) -> str:
    """What the tensors and curves of a target are called: its name, where that is a plain word.

    Other names keep their plain letters and get a mark that tells them from each other.
    """
    if _PLAIN.match(name):
        return name
    plain = re.sub(r"[^A-Za-z0-9_-]+", "_", name)[:30].strip("_")
    mark = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{plain}-{mark}" if plain else mark


def target_of(table: Table, name: str) -> TargetValues:
    """A target's values in a table's rows."""
    return next(one for one in table.targets if one.column.name == name)


def chosen_targets(columns: Sequence[TableColumn], wanted: Sequence[str]) -> list[TableColumn]:
    """The targets that are learned, the main one first.

    Args:
        columns: Of the table.
        wanted: Their names; empty: all, in the table's order.

    Raises:
        TrainingError: ``table_without_target``, ``table_target_unknown``.
    """
    targets = {one.name: one for one in columns if one.is_target}
    if not targets:
        raise TrainingError("table_without_target", field="data.path")
    for number, name in enumerate(wanted):
        if name not in targets:
            raise TrainingError(
                "table_target_unknown",
                field=f"tasks.{number}",
                column=name,
                known=", ".join(targets),
            )
    return [targets[name] for name in wanted] if wanted else list(targets.values())


def find_task(train: Table, column: TableColumn, field: str) -> TableTask:
    """A target as the training rows show it.

    Args:
        train: The training rows.
        column: The target.
        field: Of the spec, which a refusal names.

    Raises:
        TrainingError: ``task_without_labels``, ``table_target_constant``,
            ``table_target_one_class``.
    """
    target = target_of(train, column.name)
    found = target.values[target.present]
    if not len(found):
        raise TrainingError("task_without_labels", field=field, column=column.name, split="train")
    if column.type == "number":
        exact = found.astype(np.float64)
        if exact.min() == exact.max():
            raise TrainingError(
                "table_target_constant", field=field, column=column.name, value=f"{exact[0]:g}"
            )
        return TableTask(column.name, (), float(exact.mean()), float(exact.std()))
    if len(np.unique(found)) < 2:
        raise TrainingError(
            "table_target_one_class",
            field=field,
            column=column.name,
            value=column.categories[int(found[0])],
            rows=len(found),
        )
    return TableTask(column.name, column.categories)


def like_source(task: TableTask, known: Sequence[TableTask]) -> tuple[TableTask, bool]:
    """A target in the order of outputs and the units that a source has of it.

    Returns:
        It, and whether the source's head is its own: the same name with the very same classes, or
        a number in both.
    """
    for one in known:
        same = sorted(one.classes) == sorted(task.classes)
        if one.name == task.name and same:
            return one, True
    return task, False


def tasks_to_json(tasks: Sequence[TableTask]) -> list[dict[str, Any]]:
    """As ``table.json`` has them."""
    return [
        {"name": one.name, "classes": list(one.classes)}
        if one.classes
        else {"name": one.name, "mean": one.mean, "deviation": one.deviation}
        for one in tasks
    ]


def write_table(folder: Path, features: TableFeatures, tasks: Sequence[TableTask]) -> None:
    """Write ``table.json`` into a checkpoint's folder: the columns, and the tasks beside them."""
    told = features.to_json() | {"tasks": tasks_to_json(tasks)}
    (folder / TABLE_FILE).write_bytes(json_bytes(told))


def read_tasks(folder: Path) -> tuple[TableTask, ...]:
    """The tasks of a checkpoint's ``table.json``; none: it is a model of another kind.

    Raises:
        TrainingError: ``checkpoint_without_table``.
    """
    try:
        told: Mapping[str, Any] = json.loads((folder / TABLE_FILE).read_bytes())
        return tuple(
            TableTask(
                str(one["name"]),
                tuple(map(str, one.get("classes", ()))),
                float(one.get("mean", 0.0)),
                float(one.get("deviation", 1.0)),
            )
            for one in told.get("tasks", ())
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise TrainingError("checkpoint_without_table", field="source.checkpoint") from error
