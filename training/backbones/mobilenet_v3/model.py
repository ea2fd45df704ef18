"""MobileNetV3 on TensorFlow.

- Howard et al., 2019, https://arxiv.org/abs/1905.02244
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.mobile_model import MobileModel, hard_swish
from training.backbones.mobilenet_v3.config import MobileNetV3Config


class MobileNetV3(MobileModel):
    """Inverted residual blocks, the later ones with the hard swish.

    Example:
        >>> model = MobileNetV3(PRESETS["mobilenetv3_small_100"])
        >>> model(tf.zeros([1, 64, 64, 3])).shape
        TensorShape([1, 1000])
    """

    HEAD = "classifier"
    config: MobileNetV3Config

    def features(self, images: Any, training: bool = False) -> Any:
        """The last map, float32 [batch, height / 32, width / 32, 960] (576), rounded up."""
        x = self.convolve(images, "conv_stem", stride=2, padding=self.around(3))
        x = hard_swish(self.normalise(x, "bn1", training))
        for block in self.config.blocks():
            x = self.block(x, block, training)
        x = self.convolve(x, f"{self.config.last_name}.conv")
        return hard_swish(self.normalise(x, f"{self.config.last_name}.bn1", training))

    def pooled(self, images: Any, training: bool = False) -> Any:
        """What the classifier looks at: the mean of the map, through the head's first layer."""
        seen = tf.reduce_mean(self.features(images, training), [1, 2], keepdims=True)
        return hard_swish(self.convolve(seen, "conv_head"))[:, 0, 0]
