"""Several targets of a table's rows: what the loop trains for :mod:`.multi_task`."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp, sqrt
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import tensorflow as tf

from training.backbones.multi_task.model import MultiTask
from training.data.order import rows_of_batch
from training.data.table_features import Features
from training.data.table_rows import Rows
from training.data.table_tasks import TableTask, tasks_to_json, write_table
from training.data.tables import FIRST
from training.engine.phases import Phase, one_phase
from training.evaluation import baselines
from training.evaluation.classification import softmax
from training.evaluation.classification_report import classification_report
from training.evaluation.regression import regression_report
from training.evaluation.table_baselines import number_baselines, table_baselines
from training.events import EventLog
from training.methods.contract import Batch
from training.methods.examples_task import ExamplesTask
from training.methods.task_related.multi_task_loss import row_losses, row_weights, weigh
from training.predicting.outputs import table_outputs
from training.report import describe_dataset
from training.weights.carrying import plan_from, start_weights

if TYPE_CHECKING:
    from training.methods.task_related.multi_task import LoadedTasks


class MultiTaskTask(ExamplesTask):
    """See :class:`training.methods.contract.Task`.

    A batch is numbers, codes, labels float32 [B, tasks], what each label counts float32 [B, tasks],
    and the mask float32 [B].
    """

    told = ("loss", "accuracy", "rmse")

    def __init__(
        self, loaded: LoadedTasks, compute_dtype: str, strategy: Any, events: EventLog
    ) -> None:
        self.loaded, self.spec = loaded, loaded.spec
        events.emit("phase", name="building", fraction=None, detail="")
        with strategy.scope():
            self.model = MultiTask(loaded.config, compute_dtype, self.spec.training.dropout)
        self.is_number = [one.is_number for one in loaded.tasks]
        self.weights = [self.spec.weight_of(one.name) for one in loaded.tasks]
        afresh = list(self.spec.source.reinitialise) if self.spec.source is not None else []
        afresh += loaded.config.heads_of(loaded.afresh)
        self.plan = plan_from(loaded.source, loaded.config, afresh)
        self.weights_event = start_weights(
            self.plan,
            loaded.source,
            self._random(),
            events,
            load=self.model.load_named,
            named=self.model.named,
        )
        self.phases = one_phase(self.model.trainable_names())
        count = loaded.config.parameter_count()
        self.parameters = {"total": count, "trainable": count}
        has_main = loaded.splits["train"].present[:, 0]
        self._with_main = np.flatnonzero(has_main)
        self._others = np.flatnonzero(~has_main)
        #: Rows with the main target first: a look that takes a part of a split has some of them.
        self._main_first = {
            name: np.argsort(~one.present[:, 0], kind="stable")
            for name, one in loaded.splits.items()
        }

    @property
    def main(self) -> TableTask:
        """The task by which the run is judged."""
        return self.loaded.tasks[0]

    def _random(self) -> dict[str, np.ndarray]:
        """Weights without a source."""
        from training.weights.initial import initial_weights

        found = dict(initial_weights(self.loaded.config, self.spec.seed))
        for name, value in found.items():
            if name.startswith("deep.embedding."):
                # No training row is unseen: what stands for it stays as it is, and says nothing.
                value[:FIRST] = 0
        return found

    # --- training ------------------------------------------------------------------------------

    def arrays(self, split: str, rows: Any) -> Batch:
        one = self.loaded.splits[split]
        places = self._main_first[split][rows]
        return self._arrays(split, places, one.present[places].astype(np.float32))

    def _arrays(self, split: str, places: Any, counts: np.ndarray) -> Batch:
        one = self.loaded.splits[split]
        numbers, _buckets, codes, _crosses = one.features.take(places)
        return numbers, codes, one.labels[places], counts, np.ones(len(places), np.float32)

    def batch(self, index: int) -> Batch:
        seed, size = self.spec.seed, self.spec.training.batch_size
        first = self._main_rows
        if first is None:
            rows = rows_of_batch(seed, index, size, len(self.loaded.splits["train"]))
        else:
            rows = np.concatenate(
                [
                    self._with_main[rows_of_batch(seed, index, first, len(self._with_main))],
                    self._others[rows_of_batch(seed, index, size - first, len(self._others))],
                ]
            )
        present = self.loaded.splits["train"].present[rows]
        return self._arrays("train", rows, row_weights(present))

    @property
    def _main_rows(self) -> int | None:
        """Rows of a batch that are drawn from those with the main target; None: as they come."""
        share, size = self.spec.training.main_share, self.spec.training.batch_size
        count = len(self.loaded.splits["train"])
        if not len(self._others) or len(self._with_main) >= share * count or size < 2:
            return None
        return min(size - 1, max(1, round(share * size)))

    def epoch(self, sequences: int) -> tuple[int, int]:
        """Of the rows with the main target, where they are drawn apart."""
        if self._main_rows is None:
            return super().epoch(sequences)
        seen = sequences // self.spec.training.batch_size * self._main_rows
        return divmod(seen, len(self._with_main))

    def gradients(
        self, parts: Any, seed: Any, variables: list[Any], phase: Phase
    ) -> tuple[Any, Any, list[Any]]:
        """Summed loss, rows, and gradients of the sum; to be traced.

        Args:
            parts: A batch.
            seed: int32 [2], for dropout.
            variables: What to differentiate by.
            phase: Which part of the run; there is only one.
        """
        numbers, codes, labels, counts, mask = parts
        with tf.GradientTape(watch_accessed_variables=False) as tape:
            tape.watch(variables)
            said = self.model((numbers, codes), training=True, seed=seed)
            losses = row_losses(said, labels, self.is_number)
            weighed = weigh(losses, self.is_number, self.weights, self.model.log_variances())
            loss = tf.reduce_sum(weighed * counts * mask[:, None])
        return loss, tf.reduce_sum(mask), tape.gradient(loss, variables)

    # --- scores --------------------------------------------------------------------------------

    def scores(self, parts: Any) -> dict[str, Any]:
        numbers, codes, labels, counts, mask = parts
        said = self.model((numbers, codes), training=False)
        losses = row_losses(said, labels, self.is_number)
        there = counts * mask[:, None]
        found: dict[str, Any] = {}
        for place, task in enumerate(self.loaded.tasks):
            found[f"loss.{task.key}"] = tf.reduce_sum(losses[:, place] * there[:, place])
            found[f"examples.{task.key}"] = tf.reduce_sum(there[:, place])
        if not self.main.is_number:
            told = tf.cast(tf.argmax(said[0], -1), tf.float32)
            right = tf.cast(told == labels[:, 0], tf.float32)
            found["right"] = tf.reduce_sum(right * there[:, 0])
        return found

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """The main task's mean loss, accuracy or RMSE, and rows; ``loss.KEY`` of the others."""
        means = {
            task.key: sums[f"loss.{task.key}"] / sums[f"examples.{task.key}"]
            for task in self.loaded.tasks
            if sums[f"examples.{task.key}"]
        }
        main = self.main.key
        if main not in means:
            return {}
        examples = sums[f"examples.{main}"]
        found = {"loss": means.pop(main), "examples": int(examples)}
        if self.main.is_number:
            found["rmse"] = self.main.deviation * sqrt(found["loss"])
        else:
            found["accuracy"] = sums["right"] / examples
        return found | {f"loss.{key}": loss for key, loss in means.items()}

    def look(self, scores: Mapping[str, float]) -> dict[str, float]:
        found = {"validation_loss": scores["loss"]}
        if "accuracy" in scores:
            found["validation_accuracy"] = scores["accuracy"]
        for name, value in scores.items():
            if name.startswith("loss."):
                found[f"validation_{name}"] = value
        for key, value in self.noises().items():
            found[f"validation_noise.{key}"] = value
        return found

    def noises(self) -> dict[str, float]:
        """log σ² of each task as it is now; empty where the weights are fixed."""
        values = self.model.log_variances()
        if not values:
            return {}
        keys = self.loaded.config.tasks
        return {key: float(value) for key, value in zip(keys, values, strict=True)}

    # --- the result ----------------------------------------------------------------------------

    def report(self, events: EventLog) -> dict[str, Any]:
        """Scores of each task on what it never saw, the main one's beside what it must beat."""
        loaded = self.loaded
        told = {name: outputs(self.model, one.features) for name, one in self._scored().items()}
        noises = self.noises()
        tasks = []
        for place, task in enumerate(loaded.tasks):
            events.emit(
                "phase", name="evaluating", fraction=place / len(loaded.tasks), detail=task.name
            )
            found: dict[str, Any] = {
                "target": task.name,
                "key": task.key,
                "type": task.type,
                "labelled": {
                    name: int(one.present[:, place].sum()) for name, one in loaded.splits.items()
                },
            }
            if task.key in noises:
                found["log_variance"] = noises[task.key]
                found["weight"] = exp(-noises[task.key]) * (0.5 if task.is_number else 1)
            else:
                found["weight"] = self.weights[place]
            tasks.append(found | self._scores_of(place, task, told))
        return {
            "data": describe_dataset(Path(self.spec.data.path)),
            "weighting": self.spec.training.weighting,
            "left_out": {name: one.left_out for name, one in loaded.splits.items()},
            "tasks": tasks,
        }

    def _scored(self) -> dict[str, Any]:
        """The splits that a report looks at, the better one first."""
        splits = self.loaded.splits
        return {name: splits[name] for name in ("test", "validation") if name in splits}

    def _scores_of(
        self, place: int, task: TableTask, told: Mapping[str, list[np.ndarray]]
    ) -> dict[str, Any]:
        """Of one task; nothing where no row that training never saw has its label."""
        seed, splits = self.spec.seed, self.loaded.splits
        split = next((name for name in told if splits[name].present[:, place].any()), None)
        if split is None:
            return {}
        train, scored = splits["train"].of(place, task), splits[split].of(place, task)
        said = told[split][place][splits[split].present[:, place]]
        is_main = place == 0
        if task.is_number:
            return regression_report(
                "table",
                split,
                train,
                scored,
                _numbers(task, said, train, scored, seed, is_main),
                seed,
            )
        predicted = {"model": softmax(said)}
        classes = len(task.classes)
        if is_main:
            predicted |= table_baselines(
                train.features, train.labels, scored.features, classes, seed
            )
        predicted["majority"] = baselines.majority(train.labels, len(scored), classes)
        return classification_report("table", split, train, scored, task.classes, predicted, seed)

    def write(
        self, folder: Path, best: Mapping[str, np.ndarray], about: dict[str, Any]
    ) -> dict[str, Any]:
        """Write ``checkpoint/``, with ``table.json``: what its columns, rows and heads mean."""
        from training.weights.checkpoint import write_checkpoint

        loaded, source = self.loaded, self.loaded.source
        about = {
            "method": self.spec.method,
            "parents": [source.weights_sha256] if source else [],
            "data": describe_dataset(Path(self.spec.data.path)),
            "tasks": tasks_to_json(loaded.tasks),
            **about,
        }

        def extras(where: Path) -> None:
            write_table(where, loaded.features, loaded.tasks)

        tensors = self.model.named() | dict(best)
        return write_checkpoint(folder, loaded.config, tensors, None, about, extras=extras)


def _numbers(
    task: TableTask, said: np.ndarray, train: Rows, scored: Rows, seed: int, is_main: bool
) -> dict[str, Any]:
    """Predictions of a number in its own units: the model's, and what stands beside it."""
    found = {"model": task.in_units(said[:, 0])}
    if is_main:
        found |= number_baselines(train.features, train.labels, scored.features, seed)
    return found | {"mean": np.full(len(scored), train.labels.mean())}


def outputs(model: MultiTask, features: Features) -> list[np.ndarray]:
    """What each head says, float64 [rows, outputs]."""
    return table_outputs(lambda rows: model((rows[0], rows[2]), training=False), features)
