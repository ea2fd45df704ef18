"""The inverted residual block of EfficientNet and MobileNetV3 on TensorFlow."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.image_model import ImageModel, Padding
from training.backbones.mobile_block import MobileBlock


def hard_sigmoid(x: Any) -> Any:
    """min(max(x + 3, 0), 6) / 6."""
    return tf.nn.relu6(x + 3) / 6


def hard_swish(x: Any) -> Any:
    """x · min(max(x + 3, 0), 6) / 6."""
    return x * hard_sigmoid(x)


ACTIVATIONS: dict[str, Any] = {
    "relu": tf.nn.relu,
    "relu6": tf.nn.relu6,
    "hard_swish": hard_swish,
}


class MobileModel(ImageModel):
    """A network whose configuration has a ``padding`` style and a ``norm_epsilon``."""

    config: Any

    def __init__(self, config: Any, *, compute_dtype: str = "float32") -> None:
        super().__init__(config, compute_dtype=compute_dtype)
        self.epsilon = config.norm_epsilon

    def around(self, kernel: int) -> Padding:
        """The padding of a convolution of this size."""
        return "same" if self.config.padding == "same" else kernel // 2

    def block(self, x: Any, block: MobileBlock, training: bool) -> Any:
        """One block, float32 [batch, height, width, inputs] → [batch, …, outputs]."""
        activate, y = ACTIVATIONS[block.activation], x
        (depthwise, middle), (down, last) = block.parts[-2:]
        if block.expands:
            up, first = block.parts[0]
            y = self.convolve(y, f"{block.name}.{up}")
            y = activate(self.normalise(y, f"{block.name}.{first}", training))
        y = self.convolve(
            y,
            f"{block.name}.{depthwise}",
            stride=block.stride,
            padding=self.around(block.kernel),
            groups=block.inner,
        )
        y = activate(self.normalise(y, f"{block.name}.{middle}", training))
        if block.squeeze:
            seen = tf.reduce_mean(y, [1, 2], keepdims=True)
            seen = tf.nn.relu(self.convolve(seen, f"{block.name}.se.conv_reduce"))
            y *= hard_sigmoid(self.convolve(seen, f"{block.name}.se.conv_expand"))
        y = self.convolve(y, f"{block.name}.{down}")
        y = self.normalise(y, f"{block.name}.{last}", training)
        return x + y if block.stride == 1 and block.inputs == block.outputs else y
