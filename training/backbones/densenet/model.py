"""DenseNet on TensorFlow.

- Huang et al., 2017, https://arxiv.org/abs/1608.06993
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.densenet.config import DenseNetConfig
from training.backbones.image_model import ImageModel, max_pool


class DenseNet(ImageModel):
    """Blocks in which every layer sees the outputs of all layers before it.

    Example:
        >>> model = DenseNet(PRESETS["densenet121"])
        >>> model(tf.zeros([1, 64, 64, 3])).shape
        TensorShape([1, 1000])
    """

    HEAD = "classifier"
    config: DenseNetConfig

    def features(self, images: Any, training: bool = False) -> Any:
        """The last map, float32 [batch, height / 32, width / 32, 1024] for DenseNet-121.

        The stem rounds halves up, the transitions down.
        """
        x = self.convolve(images, "features.conv0", stride=2, padding=3)
        x = tf.nn.relu(self.normalise(x, "features.norm0", training))
        x = max_pool(x, 3, 2, 1)
        for stage, depth in enumerate(self.config.depths):
            for index in range(depth):
                name = f"features.denseblock{stage + 1}.denselayer{index + 1}"
                y = tf.nn.relu(self.normalise(x, f"{name}.norm1", training))
                y = self.convolve(y, f"{name}.conv1")
                y = tf.nn.relu(self.normalise(y, f"{name}.norm2", training))
                x = tf.concat([x, self.convolve(y, f"{name}.conv2", padding=1)], -1)
            if stage + 1 < len(self.config.depths):
                name = f"features.transition{stage + 1}"
                x = tf.nn.relu(self.normalise(x, f"{name}.norm", training))
                x = tf.nn.avg_pool2d(self.convolve(x, f"{name}.conv"), 2, 2, "VALID")
        return tf.nn.relu(self.normalise(x, "features.norm5", training))
