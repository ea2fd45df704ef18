"""The inverted residual block of EfficientNet and MobileNetV3, of stock Keras layers."""

from __future__ import annotations

from functools import partial
from typing import Any

import keras

from training.backbones.image_model import Padding
from training.backbones.mobile_block import MobileBlock
from training.interop.exports.keras_models import images
from training.interop.exports.keras_models.images import Builder, activated, key

layers = keras.layers
weights = partial(images.weights, depthwise=("conv_dw",))
#: Keras's name of an activation of ours, where it has another.
NAMES = {"hard_swish": "hard_silu"}


def around(net: Builder, size: int) -> Padding:
    """The padding of a convolution of this size."""
    config: Any = net.config
    return "same" if config.padding == "same" else size // 2


def inverted(net: Builder, x: Any, block: MobileBlock) -> Any:
    """One block, [batch, height, width, inputs] → [batch, …, outputs]."""
    activation, y = NAMES.get(block.activation, block.activation), x
    (depthwise, middle), (down, last) = block.parts[-2:]
    if block.expands:
        up, first = block.parts[0]
        y = net.convolution(y, f"{block.name}.{up}")
        y = net.norm(y, f"{block.name}.{first}", activation)
    y = net.convolution(
        y, f"{block.name}.{depthwise}", stride=block.stride, padding=around(net, block.kernel)
    )
    y = net.norm(y, f"{block.name}.{middle}", activation)
    name = key(block.name)
    if block.squeeze:
        seen = layers.GlobalAveragePooling2D(keepdims=True, name=f"{name}_se_pool")(y)
        seen = net.convolution(seen, f"{block.name}.se.conv_reduce")
        seen = activated(seen, "relu", f"{name}_se")
        seen = net.convolution(seen, f"{block.name}.se.conv_expand")
        seen = activated(seen, "hard_sigmoid", f"{name}_se")
        y = layers.Multiply(name=f"{name}_se_gate")([y, seen])
    y = net.norm(net.convolution(y, f"{block.name}.{down}"), f"{block.name}.{last}")
    if block.stride == 1 and block.inputs == block.outputs:
        y = layers.Add(name=f"{name}_add")([x, y])
    return y
