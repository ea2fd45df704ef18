"""RoBERTa in Keras on TensorFlow; see :class:`training.backbones.encoder.model.Encoder`."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.encoder.model import Encoder
from training.backbones.roberta.config import RobertaConfig


class Roberta(Encoder):
    """The encoder with RoBERTa's names and positions.

    Example:
        >>> model = Roberta(PRESETS["nano"])
        >>> model.load_named(initial_tensors(model.config.tensors(), seed=0))
        >>> model(tf.zeros([1, 8], tf.int32)).shape
        TensorShape([1, 8, 128])
    """

    config: RobertaConfig

    def positions(self, tokens: Any) -> Any:
        """Real tokens counted from the padding token's id + 1; padding has the row of its id."""
        padding = self.config.pad_token_id
        real = tf.cast(tokens != padding, tf.int32)
        return tf.cumsum(real, axis=1) * real + padding
