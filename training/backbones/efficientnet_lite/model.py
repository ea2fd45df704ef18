"""EfficientNet-Lite0 on TensorFlow.

- Tan and Le, 2019, https://arxiv.org/abs/1905.11946
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.efficientnet_lite.config import EfficientNetLiteConfig
from training.backbones.mobile_model import MobileModel


class EfficientNetLite(MobileModel):
    """Inverted residual blocks with ReLU6, without squeeze-and-excitation.

    Example:
        >>> model = EfficientNetLite(PRESETS["tf_efficientnet_lite0"])
        >>> model(tf.zeros([1, 64, 64, 3])).shape
        TensorShape([1, 1000])
    """

    HEAD = "classifier"
    config: EfficientNetLiteConfig

    def features(self, images: Any, training: bool = False) -> Any:
        """The last map, float32 [batch, height / 32, width / 32, 1280], rounded up."""
        x = self.convolve(images, "conv_stem", stride=2, padding=self.around(3))
        x = tf.nn.relu6(self.normalise(x, "bn1", training))
        for block in self.config.blocks():
            x = self.block(x, block, training)
        return tf.nn.relu6(self.normalise(self.convolve(x, "conv_head"), "bn2", training))
