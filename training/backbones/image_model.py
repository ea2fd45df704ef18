"""What the image backbones are made of, with PyTorch's semantics on TensorFlow.

Images are NHWC; kernels stay in the checkpoint's layout [out, in, height, width] and are turned in
the graph. Details people get wrong:

- PyTorch pads a convolution by the same amount on both sides, TensorFlow's ``SAME`` by what is
  missing, more of it right and below. At stride 2 and even sizes the two see different pixels.
- PyTorch's max pool pads with minus infinity.
- PyTorch normalises by the batch's variance over n and keeps the one over n − 1.
- ``tf.nn.fused_batch_norm`` raises an epsilon below 1.001e-5; the operation itself does not.
"""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import tensorflow as tf

from training.backbones.image_config import NORM_EPSILON, ImageConfig
from training.backbones.named import NamedModel

#: What training keeps of a running statistic at each step; PyTorch calls 1 − this the momentum.
NORM_MOMENTUM = 0.9
#: Grouped convolutions are computed in dense ones of about so many channels (see there).
GROUPED_CHANNELS = 32

Padding = int | Literal["same"]


class ImageModel(NamedModel):
    """``call`` maps images float32 [batch, height, width, channels] to logits [batch, classes].

    The images are normalised already. Without classes the pooled features come out instead.

    Args:
        config: Its shape.
        compute_dtype: Type of convolutions and matrix products, ``float32`` or ``bfloat16``; all
            else is float32.
    """

    #: Epsilon of every batch norm.
    epsilon: float = NORM_EPSILON
    #: The head's tensors, less ``.weight`` and ``.bias``.
    HEAD: str

    def __init__(self, config: ImageConfig, *, compute_dtype: str = "float32") -> None:
        super().__init__(dtype="float32", name=config.architecture)
        self.config = config
        self.compute = tf.as_dtype(compute_dtype)
        self.add_tensors(config.tensors())

    def features(self, images: Any, training: bool = False) -> Any:
        """The last map before pooling, float32 [batch, height, width, channels]."""
        raise NotImplementedError

    def pooled(self, images: Any, training: bool = False) -> Any:
        """What the head looks at, float32 [batch, channels]."""
        return tf.reduce_mean(self.features(images, training), [1, 2])

    def call(self, images: Any, training: bool = False) -> Any:
        """Logits float32 [batch, classes]; pooled features where there are no classes."""
        pooled = self.pooled(images, training)
        return self.linear(pooled, self.HEAD) if self.config.num_classes else pooled

    # --- parts -------------------------------------------------------------------------------

    def convolve(
        self, x: Any, name: str, *, stride: int = 1, padding: Padding = 0, groups: int = 1
    ) -> Any:
        """Convolution of the kernel ``name.weight``, with ``name.bias`` where the model has one.

        Args:
            x: float32 [batch, height, width, channels].
            name: The tensors, less ``.weight``.
            stride: Of both axes.
            padding: Zeros on every side, or TensorFlow's ``same``.
            groups: Channels are cut into so many, each seen by as many outputs.
        """
        kernel = self.value(f"{name}.weight")
        x, mode = _pad(tf.cast(x, self.compute), padding)
        kernel = tf.cast(kernel, self.compute)
        if groups == 1:
            y = tf.nn.conv2d(x, tf.transpose(kernel, [2, 3, 1, 0]), stride, mode)
        elif groups == kernel.shape[0] == x.shape[-1]:
            depthwise = tf.transpose(kernel, [2, 3, 0, 1])
            y = tf.nn.depthwise_conv2d(x, depthwise, [1, stride, stride, 1], mode)
        else:
            y = grouped_convolution(x, kernel, stride, mode, groups)
        y = tf.cast(y, tf.float32)
        if f"{name}.bias" in self.named_variables:
            y = tf.nn.bias_add(y, self.value(f"{name}.bias"))
        return y

    def normalise(self, x: Any, name: str, training: bool) -> Any:
        """Batch norm; in training by the batch's statistics, which the running ones then follow."""
        mean, variance = (
            self.named_variables[f"{name}.{part}"] for part in ("running_mean", "running_var")
        )
        scale, shift = self.value(f"{name}.weight"), self.value(f"{name}.bias")
        return batch_norm(x, scale, shift, mean, variance, self.epsilon, training)

    def linear(self, x: Any, name: str) -> Any:
        """x Wᵀ + b for W stored [out, in], float32."""
        y = self.times(tf.cast(x, self.compute), f"{name}.weight")
        return tf.nn.bias_add(tf.cast(y, tf.float32), self.value(f"{name}.bias"))


