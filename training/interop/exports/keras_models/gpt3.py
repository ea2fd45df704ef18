"""GPT-3 of stock Keras layers: GPT-2's, with a band in the mask of every other layer."""

from __future__ import annotations

from typing import Any

import keras

from training.backbones.gpt3.config import GPT3Config
from training.interop.exports.keras_models import gpt2
from training.interop.exports.keras_models.gpt2 import weights

__all__ = ["build", "weights"]


def build(config: GPT3Config) -> keras.Model:
    """The functional model, with weights that Keras drew."""
    if config.dense:
        return gpt2.build(config)

    def bands(positions: Any) -> dict[str, Any]:
        ops = keras.ops
        distance = ops.expand_dims(positions, 2) - ops.expand_dims(positions, 1)
        # Places after the query's own are hidden by the layer itself.
        near = ops.less(distance, config.window)
        return {f"layer_{layer}_attention": near for layer in range(1, config.n_layer, 2)}

    return gpt2.build(config, bands)
