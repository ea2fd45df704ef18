"""Scores of a model over a split: by the training loop, by ``evaluate`` and by merges alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf


class Scorer:
    """A task's scores, compiled once.

    Args:
        task: See :class:`training.methods.contract.Task`.
    """

    def __init__(self, task: Any) -> None:
        self.task = task
        # Nothing here needs autograph, which would read the sources and take a second.
        self._of_batch = tf.function(task.scores, autograph=False)

    def scores(
        self, split: str, limit: int, after_batch: Callable[[], None] | None = None
    ) -> dict[str, float] | None:
        """The report's scores over at most so many batches; None when there is no such split.

        Args:
            split: ``validation`` or ``test``.
            limit: Most batches.
            after_batch: Called after each; may raise.
        """
        sums: dict[str, float] = {}
        for batch in self.task.evaluation_batches(split, limit):
            found = self._of_batch(tuple(tf.constant(array) for array in batch))
            for name, value in found.items():
                sums[name] = sums.get(name, 0.0) + float(value)
            if after_batch is not None:
                after_batch()
        return self.task.summarise(sums) if sums else None
