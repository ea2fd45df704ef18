"""A Keras model whose variables are a checkpoint's tensors: the same names, the same layout."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from training.backbones.contract import TensorSpec
from training.backbones.lora import factor_names, factor_specs


class NamedModel(keras.Model):
    """Variables addressed by name, never by order.

    A matrix stays as it is stored, PyTorch's [out, in] too: the subclass multiplies with
    ``transpose_b``, and turns a convolution's kernel on the way. What training changes can then be
    written, compared and copied without any conversion.

    Attributes:
        named_variables: Tensor name → variable, in the order of the specs.
    """

    named_variables: dict[str, Any]

    def add_tensors(
        self, specs: Iterable[TensorSpec], trainable: Callable[[TensorSpec], bool] | None = None
    ) -> None:
        """Make a variable, of zeros, for each tensor; call it once, at the end of ``__init__``.

        Args:
            specs: The tensors.
            trainable: Which of them training may change; default: all but running statistics.
        """
        self.named_variables = {}
        self._followed: list[str] = []
        self._adapted: set[str] = set()
        for spec in specs:
            self._add_tensor(spec, spec.trained and (trainable is None or trainable(spec)))
        self.built = True

    def _add_tensor(self, spec: TensorSpec, trainable: bool) -> None:
        self.named_variables[spec.name] = self.add_weight(
            shape=spec.shape,
            initializer="zeros",
            trainable=trainable,
            # Each replica assigns what its own part of the batch says.
            aggregation="none" if spec.trained else "mean",
            name=spec.name.replace(".", "_"),
        )
        if not spec.trained:
            self._followed.append(spec.name)

    def load_named(self, tensors: Mapping[str, np.ndarray]) -> None:
        """Set every variable, exactly by name.

        Raises:
            ValueError: When a tensor is missing, unknown or of another shape; nothing is set then.
        """
        missing = sorted(set(self.named_variables) - set(tensors))
        unknown = sorted(set(tensors) - set(self.named_variables))
        if missing or unknown:
            raise ValueError(f"missing tensors {missing[:5]}, unknown tensors {unknown[:5]}")
        for name, variable in self.named_variables.items():
            if tuple(variable.shape) != tuple(tensors[name].shape):
                raise ValueError(f"{name}: {tensors[name].shape} for {tuple(variable.shape)}")
        for name, variable in self.named_variables.items():
            variable.assign(np.asarray(tensors[name], dtype=np.float32))

    def named(self) -> dict[str, np.ndarray]:
        """A copy of every variable by name."""
        return {name: np.array(v.value) for name, v in self.named_variables.items()}

    def trainable_names(self) -> list[str]:
        """Names of what training changes, in a fixed order."""
        return [name for name, v in self.named_variables.items() if v.trainable]

    def adapt(self, matrices: Iterable[TensorSpec], rank: int, scale: float) -> None:
        """Add low-rank factors to matrices [out, in]: each is then W + scale · B A.

        Args:
            matrices: Tensors of the model that its linear layers multiply with.
            rank: Width of the factors.
            scale: alpha / rank.
        """
        matrices = list(matrices)
        self._adapted = {one.name for one in matrices}
        self._scale = scale
        for spec in factor_specs(matrices, rank):
            self._add_tensor(spec, trainable=True)

    def train_only(self, names: Collection[str]) -> None:
        """Let training change these, and nothing else."""
        for name, variable in self.named_variables.items():
            variable.trainable = name in names

    def followed_names(self) -> list[str]:
        """Names of the running statistics, which follow what training sees."""
        return list(self._followed)

    def value(self, name: str) -> Any:
        """A variable's tensor, for use in the network."""
        return self.named_variables[name].value

    def times(self, x: Any, matrix: str) -> Any:
        """x Wᵀ for a matrix [out, in], in x's type, with its low-rank update where it has one.

        The update is multiplied factor by factor, so that no gradient of the matrix is computed.
        """
        y = tf.matmul(x, tf.cast(self.value(matrix), x.dtype), transpose_b=True)
        if matrix in self._adapted:
            a, b = (tf.cast(self.value(name), x.dtype) for name in factor_names(matrix))
            low = tf.matmul(tf.matmul(x, a, transpose_b=True), b, transpose_b=True)
            y += tf.cast(self._scale, x.dtype) * low
        return y
