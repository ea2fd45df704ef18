"""Wide & Deep as a Keras model; :mod:`training.backbones.wide_deep.config` has the formula."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.layers import embed
from training.backbones.table_trunk.model import TableTrunk
from training.backbones.wide_deep.config import WideDeepConfig
from training.sums import sum_in_order


class WideDeep(TableTrunk):
    """A linear part over codes beside a network over embeddings and numbers.

    Args:
        config: Its shape.
        compute_dtype: Of the deep part's matrix products.
        dropout: Share of the hidden layers' outputs dropped in training.
    """

    config: WideDeepConfig

    def __init__(
        self, config: WideDeepConfig, compute_dtype: str = "float32", dropout: float = 0.0
    ) -> None:
        super().__init__(config, "wide_deep", compute_dtype, dropout)

    def call(self, rows: Any, training: bool = False, seed: Any = None) -> Any:
        """Logits of the classes, float32 [batch, classes].

        Args:
            rows: ``numbers`` float32 [batch, Σ (2 + pieces)]; ``buckets`` int32 [batch, numbers];
                ``codes`` int32 [batch, categories]; ``crosses`` int32 [batch, crosses].
            training: Whether dropout is on.
            seed: int32 [2], for dropout.
        """
        numbers, buckets, codes, crosses = rows
        logits = tf.zeros([tf.shape(codes)[0], self.config.num_classes]) + self.value("bias")
        if self.config.has_wide:
            logits += self._wide({"number": buckets, "category": codes, "cross": crosses})
        if self.config.has_deep:
            logits += self._deep(numbers, codes, training, seed)
        return logits

    def _wide(self, codes: dict[str, Any]) -> Any:
        """One-hot columns times their weights: a row of each, summed."""
        sizes = {
            "number": self.config.numbers,
            "category": self.config.categories,
            "cross": self.config.crosses,
        }
        found = [
            embed(self.value(f"wide.{kind}.{column}.weight"), codes[kind][:, column])
            for kind, rows in sizes.items()
            for column in range(len(rows))
        ]
        return sum_in_order(found) if found else 0.0

    def _deep(self, numbers: Any, codes: Any, training: bool, seed: Any) -> Any:
        x = self.hidden(numbers, codes, training, seed)
        return tf.cast(self.times(x, "deep.head.weight"), tf.float32)
