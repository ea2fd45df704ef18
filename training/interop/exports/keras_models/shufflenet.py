"""ShuffleNetV2 of stock Keras layers.

The halves of the channels are interleaved by an index: a reshape would have to know the map's
height and width, which are free.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

from training.backbones.shufflenet.config import ShuffleNetConfig
from training.interop.exports.keras_models import images
from training.interop.exports.keras_models.images import Builder, average, key, max_pool

__all__ = ["build", "weights"]

weights = partial(images.weights, depthwise=("branch1.0", "branch2.3"))


def build(config: ShuffleNetConfig) -> keras.Model:
    """The functional model, with weights that Keras drew."""
    net = Builder(config)
    x = net.convolution(net.pixels, "conv1.0", stride=2, padding=1)
    x = max_pool(net.norm(x, "conv1.1", "relu"))
    for stage, depth in enumerate(config.depths):
        for index in range(depth):
            name = f"stage{stage + 2}.{index}"
            if index:
                left, right = keras.ops.split(x, 2, axis=-1)
            else:
                left, right = _left(net, x, f"{name}.branch1"), x
            right = _right(net, right, f"{name}.branch2", 1 if index else 2)
            x = _shuffled(keras.layers.Concatenate(name=f"{key(name)}_concat")([left, right]))
    x = net.norm(net.convolution(x, "conv5.0"), "conv5.1", "relu")
    return net.model(average(x), "fc")


def _left(net: Builder, x: Any, name: str) -> Any:
    x = net.norm(net.convolution(x, f"{name}.0", stride=2, padding=1), f"{name}.1")
    return net.norm(net.convolution(x, f"{name}.2"), f"{name}.3", "relu")


def _right(net: Builder, x: Any, name: str, stride: int) -> Any:
    x = net.norm(net.convolution(x, f"{name}.0"), f"{name}.1", "relu")
    x = net.norm(net.convolution(x, f"{name}.3", stride=stride, padding=1), f"{name}.4")
    return net.norm(net.convolution(x, f"{name}.5"), f"{name}.6", "relu")


def _shuffled(x: Any) -> Any:
    """The two halves of the channels interleaved: 0, c/2, 1, c/2 + 1, …"""
    half = x.shape[-1] // 2
    return keras.ops.take(x, [place for i in range(half) for place in (i, half + i)], axis=-1)
