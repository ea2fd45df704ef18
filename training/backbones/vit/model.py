"""The vision transformer on TensorFlow.

- Dosovitskiy et al., 2021, https://arxiv.org/abs/2010.11929

Details people get wrong: the GELU is the exact one, the layer norms' epsilon 1e-6, and the norms
come before each half block and once more at the end.
"""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf

from training.backbones.image_model import ImageModel
from training.backbones.layers import layer_norm
from training.backbones.vit.config import ViTConfig


class ViT(ImageModel):
    """Patches as tokens, and a class token that the head looks at.

    Images are float32 [batch, image_size, image_size, channels].

    Example:
        >>> model = ViT(PRESETS["vit_tiny_patch16_224"])
        >>> model(tf.zeros([1, 224, 224, 3])).shape
        TensorShape([1, 1000])
    """

    HEAD = "head"
    config: ViTConfig

    def features(self, images: Any, training: bool = False) -> Any:
        """The patches' last states, float32 [batch, side, side, width], without the class token."""
        tokens, side = self._tokens(images), self.config.side
        return tf.reshape(tokens[:, 1:], [-1, side, side, self.config.width])

    def pooled(self, images: Any, training: bool = False) -> Any:
        """The class token's last state, float32 [batch, width]."""
        return self._tokens(images)[:, 0]

    def _tokens(self, images: Any) -> Any:
        """Last states, float32 [batch, 1 + side², width]."""
        config = self.config
        batch, time, width = tf.shape(images)[0], config.side**2 + 1, config.width
        patches = self.convolve(images, "patch_embed.proj", stride=config.patch_size)
        patches = tf.reshape(patches, [batch, time - 1, width])
        first = tf.repeat(self.value("cls_token"), batch, 0)
        x = tf.concat([first, patches], 1) + self.value("pos_embed")
        x = tf.reshape(x, [-1, width])
        for layer in range(config.depth):
            x += self._attend(self._norm(x, f"blocks.{layer}.norm1"), layer, time)
            inner = self.linear(self._norm(x, f"blocks.{layer}.norm2"), f"blocks.{layer}.mlp.fc1")
            x += self.linear(tf.nn.gelu(inner, approximate=False), f"blocks.{layer}.mlp.fc2")
        return tf.reshape(self._norm(x, "norm"), [batch, time, width])

    def _attend(self, x: Any, layer: int, time: int) -> Any:
        heads, width = self.config.heads, self.config.width
        size = width // heads
        qkv = tf.reshape(self.linear(x, f"blocks.{layer}.attn.qkv"), [-1, time, 3, heads, size])
        q, k, v = tf.unstack(tf.cast(tf.transpose(qkv, [2, 0, 3, 1, 4]), self.compute))
        scores = tf.matmul(q / tf.cast(math.sqrt(size), q.dtype), k, transpose_b=True)
        mixed = tf.matmul(tf.cast(tf.nn.softmax(tf.cast(scores, tf.float32)), v.dtype), v)
        mixed = tf.reshape(tf.transpose(mixed, [0, 2, 1, 3]), [-1, width])
        return self.linear(mixed, f"blocks.{layer}.attn.proj")

    def _norm(self, x: Any, name: str) -> Any:
        epsilon = tf.constant(self.config.layer_norm_epsilon, tf.float32)
        return layer_norm(x, self.value(f"{name}.weight"), self.value(f"{name}.bias"), epsilon)
