"""Wide & Deep: a linear part that remembers, and a network that generalises, trained together [0].

    p(y | x) = softmax( bias + W_wide [x, φ(x)] + W_deep a(x) )        φ: crosses, a: the network

The wide part has a weight for each bucket, category and combination of crossed columns, and is
trained by FTRL [1], the deep part by AdaGrad [2] or AdamW: both at every step, by the one loss of
their sum. (Two models trained apart and averaged would each have to be whole; here the wide part
only mends what the deep part misses.)

- [0] Cheng et al., 2016, "Wide & Deep Learning for Recommender Systems",
  https://arxiv.org/abs/1606.07792
- [1] McMahan et al., 2013, https://doi.org/10.1145/2487575.2488200
- [2] Duchi, Hazan & Singer, 2011, https://jmlr.org/papers/v12/duchi11a.html

Details people get wrong: crosses go to the wide part alone; buckets, means and categories are those
of the training rows; a missing value and a category never seen have rows of their own, and a model
meets both later; rows of a source's weights belong to names, and not to places.

``docs/methods/wide_deep.md`` has the command and the figures that this rests on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import numpy as np

from training.backbones.wide_deep.config import WideDeepConfig
from training.data.table_features import TableFeatures, find_features, read_features
from training.data.table_rows import Rows
from training.data.tables import (
    NO_CLASS,
    Table,
    TableColumn,
    read_columns,
    read_table,
)
from training.errors import TrainingError
from training.errors import gettext_noop as _
from training.events import EventLog
from training.methods.contract import LoopMethod
from training.methods.task_related.wide_deep_spec import (
    WideDeepSpec,
    config_like,
    config_of_sizes,
    estimate_run,
    scratch_twin,
    sizes_of,
)
from training.weights.checkpoint import Checkpoint, read_checkpoint

SPLITS = ("train", "validation", "test")


class LoadedTable:
    """Rows, features and configuration; see :class:`training.methods.contract.Loaded`.

    Args:
        spec: The run.
        out: Not needed: nothing is kept there.
        events: Not needed.
        splits: Which are read.

    Attributes:
        config: The model.
        source: The opened source, or None.
        features: How rows become what the model is shown.
        keeps_head: Whether the source tells the very same classes apart.
        splits: Those that there are, by name.
    """

    def __init__(
        self,
        spec: WideDeepSpec,
        out: Path | None = None,
        events: EventLog | None = None,
        splits: Sequence[str] = SPLITS,
    ) -> None:
        self.spec = spec
        dataset = Path(spec.data.path)
        target = class_target(read_columns(dataset), spec.target)
        train = read_table(dataset, "train")
        if train is None or not len(train):
            raise TrainingError("split_missing", field="data.path", split="train")
        self.source = read_checkpoint(Path(spec.source.checkpoint)) if spec.source else None
        like = self.source
        if spec.features.checkpoint:
            like = read_checkpoint(Path(spec.features.checkpoint))
        self.keeps_head = False
        if like is not None:
            METHOD.require_trained(like.config)
            self.features, self.keeps_head = _like(like, train, target, spec)
            assert isinstance(like.config, WideDeepConfig)
            self.config = config_like(like.config, self.features)
        else:
            self.features = find_features(
                train,
                target,
                buckets=spec.features.buckets,
                pieces=spec.features.pieces,
                crosses=spec.features.crosses,
                most=spec.features.cross_rows,
                least=spec.features.cross_examples,
            )
            sizes = sizes_of(self.features)
            classes = sizes.pop("num_classes")
            self.config = config_of_sizes(spec.network, **sizes, classes=classes)
        self.splits: dict[str, Rows] = {}
        for name in splits:
            table = train if name == "train" else read_table(dataset, name)
            rows = rows_with_a_class(table, self.features) if table is not None else None
            if rows is not None and len(rows):
                self.splits[name] = rows
            elif name in ("train", "validation"):
                raise TrainingError("split_missing", field="data.path", split=name)

    @property
    def names(self) -> list[str]:
        """The classes."""
        return list(self.features.classes)

    @property
    def width(self) -> int:
        return 0  # its products are small

    def needed_memory(self) -> int:
        return estimate_run(self.spec, self.config).memory_bytes

    def build(self, *, compute_dtype: str, fused: bool, strategy: Any, events: EventLog) -> Any:
        """The model with its starting weights, within the strategy's scope."""
        from training.methods.task_related.wide_deep_task import WideDeepTask

        return WideDeepTask(self, compute_dtype, strategy, events)


def class_target(columns: Sequence[TableColumn], wanted: str) -> TableColumn:
    """The target that is predicted.

    Args:
        columns: Of the table.
        wanted: Its name; empty: the first with classes.

    Raises:
        TrainingError: ``table_without_target``, ``table_target_unknown``, ``table_target_number``.
    """
    targets = {one.name: one for one in columns if one.is_target}
    if not targets:
        raise TrainingError("table_without_target", field="data.path")
    if wanted and wanted not in targets:
        raise TrainingError(
            "table_target_unknown", field="target", column=wanted, known=", ".join(targets)
        )
    chosen = [targets[wanted]] if wanted else list(targets.values())
    for one in chosen:
        if one.type == "category":
            return one
    raise TrainingError(
        "table_target_number", field="target" if wanted else "data.path", column=chosen[0].name
    )


def _like(
    source: Checkpoint, train: Table, target: TableColumn, spec: WideDeepSpec
) -> tuple[TableFeatures, bool]:
    """A source's features with rows for what is new, and whether its classes are the target's."""
    known = read_features(source.folder)
    found = known.extended(train, most=spec.features.cross_rows, least=spec.features.cross_examples)
    keeps = sorted(known.classes) == sorted(target.categories)
    classes = known.classes if keeps else target.categories
    return replace(found, target=target.name, classes=classes), keeps


def rows_with_a_class(table: Table, features: TableFeatures) -> Rows:
    """The rows whose class the model knows, and what it is shown of them."""
    (values,) = (one for one in table.targets if one.column.name == features.target)
    places = {name: place for place, name in enumerate(features.classes)}
    ours = np.array([places.get(name, NO_CLASS) for name in values.column.categories], np.int64)
    labels = np.where(values.present, ours[np.maximum(values.values.astype(np.int64), 0)], NO_CLASS)
    chosen = np.flatnonzero(labels >= 0)
    return Rows(table, chosen, features.of(table).chosen(chosen), labels[chosen])


def _model_of_data(spec: WideDeepSpec) -> WideDeepConfig:
    """The model that a run will train; reads the training rows."""
    return LoadedTable(spec, splits=()).config


METHOD: Final = LoopMethod(
    name="wide_deep",
    family="task_related",
    title=_("Wide & Deep"),
    summary=_(
        "Tell the rows of a table apart: a linear model over categories and their crosses, and a "
        "network over embeddings, trained together."
    ),
    data=("table",),
    backbones=("wide_deep",),
    settings=WideDeepSpec,
    example={"data": {"path": "DATASET"}},
    checkpoints=("source.checkpoint", "features.checkpoint"),
    load=LoadedTable,
    twin=scratch_twin,
    estimate=estimate_run,
    model_of_data=_model_of_data,
)
