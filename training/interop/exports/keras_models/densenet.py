"""DenseNet of stock Keras layers."""

from __future__ import annotations

import keras

from training.backbones.densenet.config import DenseNetConfig
from training.interop.exports.keras_models.images import Builder, average, key, max_pool, weights

__all__ = ["build", "weights"]


def build(config: DenseNetConfig) -> keras.Model:
    """The functional model, with weights that Keras drew."""
    net = Builder(config)
    x = net.convolution(net.pixels, "features.conv0", stride=2, padding=3)
    x = max_pool(net.norm(x, "features.norm0", "relu"))
    for stage, depth in enumerate(config.depths):
        for index in range(depth):
            name = f"features.denseblock{stage + 1}.denselayer{index + 1}"
            y = net.convolution(net.norm(x, f"{name}.norm1", "relu"), f"{name}.conv1")
            y = net.norm(y, f"{name}.norm2", "relu")
            y = net.convolution(y, f"{name}.conv2", padding=1)
            x = keras.layers.Concatenate(name=f"{key(name)}_concat")([x, y])
        if stage + 1 < len(config.depths):
            name = f"features.transition{stage + 1}"
            x = net.convolution(net.norm(x, f"{name}.norm", "relu"), f"{name}.conv")
            x = keras.layers.AveragePooling2D(2, name=f"{key(name)}_pool")(x)
    return net.model(average(net.norm(x, "features.norm5", "relu")), "classifier")
