"""A checkpoint's network as a TensorFlow function: what SavedModel, LiteRT and ONNX are made of."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training.backbones.registry import model_class
from training.interop.exports.signature import OUTPUT, Input, inputs_of
from training.weights.checkpoint import Checkpoint


class Network(tf.Module):
    """The model of a checkpoint, in float32, with its variables where TensorFlow finds them.

    A Keras 3 model does not track its own; the converters would write none of them.
    """

    def __init__(self, checkpoint: Checkpoint) -> None:
        super().__init__(name="network")
        kind = model_class(checkpoint.config.architecture)
        # Hidden from tracking: a SavedModel would otherwise try to save the Keras model too.
        arguments = inspect.signature(kind.call).parameters
        self.inputs: tuple[Input, ...] = self._no_dependency(
            inputs_of(checkpoint.config, arguments)
        )
        model = kind(checkpoint.config)
        model.load_named(checkpoint.tensors())

        def call(first: Any, *others: Any) -> Any:
            names = [one.name for one in self.inputs[1:]]
            return model(first, training=False, **dict(zip(names, others, strict=True)))

        self._call = self._no_dependency(call)
        self.variables_by_name: dict[str, Any] = self._no_dependency(model.named_variables)
        self.weights = [variable.value for variable in model.variables]

    def specs(self, *, fixed: bool) -> list[tf.TensorSpec]:
        """The inputs as TensorFlow describes them; runtimes know them by these names."""
        return [
            tf.TensorSpec(one.fixed if fixed else one.shape, one.dtype, name=one.name)
            for one in self.inputs
        ]

    def function(self, *, fixed: bool) -> Any:
        """``tf.function`` from the named inputs to ``{"logits": …}``."""

        def serve(*values: Any) -> dict[str, Any]:
            return {OUTPUT: self._call(*values)}

        return tf.function(serve, input_signature=self.specs(fixed=fixed))

    def function_of_weights(self) -> tuple[Any, list[tf.TensorSpec]]:
        """A function of the inputs and then of every tensor, and what they all are.

        Its graph holds no weight: a converter that keeps several copies of the graph does not keep
        several copies of the weights.
        """
        tensors = [
            tf.TensorSpec(variable.shape, "float32", name=name)
            for name, variable in self.variables_by_name.items()
        ]
        count = len(self.inputs)

        def serve(*values: Any) -> dict[str, Any]:
            mapping = list(zip(self.variables_by_name.values(), values[count:], strict=True))
            with keras.StatelessScope(state_mapping=mapping):
                return {OUTPUT: self._call(*values[:count])}

        specs = [*self.specs(fixed=False), *tensors]
        return tf.function(serve, input_signature=specs), specs

    def logits(self, values: Mapping[str, np.ndarray]) -> np.ndarray:
        """What our model itself gives."""
        given = [tf.constant(values[one.name]) for one in self.inputs]
        return np.asarray(self._call(*given).numpy())
