"""What tasks share that learn from examples, each by itself, and those that tell classes apart."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from training.data.order import spread_batches
from training.methods.contract import Batch, Task


class ExamplesTask(Task):
    """Examples of splits, taken by their places.

    Attributes:
        loaded: Has ``splits``, by name; each has a length.
        spec: The run.
    """

    counts: Literal["tokens", "examples", "words"] = "examples"
    loaded: Any
    spec: Any

    @abstractmethod
    def arrays(self, split: str, rows: Any) -> Batch:
        """These examples as they are, their mask of ones last."""

    def epoch(self, sequences: int) -> tuple[int, int]:
        return divmod(sequences, len(self.loaded.splits["train"]))

    def evaluation_batches(self, split: str, limit: int) -> Iterator[Batch]:
        if split not in self.loaded.splits:
            return
        count = len(self.loaded.splits[split])
        for rows, real in spread_batches(count, self.spec.training.batch_size, limit):
            *arrays, mask = self.arrays(split, rows)
            mask[real:] = 0
            yield (*arrays, mask)


class ClassesTask(ExamplesTask):
    """The last arrays of a batch are the classes, int32 [batch], and the mask, float32 [batch]."""

    @abstractmethod
    def logits(self, arrays: Any) -> Any:
        """In a graph: scores of the classes, float32 [batch, classes], as when it is used."""

    def scores(self, parts: Any) -> dict[str, Any]:
        import tensorflow as tf

        *arrays, labels, mask = parts
        logits = self.logits(arrays)
        losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
        hits = tf.cast(tf.argmax(logits, -1, output_type=labels.dtype) == labels, tf.float32)
        return {
            "loss": tf.reduce_sum(losses * mask),
            "correct": tf.reduce_sum(hits * mask),
            "examples": tf.reduce_sum(mask),
        }

    def summarise(self, sums: Mapping[str, float]) -> dict[str, float]:
        """Mean loss in nats per example, accuracy, examples."""
        examples = sums["examples"]
        return {
            "loss": sums["loss"] / examples,
            "accuracy": sums["correct"] / examples,
            "examples": int(examples),
        }
