"""Multi-task learning on the rows of a table: one network, a head for each target [0].

    h = trunk(row)        f_t = W_t h + b_t        L = Σ_t w_t L_t

Targets are classes (cross-entropy) or numbers (squared error in standard units). The first is the
*main* one, by which the run is judged; the others are there for what the trunk learns from them. A
row that lacks a label counts for the tasks whose label it has. Weights are fixed, or learned as the
tasks' uncertainty [1].

- [0] Caruana, 1997, "Multitask Learning", https://doi.org/10.1023/A:1007379606734
- [1] Kendall, Gal & Cipolla, 2018, https://arxiv.org/abs/1705.07115

Details people get wrong: a task with few labels must neither vanish in the batch nor be averaged
over rows that do not have it; the best weights are those of the main task's validation loss (a sum
over tasks with learned weights falls by the weights alone); numbers are standardised by those of
the training rows that have one.

The network over the columns is the deep part of Wide & Deep, and goes from one to the other.
``docs/methods/multi_task.md`` has the command and the figures that this rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from training.backbones.multi_task.config import MultiTaskConfig
from training.backbones.table_trunk.config import TableTrunkConfig
from training.data.table_features import Features, TableFeatures, find_features, read_features
from training.data.table_rows import Rows
from training.data.table_tasks import (
    TableTask,
    chosen_targets,
    find_task,
    like_source,
    read_tasks,
)
from training.data.tables import Table, TableColumn, read_columns, read_table
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.events import EventLog
from training.methods.contract import LoopMethod
from training.methods.task_related.multi_task_spec import (
    MultiTaskSpec,
    config_of_tasks,
    estimate_run,
    scratch_twin,
    single_task_twin,
)
from training.methods.task_related.table_spec import trunk_sizes
from training.weights.checkpoint import Checkpoint, read_checkpoint

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class TaskRows:
    """A split: its rows with a label of any task.

    Attributes:
        table: As it was read.
        places: Of those rows in the table, int64 [rows].
        features: What the model is shown of them.
        labels: Places of classes, or numbers in standard units; float32 [rows, tasks].
        present: Which of them there are, bool [rows, tasks].
    """

    table: Table
    places: npt.NDArray[np.int64]
    features: Features
    labels: npt.NDArray[np.float32]
    present: npt.NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.places)

    @property
    def left_out(self) -> int:
        """Rows of the table without any label."""
        return len(self.table) - len(self)

    def of(self, place: int, task: TableTask) -> Rows:
        """The rows with a label of one task: its classes, or its numbers in their own units."""
        chosen = np.flatnonzero(self.present[:, place])
        labels = self.labels[chosen, place]
        exact = task.in_units(labels.astype(np.float64))
        return Rows(
            self.table,
            self.places[chosen],
            self.features.chosen(chosen),
            exact if task.is_number else labels.astype(np.int64),
        )


class LoadedTasks:
    """Rows, features, tasks and configuration; see :class:`training.methods.contract.Loaded`.

    Args:
        spec: The run.
        out: Not needed: nothing is kept there.
        events: Not needed.
        splits: Which are read.

    Attributes:
        config: The model.
        source: The opened source, or None.
        features: How rows become what the model is shown.
        tasks: The main one first.
        afresh: Keys of the tasks whose heads the source does not have.
        splits: Those that there are, by name.
    """

    def __init__(
        self,
        spec: MultiTaskSpec,
        out: Path | None = None,
        events: EventLog | None = None,
        splits: Sequence[str] = SPLITS,
    ) -> None:
        self.spec = spec
        dataset = Path(spec.data.path)
        targets = chosen_targets(read_columns(dataset), spec.targets)
        if spec.only_main:
            targets = targets[:1]
        train = read_table(dataset, "train")
        if train is None or not len(train):
            raise TrainingError("split_missing", field="data.path", split="train")
        found = [
            find_task(train, column, f"tasks.{number}" if spec.tasks else "data.path")
            for number, column in enumerate(targets)
        ]
        self.source = read_checkpoint(Path(spec.source.checkpoint)) if spec.source else None
        like = self.source
        if spec.features.checkpoint:
            like = read_checkpoint(Path(spec.features.checkpoint))
        trunk: TableTrunkConfig | dict[str, Any]
        known: Sequence[TableTask] = ()
        if like is not None:
            METHOD.require_trained(like.config)
            trunk, self.features = _like(like, train, targets[0])
            known = read_tasks(like.folder)
        else:
            self.features = find_features(
                train,
                targets[0],
                buckets=1,
                pieces=spec.features.pieces,
                crosses=[],
                most=1,
                least=1,
            )
            sizes = trunk_sizes(self.features)
            embeddings = spec.network.widths(sizes["categories"])
            trunk = sizes | {"embeddings": embeddings, "hidden": spec.network.hidden}
        matched = [like_source(one, known) for one in found]
        self.tasks = tuple(task for task, _kept in matched)
        self.afresh = [task.key for task, kept in matched if not kept]
        self.config: MultiTaskConfig = config_of_tasks(
            trunk,
            [(one.key, one.outputs) for one in self.tasks],
            learned=spec.training.weighting == "uncertainty",
        )
        self.splits: dict[str, TaskRows] = {}
        for name in splits:
            self._read_split(name, train if name == "train" else read_table(dataset, name))

    def _read_split(self, name: str, table: Table | None) -> None:
        rows = rows_with_labels(table, self.features, self.tasks) if table is not None else None
        if rows is not None and len(rows):
            self.splits[name] = rows
        elif name in ("train", "validation"):
            raise TrainingError("split_missing", field="data.path", split=name)
        if name == "validation" and not self.splits[name].present[:, 0].any():
            raise TrainingError(
                "task_without_labels",
                field="tasks.0" if self.spec.tasks else "data.path",
                column=self.tasks[0].name,
                split=name,
            )

    @property
    def width(self) -> int:
        return 0  # its products are small

    def needed_memory(self) -> int:
        return estimate_run(self.spec, self.config).memory_bytes

    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        """The model with its starting weights, within the strategy's scope."""
        from training.methods.task_related.multi_task_task import MultiTaskTask

        return MultiTaskTask(self, compute_dtype, strategy, events)


