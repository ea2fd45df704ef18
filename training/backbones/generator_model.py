"""What the models that make images are made of, on TensorFlow; images are NHWC, in 0..1."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import tensorflow as tf

from training.backbones.contract import TensorSpec
from training.backbones.generator_config import GeneratorConfig
from training.backbones.named import NamedModel

#: Added under the root of a mean square.
EPSILON = 1e-6
#: Slope of what is negative, where a leaky ReLU is meant.
LEAK = 0.2


class GeneratorModel(NamedModel):
    """The layers of a model that makes images, and of what looks at them.

    Args:
        config: Its shape.
        compute_dtype: Type of convolutions and matrix products; all else is float32.
        extra: Tensors beside the configuration's.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        *,
        compute_dtype: str = "float32",
        extra: Sequence[TensorSpec] = (),
    ) -> None:
        super().__init__(dtype="float32", name=config.architecture)
        self.config = config
        self.compute = tf.as_dtype(compute_dtype)
        self.add_tensors([*config.tensors(), *extra])

    def images(self, latents: Any, labels: Any) -> Any:
        """Images in 0..1, float32 [batch, height, width, channels].

        Args:
            latents: float32 [batch, latent], standard normal.
            labels: int32 [batch], rows of the class tables.
        """
        raise NotImplementedError

    # --- parts -------------------------------------------------------------------------------

    def matrix(self, name: str) -> Any:
        """A weight as it is multiplied with."""
        return self.value(name)

    def of_class(self, name: str, labels: Any) -> Any:
        """Rows of a class table, float32 [batch, width]."""
        return tf.gather(self.matrix(f"{name}.weight"), labels)

    def dense(self, x: Any, name: str) -> Any:
        """x Wᵀ + b, float32."""
        weight = tf.cast(self.matrix(f"{name}.weight"), self.compute)
        y = tf.matmul(tf.cast(x, self.compute), weight, transpose_b=True)
        return tf.nn.bias_add(tf.cast(y, tf.float32), self.value(f"{name}.bias"))

    def convolve(self, x: Any, name: str, stride: int = 1) -> Any:
        """A convolution at TensorFlow's ``same`` padding, with its bias, float32."""
        weight = tf.transpose(self.matrix(f"{name}.weight"), [2, 3, 1, 0])
        x, weight = tf.cast(x, self.compute), tf.cast(weight, self.compute)
        y = tf.cast(tf.nn.conv2d(x, weight, stride, "SAME"), tf.float32)
        return tf.nn.bias_add(y, self.value(f"{name}.bias"))

    def doubled(self, x: Any, name: str) -> Any:
        """A map of twice the side: a convolution to four times the channels, which become
        neighbouring pixels [0].

        - [0] Shi et al., 2016 (sub-pixel convolution), https://arxiv.org/abs/1609.05158
        """
        return tf.nn.depth_to_space(self.convolve(x, name), 2)


def leaky(x: Any) -> Any:
    """x where it is positive, else a little of it; TensorFlow's own leaves its optimiser of graphs
    in the lurch on a processor."""
    return tf.maximum(x, LEAK * x)


def unit_pixels(x: Any) -> Any:
    """The numbers of each pixel of a map divided by their root mean square [0].

    - [0] Karras et al., 2018, https://arxiv.org/abs/1710.10196, section 4.2
    """
    return x * tf.math.rsqrt(tf.reduce_mean(tf.square(x), -1, keepdims=True) + EPSILON)
