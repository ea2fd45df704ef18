"""Examples of classes: what the loop trains for :mod:`.classification`."""

from __future__ import annotations

from typing import Any

import numpy as np

from training.evaluation.classification import softmax
from training.evaluation.classification_report import classification_report, without_a_model
from training.events import EventLog
from training.fine_tuning.task import FineTuningTask
from training.methods.examples_task import ClassesTask


class ClassifierTask(FineTuningTask, ClassesTask):
    """See :class:`training.fine_tuning.task.FineTuningTask`; labels are classes, int32 [batch]."""

    label_dtype = np.int32

    def losses(self, said: Any, labels: Any) -> Any:
        import tensorflow as tf

        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=said)

    def scored(self, split: str, events: EventLog) -> dict[str, Any]:
        loaded, names, seed = self.loaded, self.loaded.names, self.spec.seed
        scored, train = loaded.splits[split], loaded.splits["train"]
        predicted = {"model": softmax(self.outputs(split, events))}
        events.emit("phase", name="evaluating", fraction=None, detail="baselines")
        predicted |= without_a_model(loaded.kind, train, scored, len(names), seed)
        return classification_report(loaded.kind, split, train, scored, names, predicted, seed)

    def told_of_labels(self) -> dict[str, Any]:
        return {"classes": self.loaded.names}
