"""GPT-3 in Keras on TensorFlow: GPT-2's network with a band in every other layer's mask."""

from __future__ import annotations

from typing import Any

from training.backbones.gpt2.model import GPT2
from training.backbones.gpt3.config import GPT3Config
from training.backbones.layers import causal_mask


class GPT3(GPT2):
    """The language model; all of GPT-2's settings, generation and LoRA are there.

    Example:
        >>> model = GPT3(PRESETS["nano"])
        >>> model.load_named(initial_tensors(model.config.tensors(), seed=0))
        >>> model(tf.zeros([1, 8], tf.int32)).shape
        TensorShape([1, 8, 4096])
    """

    config: GPT3Config

    def masks(self, queries: Any, keys: Any) -> list[Any]:
        """Dense for even layers, banded for odd ones; see :meth:`GPT2.masks`."""
        pair = causal_mask(queries, keys), causal_mask(queries, keys, self.config.window)
        return [pair[layer % 2] for layer in range(self.config.n_layer)]
