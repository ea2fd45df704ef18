"""Examples with a number: what the loop trains for :mod:`.regression`."""

from __future__ import annotations

from collections.abc import Mapping
from math import sqrt
from typing import Any

import numpy as np
import tensorflow as tf

from training.evaluation.number_baselines import without_a_model
from training.evaluation.regression import regression_report
from training.events import EventLog
from training.fine_tuning.task import FineTuningTask
from training.methods.contract import Batch


class RegressionTask(FineTuningTask):
    """See :class:`training.fine_tuning.task.FineTuningTask`.

    In a batch, labels are numbers in standard units, float32 [batch], and so is what the model
    says while it is trained.
    """

    label_dtype = np.float32
    told = ("loss", "rmse", "mae")

    def begin(self) -> None:
        """A head that came from a source answers in units; here it does in standard ones."""
        for name in self._kept_head():
            variable = self.model.named_variables[name]
            variable.assign(self.loaded.scale.unfolded(np.array(variable.value)))

    def _kept_head(self) -> set[str]:
        """The last layer's tensors that came whole from the source."""
        rows = self.plan.rows if self.plan is not None else []
        whole = {row.target for row in rows if row.copied == row.parameters}
        return whole & set(self.loaded.config.label_head)

    # --- training and scores -----------------------------------------------------------------

    def arrays(self, split: str, rows: Any, random: np.random.Generator | None = None) -> Batch:
        *arrays, _numbers, mask = super().arrays(split, rows, random)
        labels = self.loaded.scale.standard(self.loaded.splits[split].labels[rows])
        return (*arrays, labels.astype(np.float32), mask)

    def losses(self, said: Any, labels: Any) -> Any:
        errors = said[:, 0] - labels
        if self.spec.training.loss == "squared":
            return tf.square(errors)
        far = tf.abs(errors)
        return tf.where(far > 1, 2 * far - 1, tf.square(errors))

    def scores(self, parts: Any) -> dict[str, Any]:
        *arrays, labels, mask = parts
        said = self.logits(arrays)
        errors = said[:, 0] - labels
        return {
            "loss": tf.reduce_sum(self.losses(said, labels) * mask),
            "squares": tf.reduce_sum(tf.square(errors) * mask),
            "distances": tf.reduce_sum(tf.abs(errors) * mask),
            "examples": tf.reduce_sum(mask),
        }

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Mean loss in standard units; RMSE and mean absolute error in the numbers'; examples."""
        examples, deviation = sums["examples"], self.loaded.scale.deviation
        return {
            "loss": sums["loss"] / examples,
            "rmse": deviation * sqrt(sums["squares"] / examples),
            "mae": deviation * sums["distances"] / examples,
            "examples": int(examples),
        }

    def look(self, scores: Mapping[str, float]) -> dict[str, float]:
        return {"validation_loss": scores["loss"], "validation_rmse": scores["rmse"]}

    # --- the result --------------------------------------------------------------------------

    def scored(self, split: str, events: EventLog) -> dict[str, Any]:
        loaded, seed = self.loaded, self.spec.seed
        scored, train = loaded.splits[split], loaded.splits["train"]
        predicted = {"model": loaded.scale.in_units(self.outputs(split, events)[:, 0])}
        events.emit("phase", name="evaluating", fraction=None, detail="baselines")
        predicted |= without_a_model(loaded.kind, train, scored, seed)
        return {
            "target": loaded.names[0],
            **regression_report(loaded.kind, split, train, scored, predicted, seed),
        }

    def told_of_labels(self) -> dict[str, Any]:
        scale = self.loaded.scale
        return {
            "target": {
                "name": self.loaded.names[0],
                "mean": scale.mean,
                "deviation": scale.deviation,
            }
        }

    def finished(self, tensors: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Its last layer answers in the numbers' own units."""
        head = set(self.loaded.config.label_head)
        # What a plan froze stays to the bit: there and back again is a rounding away.
        untouched = (head & self._kept_head()) - {
            name for phase in self.phases for name in phase.names
        }
        source = self.loaded.source.tensors() if untouched else {}
        folded = {
            name: np.asarray(source[name])
            if name in untouched
            else self.loaded.scale.folded(tensors[name])
            for name in head
        }
        return tensors | folded
