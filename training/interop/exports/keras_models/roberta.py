"""RoBERTa of stock Keras layers: BERT's, with positions counted over real tokens."""

from __future__ import annotations

from typing import Any

import keras

from training.backbones.roberta.config import RobertaConfig
from training.interop.exports.keras_models import encoder
from training.interop.exports.keras_models.encoder import weights

__all__ = ["build", "weights"]


def build(config: RobertaConfig) -> keras.Model:
    """The functional model, with weights that Keras drew."""
    return encoder.build(config, _positions)


def _positions(config: RobertaConfig, tokens: Any) -> Any:
    """Real tokens counted from the padding token's id + 1; padding has the row of its id."""
    padding = config.pad_token_id
    real = keras.ops.cast(keras.ops.not_equal(tokens, padding), "int32")
    return keras.ops.cumsum(real, axis=1) * real + padding
