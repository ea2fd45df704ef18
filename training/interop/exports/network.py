"""A checkpoint's network as a TensorFlow function: what SavedModel, LiteRT and ONNX are made of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from training.backbones.registry import model_class
from training.interop.exports.signature import OUTPUT, signature_of
from training.weights.checkpoint import Checkpoint


class Network(tf.Module):
    """The model of a checkpoint, in float32, with its variables where TensorFlow finds them.

    A Keras 3 model does not track its own; the converters would write none of them.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(name="network")
        self.signature = signature_of(checkpoint.config)
        model = model_class(checkpoint.config.architecture)(checkpoint.config)
        model.load_named(checkpoint.tensors())
        # Hidden from tracking: a SavedModel would otherwise try to save the Keras model too.
        self._call = self._no_dependency(lambda values: model(values, training=False))
        self.weights = [variable.value for variable in model.variables]

    def function(self, shape: Sequence[int | None]) -> Any:
        """``tf.function`` from the named input to ``{"logits": …}`` for a shape."""
        spec = tf.TensorSpec(shape, self.signature.dtype, name=self.signature.name)

        def serve(values: Any) -> dict[str, Any]:
            return {OUTPUT: self._call(values)}

        # The name of the argument becomes the input's name in every runtime.
        source = {"tokens": lambda tokens: serve(tokens), "pixels": lambda pixels: serve(pixels)}
        return tf.function(source[self.signature.name], input_signature=[spec])

    def logits(self, values: np.ndarray) -> np.ndarray:
        """What our model itself gives."""
        return np.asarray(self._call(tf.constant(values)).numpy())
