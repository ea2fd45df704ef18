"""EfficientNet-Lite0 of stock Keras layers."""

from __future__ import annotations

import keras

from training.backbones.efficientnet_lite.config import EfficientNetLiteConfig
from training.interop.exports.keras_models.images import Builder, average
from training.interop.exports.keras_models.mobile import around, inverted, weights

__all__ = ["build", "weights"]


def build(config: EfficientNetLiteConfig) -> keras.Model:
    """The functional model, with weights that Keras drew."""
    net = Builder(config)
    x = net.convolution(net.pixels, "conv_stem", stride=2, padding=around(net, 3))
    x = net.norm(x, "bn1", "relu6")
    for block in config.blocks():
        x = inverted(net, x, block)
    x = net.norm(net.convolution(x, "conv_head"), "bn2", "relu6")
    return net.model(average(x), "classifier")
