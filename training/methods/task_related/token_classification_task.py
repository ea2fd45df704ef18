"""Sentences whose words have tags: what the loop trains for :mod:`.token_classification`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from training.evaluation.classification import softmax
from training.evaluation.tag_baselines import without_a_model
from training.evaluation.tagging import Sentences, tagging_report
from training.events import EventLog
from training.fine_tuning.task import FineTuningTask
from training.methods.contract import Batch
from training.methods.examples_task import ClassesTask


class TokenTask(FineTuningTask, ClassesTask):
    """See :class:`training.fine_tuning.task.FineTuningTask`.

    In a batch, labels are tags, int32 [batch, time], and the mask is 1 at the first piece of each
    word and 0 elsewhere.
    """

    label_dtype = np.int32
    counts = "words"
    PEFT_TASK = "TOKEN_CLS"

    def arrays(self, split: str, rows: Any, random: np.random.Generator | None = None) -> Batch:
        return tuple(self.loaded.inputs.aligned(self.loaded.splits[split], rows))

    def losses(self, said: Any, labels: Any) -> Any:
        import tensorflow as tf

        return tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=said)

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Mean loss in nats per word, accuracy, words."""
        found = super().summarise(sums)
        return {**found, "words": found.pop("examples")}

    def scored(self, split: str, events: EventLog) -> dict[str, Any]:
        loaded, seed = self.loaded, self.spec.seed
        train, scored = self._sentences("train"), self._sentences(split)
        predicted = {"model": softmax(self.outputs(split, events))}
        events.emit("phase", name="evaluating", fraction=None, detail="baselines")
        predicted |= without_a_model(train, scored, len(loaded.names), seed)
        report = tagging_report(split, train, scored, loaded.names, loaded.scheme, predicted, seed)
        return {**report, "unseen": loaded.unseen}

    def _sentences(self, split: str) -> Sentences:
        """A split as far as it is seen."""
        loaded = self.loaded
        examples, seen = loaded.splits[split], loaded.seen[split]
        return Sentences(
            ids=[row["id"] for row in examples.rows],
            words=[
                [word for word, there in zip(row["words"], here, strict=True) if there]
                for row, here in zip(examples.rows, seen, strict=True)
            ],
            tags=loaded.seen_labels(split),
        )

    def told_of_labels(self) -> dict[str, Any]:
        return {"tags": self.loaded.names}