def batch_norm(
    x: Any, scale: Any, shift: Any, mean: Any, variance: Any, epsilon: float, training: bool
) -> Any:
    """Normalise each channel of x [batch, height, width, channels], then scale and shift it.

    Args:
        x: float32.
        scale: float32 [channels].
        shift: The same.
        mean: Variable: the running mean, which follows the batch's in training.
        variance: The same of the variance.
        epsilon: Added to the variance.
        training: Whether to normalise by the batch's statistics, or by the running ones.
    """
    empty = tf.zeros([0], tf.float32)
    y, batch_mean, batch_variance, *_ = tf.raw_ops.FusedBatchNormV3(
        x=x,
        scale=scale,
        offset=shift,
        mean=empty if training else mean.value,
        variance=empty if training else variance.value,
        epsilon=epsilon,
        is_training=training,
    )
    if training:
        for running, now in ((mean, batch_mean), (variance, batch_variance)):
            now = tf.stop_gradient(now)
            running.assign(NORM_MOMENTUM * running.value + (1 - NORM_MOMENTUM) * now)
    return y


def max_pool(x: Any, size: int, stride: int, padding: int) -> Any:
    """PyTorch's max pool: ``padding`` on every side is minus infinity."""
    edges = [[0, 0], [padding, padding], [padding, padding], [0, 0]]
    x = tf.pad(x, edges, constant_values=x.dtype.min)
    return tf.nn.max_pool2d(x, size, stride, "VALID")


def grouped_convolution(x: Any, kernel: Any, stride: int, mode: str, groups: int) -> Any:
    """A grouped convolution, as a few dense ones whose kernels are zero across groups.

    TensorFlow's own has no backward pass for the processor that works in a graph (and a very slow
    one outside), and one convolution a group is many tiny operations. Neighbouring
    groups are therefore joined until they have :data:`GROUPED_CHANNELS` channels: the zeros cost
    products but change no sum. Forward and backward at ResNeXt-50's first grouped convolution take
    20 ms so, 29 ms with one a group and 60 ms when joined to 128 channels.

    Args:
        x: [batch, height, width, channels].
        kernel: [outputs, channels / groups, height, width].
        stride: Of both axes.
        mode: ``VALID`` or ``SAME``.
        groups: Must divide channels and outputs.
    """
    outputs, inside = kernel.shape[:2]
    joined = 1
    while groups % (2 * joined) == 0 and 2 * joined * inside <= GROUPED_CHANNELS:
        joined *= 2
    parts = groups // joined
    # Row o of a joined kernel belongs to group o // (outputs / groups), and sees its channels only.
    own = np.kron(np.eye(joined), np.ones((outputs // groups, inside)))
    mask = tf.constant(own.reshape(-1, joined * inside, 1, 1), kernel.dtype)
    dense = []
    for rows in tf.split(kernel, parts, 0):
        dense.append(tf.transpose(tf.tile(rows, [1, joined, 1, 1]) * mask, [2, 3, 1, 0]))
    pairs = zip(tf.split(x, parts, -1), dense, strict=True)
    return tf.concat([tf.nn.conv2d(part, own, stride, mode) for part, own in pairs], -1)


def _pad(x: Any, padding: Padding) -> tuple[Any, str]:
    if padding == "same":
        return x, "SAME"
    if padding:
        x = tf.pad(x, [[0, 0], [padding, padding], [padding, padding], [0, 0]])
    return x, "VALID"
