"""ShuffleNetV2 on TensorFlow.

- Ma et al., 2018, https://arxiv.org/abs/1807.11164
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.image_model import ImageModel, max_pool
from training.backbones.shufflenet.config import ShuffleNetConfig


class ShuffleNet(ImageModel):
    """Units that work on half of the channels, and mix the halves afterwards.

    Example:
        >>> model = ShuffleNet(PRESETS["shufflenet_v2_x1_0"])
        >>> model(tf.zeros([1, 64, 64, 3])).shape
        TensorShape([1, 1000])
    """

    HEAD = "fc"
    config: ShuffleNetConfig

    def features(self, images: Any, training: bool = False) -> Any:
        """The last map, float32 [batch, height / 32, width / 32, 1024], rounded up."""
        x = self.convolve(images, "conv1.0", stride=2, padding=1)
        x = tf.nn.relu(self.normalise(x, "conv1.1", training))
        x = max_pool(x, 3, 2, 1)
        for stage, depth in enumerate(self.config.depths):
            x = self._halving(x, f"stage{stage + 2}.0", training)
            for index in range(1, depth):
                kept, y = tf.split(x, 2, -1)
                y = self._right(y, f"stage{stage + 2}.{index}.branch2", 1, training)
                x = shuffle(tf.concat([kept, y], -1))
        x = self.convolve(x, "conv5.0")
        return tf.nn.relu(self.normalise(x, "conv5.1", training))

    def _halving(self, x: Any, name: str, training: bool) -> Any:
        left = self.convolve(x, f"{name}.branch1.0", stride=2, padding=1, groups=x.shape[-1])
        left = self.normalise(left, f"{name}.branch1.1", training)
        left = self.convolve(left, f"{name}.branch1.2")
        left = tf.nn.relu(self.normalise(left, f"{name}.branch1.3", training))
        return shuffle(tf.concat([left, self._right(x, f"{name}.branch2", 2, training)], -1))

    def _right(self, x: Any, name: str, stride: int, training: bool) -> Any:
        x = tf.nn.relu(self.normalise(self.convolve(x, f"{name}.0"), f"{name}.1", training))
        x = self.convolve(x, f"{name}.3", stride=stride, padding=1, groups=x.shape[-1])
        x = self.normalise(x, f"{name}.4", training)
        return tf.nn.relu(self.normalise(self.convolve(x, f"{name}.5"), f"{name}.6", training))


def shuffle(x: Any) -> Any:
    """Interleave the two halves of the channels: 0, c/2, 1, c/2 + 1, …"""
    shape, channels = tf.shape(x), x.shape[-1]
    x = tf.reshape(x, [shape[0], shape[1], shape[2], 2, channels // 2])
    x = tf.transpose(x, [0, 1, 2, 4, 3])
    return tf.reshape(x, [shape[0], shape[1], shape[2], channels])
