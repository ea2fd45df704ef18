"""ResNet and ResNeXt on TensorFlow.

- He et al., 2016, https://arxiv.org/abs/1512.03385; Xie et al., 2017,
  https://arxiv.org/abs/1611.05431
"""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from training.backbones.image_model import ImageModel, max_pool
from training.backbones.resnet.config import ResNetConfig


class ResNet(ImageModel):
    """Bottleneck blocks in stages, each of which halves the map but the first.

    Example:
        >>> model = ResNet(PRESETS["resnet50"])
        >>> model(tf.zeros([1, 64, 64, 3])).shape
        TensorShape([1, 1000])
    """

    HEAD = "fc"
    config: ResNetConfig

    def features(self, images: Any, training: bool = False) -> Any:
        """The last map, float32 [batch, height / 32, width / 32, 2048], rounded up."""
        x = self.convolve(images, "conv1", stride=2, padding=3)
        x = tf.nn.relu(self.normalise(x, "bn1", training))
        x = max_pool(x, 3, 2, 1)
        for stage, depth in enumerate(self.config.depths):
            for index in range(depth):
                stride = 2 if stage and index == 0 else 1
                x = self._block(x, f"layer{stage + 1}.{index}", stride, training)
        return x

    def _block(self, x: Any, name: str, stride: int, training: bool) -> Any:
        y = self.convolve(x, f"{name}.conv1")
        y = tf.nn.relu(self.normalise(y, f"{name}.bn1", training))
        y = self.convolve(y, f"{name}.conv2", stride=stride, padding=1, groups=self.config.groups)
        y = tf.nn.relu(self.normalise(y, f"{name}.bn2", training))
        y = self.normalise(self.convolve(y, f"{name}.conv3"), f"{name}.bn3", training)
        if f"{name}.downsample.0.weight" in self.named_variables:
            x = self.convolve(x, f"{name}.downsample.0", stride=stride)
            x = self.normalise(x, f"{name}.downsample.1", training)
        return tf.nn.relu(x + y)
