"""What the models of images are made of: stock layers, named after our tensors with ``_`` for dots.

Details people get wrong: Keras's ``same`` padding is TensorFlow's, so that PyTorch's at stride 2 is
a layer of its own; and a batch norm's momentum is what is kept.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from training.backbones.image_config import NORM_EPSILON, ImageConfig
from training.backbones.image_model import NORM_MOMENTUM, Padding

layers = keras.layers


def key(module: str) -> str:
    """Name of the layer that has the tensors ``module.weight`` and so on."""
    return module.replace(".", "_")


class Builder:
    """Adds layers whose sizes are those of a configuration's tensors.

    Attributes:
        pixels: The input; height and width are free where the configuration has no image size.
    """

    def __init__(self, config: ImageConfig) -> None:
        self.config = config
        self.shapes = {spec.name: spec.shape for spec in config.tensors()}
        self.epsilon: float = getattr(config, "norm_epsilon", NORM_EPSILON)
        size: int | None = getattr(config, "image_size", None)
        self.pixels = keras.Input((size, size, config.in_channels), name="pixels")

    def convolution(self, x: Any, module: str, *, stride: int = 1, padding: Padding = 0) -> Any:
        """A convolution, in as many groups as its kernel's shape says.

        Args:
            x: [batch, height, width, channels].
            module: The tensors, less ``.weight``.
            stride: Of both axes.
            padding: Zeros on every side, or TensorFlow's ``same``.
        """
        name = key(module)
        filters, inside, size, _ = self.shapes[f"{module}.weight"]
        groups = x.shape[-1] // inside
        if padding and padding != "same" and (stride > 1 or 2 * padding != size - 1):
            x, padding = layers.ZeroPadding2D(padding, name=f"{name}_pad")(x), 0
        settings = {
            "kernel_size": size,
            "strides": stride,
            "padding": "same" if padding else "valid",
            "use_bias": f"{module}.bias" in self.shapes,
            "name": name,
        }
        if 1 < groups == x.shape[-1] == filters:
            return layers.DepthwiseConv2D(**settings)(x)
        return layers.Conv2D(filters, groups=groups, **settings)(x)

    def norm(self, x: Any, module: str, activation: str | None = None) -> Any:
        """A batch norm, and an activation after it."""
        name = key(module)
        x = layers.BatchNormalization(epsilon=self.epsilon, momentum=NORM_MOMENTUM, name=name)(x)
        return activated(x, activation, name) if activation else x

    def model(self, pooled: Any, head: str) -> keras.Model:
        """The whole, with a head where there are classes."""
        classes = self.config.num_classes
        logits = layers.Dense(classes, name=key(head))(pooled) if classes else pooled
        return keras.Model(self.pixels, logits, name=self.config.architecture)


def activated(x: Any, activation: str, name: str) -> Any:
    """An activation as a layer of its own, named after what it follows."""
    return layers.Activation(activation, name=f"{name}_{activation}")(x)


def max_pool(x: Any) -> Any:
    """The 3×3 maximum at stride 2 of what is not negative: zeros around it change no maximum."""
    return layers.MaxPooling2D(3, 2, name="maxpool")(layers.ZeroPadding2D(1, name="maxpool_pad")(x))


def average(x: Any) -> Any:
    """The mean of the map, [batch, channels]."""
    return layers.GlobalAveragePooling2D(name="global_pool")(x)


def weights(
    config: ImageConfig, tensors: Mapping[str, np.ndarray], depthwise: tuple[str, ...] = ()
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Layer's name → its weights, of every tensor that is called ``….weight`` and those beside it.

    Args:
        config: The model.
        tensors: Its tensors, in PyTorch's layout.
        depthwise: How the names of convolutions end that are depthwise if a group is one channel.
    """
    names = [spec.name for spec in config.tensors()]
    for name in names:
        module, _, part = name.rpartition(".")
        if part != "weight":
            continue
        parts = ("weight", "bias", "running_mean", "running_var")
        beside = [f"{module}.{part}" for part in parts if f"{module}.{part}" in names]
        weight, *others = (np.asarray(tensors[one], np.float32) for one in beside)
        if weight.ndim == 4:
            one_each = module.endswith(depthwise) and weight.shape[1] == 1
            weight = weight.transpose((2, 3, 0, 1) if one_each else (2, 3, 1, 0))
        elif weight.ndim == 2:
            weight = weight.T
        yield key(module), [weight, *others]