def _like(
    source: Checkpoint, train: Table, main: TableColumn
) -> tuple[TableTrunkConfig | dict[str, Any], TableFeatures]:
    """A source's network, with rows for what is new, and its features with the same."""
    config = source.config
    assert isinstance(config, TableTrunkConfig)
    if getattr(config, "parts", "both") == "wide":
        raise TrainingError("source_without_trunk", field="source.checkpoint")
    known = replace(read_features(source.folder), crosses=())
    found = known.extended(train, most=1, least=1)
    features = replace(found, target=main.name, classes=main.categories)
    return config.model_dump() | trunk_sizes(features), features


def rows_with_labels(table: Table, features: TableFeatures, tasks: Sequence[TableTask]) -> TaskRows:
    """The rows that have a label of any task, and what the model is shown of them."""
    found = [one.labels(table) for one in tasks]
    labels = np.stack([values for values, _present in found], 1)
    present = np.stack([there for _values, there in found], 1)
    chosen = np.flatnonzero(present.any(1))
    shown = features.of(table).chosen(chosen)
    return TaskRows(table, chosen, shown, labels[chosen], present[chosen])


def _model_of_data(spec: MultiTaskSpec) -> MultiTaskConfig:
    """The model that a run will train; reads the training rows."""
    return LoadedTasks(spec, splits=()).config


METHOD: Final = LoopMethod(
    name="multi_task",
    family="task_related",
    title=_("Multi-task learning"),
    summary=_(
        "Predict several targets of a table with one network, classes and numbers, so that what "
        "one teaches serves the others."
    ),
    data=("table",),
    backbones=("multi_task", "wide_deep"),
    settings=MultiTaskSpec,
    example={"data": {"path": "DATASET"}},
    checkpoints=("source.checkpoint", "features.checkpoint"),
    load=LoadedTasks,
    twin=scratch_twin,
    single=single_task_twin,
    estimate=estimate_run,
    model_of_data=_model_of_data,
)
