"""The network over a table's columns in Keras; :mod:`.config` has the formula."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.layers import dropped, embed
from training.backbones.named import NamedModel
from training.backbones.table_trunk.config import TableTrunkConfig


class TableTrunk(NamedModel):
    """What models of tables share; a subclass makes something of :meth:`hidden`.

    Args:
        config: Its shape.
        name: Of the model.
        compute_dtype: Of its matrix products.
        dropout: Share of the hidden layers' outputs dropped in training.
    """

    def __init__(
        self, config: TableTrunkConfig, name: str, compute_dtype: str, dropout: float
    ) -> None:
        super().__init__(name=name)
        self.config, self.dropout = config, dropout
        self._computes_in = tf.as_dtype(compute_dtype)
        self.add_tensors(config.tensors())

    def hidden(self, numbers: Any, codes: Any, training: bool, seed: Any) -> Any:
        """The last layer's outputs, [batch, width] in the type that it computes in.

        Args:
            numbers: float32 [batch, Σ (2 + pieces)].
            codes: int32 [batch, categories].
            training: Whether dropout is on.
            seed: int32 [2], for dropout.
        """
        looked_up = [
            embed(self.value(f"deep.embedding.{column}.weight"), codes[:, column])
            for column in range(len(self.config.categories))
        ]
        x = tf.cast(tf.concat([numbers, *looked_up], 1), self._computes_in)
        for layer in range(len(self.config.hidden)):
            bias = tf.cast(self.value(f"deep.hidden.{layer}.bias"), x.dtype)
            x = tf.nn.relu(self.times(x, f"deep.hidden.{layer}.weight") + bias)
            if training:
                x = dropped(x, self.dropout, seed, layer)
        return x
