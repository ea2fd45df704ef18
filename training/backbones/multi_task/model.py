"""One trunk and a head for each task in Keras; :mod:`.config` has the formula."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.multi_task.config import MultiTaskConfig
from training.backbones.table_trunk.model import TableTrunk


class MultiTask(TableTrunk):
    """A network over a table's columns with a linear head for each task.

    Args:
        config: Its shape.
        compute_dtype: Of its matrix products.
        dropout: Share of the hidden layers' outputs dropped in training.
    """

    config: MultiTaskConfig

    def __init__(
        self, config: MultiTaskConfig, compute_dtype: str = "float32", dropout: float = 0.0
    ) -> None:
        super().__init__(config, "multi_task", compute_dtype, dropout)

    def call(self, rows: Any, training: bool = False, seed: Any = None) -> list[Any]:
        """What each head says, float32 [batch, outputs], in the order of the tasks.

        Args:
            rows: ``numbers`` float32 [batch, Σ (2 + pieces)]; ``codes`` int32 [batch, categories].
            training: Whether dropout is on.
            seed: int32 [2], for dropout.
        """
        numbers, codes = rows
        x = self.hidden(numbers, codes, training, seed)
        return [
            tf.cast(self.times(x, f"task.{key}.weight"), tf.float32)
            + self.value(f"task.{key}.bias")
            for key in self.config.tasks
        ]

    def log_variances(self) -> list[Any]:
        """s_t = log σ_t² of each task, float32 scalars; none where weights are fixed."""
        if not self.config.learned_weights:
            return []
        return [self.value(f"task.{key}.log_variance")[0] for key in self.config.tasks]
