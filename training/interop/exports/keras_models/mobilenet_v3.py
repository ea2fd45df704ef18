"""MobileNetV3 of stock Keras layers."""

from __future__ import annotations

import keras

from training.backbones.mobilenet_v3.config import MobileNetV3Config
from training.interop.exports.keras_models.images import Builder, activated
from training.interop.exports.keras_models.mobile import around, inverted, weights

__all__ = ["build", "weights"]


def build(config: MobileNetV3Config) -> keras.Model:
    """The functional model, with weights that Keras drew."""
    net = Builder(config)
    x = net.convolution(net.pixels, "conv_stem", stride=2, padding=around(net, 3))
    x = net.norm(x, "bn1", "hard_silu")
    for block in config.blocks():
        x = inverted(net, x, block)
    x = net.convolution(x, f"{config.last_name}.conv")
    x = net.norm(x, f"{config.last_name}.bn1", "hard_silu")
    x = keras.layers.GlobalAveragePooling2D(keepdims=True, name="global_pool")(x)
    x = activated(net.convolution(x, "conv_head"), "hard_silu", "conv_head")
    return net.model(keras.layers.Flatten(name="flatten")(x), "classifier")
