"""The vision transformer of stock Keras layers; images have the one size of its positions.

Keras has no layer that is a weight and nothing else, so the class token and the positions are
embeddings, of the numbers 0, 1, 2 … that are counted from the patches.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import keras
import numpy as np

from training.backbones.vit.config import ViTConfig
from training.interop.exports.keras_models import images
from training.interop.exports.keras_models.images import Builder, key

layers, ops = keras.layers, keras.ops


def build(config: ViTConfig) -> keras.Model:
    """The functional model, with weights that Keras drew."""
    net, width = Builder(config), config.width
    x = net.convolution(net.pixels, "patch_embed.proj", stride=config.patch_size)
    x = layers.Reshape((config.side**2, width), name="patch_embed")(x)
    # Of one patch, which there always is: a number an image.
    first = ops.zeros_like(ops.take(ops.take(x, [0], axis=1), 0, axis=-1), dtype="int32")
    token = layers.Embedding(1, width, name="cls_token")(first)
    x = layers.Concatenate(axis=1, name="tokens")([token, x])
    ones = ops.ones_like(ops.take(x, 0, axis=-1), dtype="int32")
    positions = ops.subtract(ops.cumsum(ones, axis=1), 1)
    table = layers.Embedding(config.side**2 + 1, width, name="pos_embed")(positions)
    x = layers.Add(name="embeddings")([x, table])
    for layer in range(config.depth):
        x = _block(config, x, key(f"blocks.{layer}"))
    x = _norm(config, x, "norm")
    return net.model(ops.take(x, 0, axis=1), "head")


def _block(config: ViTConfig, x: Any, name: str) -> Any:
    attention = layers.MultiHeadAttention(
        config.heads, config.width // config.heads, name=f"{name}_attn"
    )
    y = _norm(config, x, f"{name}_norm1")
    x = layers.Add(name=f"{name}_attn_add")([x, attention(y, y)])
    y = layers.Dense(config.inner, name=f"{name}_mlp_fc1")(_norm(config, x, f"{name}_norm2"))
    y = layers.Activation("gelu", name=f"{name}_mlp_gelu")(y)  # the exact one
    y = layers.Dense(config.width, name=f"{name}_mlp_fc2")(y)
    return layers.Add(name=f"{name}_mlp_add")([x, y])


def _norm(config: ViTConfig, x: Any, name: str) -> Any:
    return layers.LayerNormalization(epsilon=config.layer_norm_epsilon, name=name)(x)


def weights(
    config: ViTConfig, tensors: Mapping[str, np.ndarray]
) -> Iterator[tuple[str, list[np.ndarray]]]:
    """Layer's name → its weights; an attention's four matrices belong to one layer."""

    def read(name: str) -> np.ndarray:
        return np.asarray(tensors[name], np.float32)

    for name in ("cls_token", "pos_embed"):
        yield name, [read(name)[0]]
    for name, given in images.weights(config, tensors):
        if not name.endswith(("_attn_qkv", "_attn_proj")):
            yield name, given
    width, heads = config.width, config.heads
    for layer in range(config.depth):
        name = f"blocks.{layer}.attn"
        found: list[np.ndarray] = []
        for part in range(3):
            rows = slice(part * width, (part + 1) * width)
            found.append(read(f"{name}.qkv.weight")[rows].T.reshape(width, heads, -1))
            found.append(read(f"{name}.qkv.bias")[rows].reshape(heads, -1))
        found.append(read(f"{name}.proj.weight").T.reshape(heads, -1, width))
        yield key(name), [*found, read(f"{name}.proj.bias")]
