"""ResNet and ResNeXt of stock Keras layers."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

from training.backbones.resnet.config import ResNetConfig
from training.interop.exports.keras_models import images
from training.interop.exports.keras_models.images import Builder, activated, average, key, max_pool

__all__ = ["build", "weights"]

# Groups of one channel: the first stage, where the width of a group is 1.
weights = partial(images.weights, depthwise=("conv2",))


def build(config: ResNetConfig) -> keras.Model:
    """The functional model, with weights that Keras drew."""
    net = Builder(config)
    x = net.convolution(net.pixels, "conv1", stride=2, padding=3)
    x = max_pool(net.norm(x, "bn1", "relu"))
    for stage, depth in enumerate(config.depths):
        for index in range(depth):
            x = _block(net, x, f"layer{stage + 1}.{index}", 2 if stage and not index else 1)
    return net.model(average(x), "fc")


def _block(net: Builder, x: Any, name: str, stride: int) -> Any:
    y = net.norm(net.convolution(x, f"{name}.conv1"), f"{name}.bn1", "relu")
    y = net.convolution(y, f"{name}.conv2", stride=stride, padding=1)
    y = net.norm(y, f"{name}.bn2", "relu")
    y = net.norm(net.convolution(y, f"{name}.conv3"), f"{name}.bn3")
    if f"{name}.downsample.0.weight" in net.shapes:
        x = net.convolution(x, f"{name}.downsample.0", stride=stride)
        x = net.norm(x, f"{name}.downsample.1")
    total = keras.layers.Add(name=f"{key(name)}_add")([x, y])
    return activated(total, "relu", key(name))
